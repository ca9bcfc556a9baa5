import os
from types import SimpleNamespace

from sheetlens.workflow import schedulers


def test_the_newest_log_of_a_scheduler_in_this_run_is_named(tmp_path):
    assert schedulers.why_stopped(0, tmp_path) == "a line that begins with 'sheetlens' says why"
    for place, age in (("logs/sge/a-1.log", 100), ("logs/sge/b-2.log", 10), (".snakemake/slurm_logs/rule_x/3.log", 50)):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
        os.utime(tmp_path / place, (1000 - age, 1000 - age))
    assert "(logs/sge/b-2.log)" in schedulers.why_stopped(940, tmp_path)
    assert "log" not in schedulers.why_stopped(995, tmp_path)


def test_only_slurm_without_an_answer_is_watched_otherwise(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert schedulers.watch_through_squeue(None) == ""
    assert schedulers.watch_through_squeue(SimpleNamespace(submit_cmd="qsub")) == ""
    assert schedulers.watch_through_squeue(SimpleNamespace(status_command="squeue")) == ""
