import os
from types import SimpleNamespace

import pytest

from sheetlens.common.errors import UserError
from sheetlens.workflow import schedulers


def test_the_logs_of_jobs_that_did_not_end_well_in_this_run_are_named_the_newest_first(tmp_path):
    assert schedulers.why_stopped(0, tmp_path) == "a line that begins with 'sheetlens' says why"
    killed, well = "srun: error: task 0: Killed", "1 of 1 steps (100%) done"
    logs = {"logs/sge/a-1.log": (100, killed), "logs/sge/b-2.log": (10, killed), "logs/sge/c-3.log": (5, well)}
    logs[".snakemake/slurm_logs/rule_x/3.log"] = (50, killed)
    for place, (age, text) in logs.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
        os.utime(tmp_path / place, (1000 - age, 1000 - age))
    assert "not end well: logs/sge/b-2.log, .snakemake/slurm_logs/rule_x/3.log)" in schedulers.why_stopped(
        940, tmp_path
    )
    assert "log" not in schedulers.why_stopped(995, tmp_path)


def test_only_slurm_without_an_answer_is_watched_otherwise(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert schedulers.watch_through_squeue(None) == ""
    assert schedulers.watch_through_squeue(SimpleNamespace(submit_cmd="qsub")) == ""


@pytest.mark.parametrize("asked", ["sacct", "squeue"])
@pytest.mark.parametrize(
    ("kept", "way_out"),
    [(0, ""), (300, ""), (119, "Add --slurm-init-seconds-before-status-checks 39"), (2, "Ask for a longer MinJobAge")],
)
def test_a_cluster_that_forgets_jobs_too_soon_is_refused_however_squeue_was_chosen(
    monkeypatch, tmp_path, asked, kept, way_out
):
    """Its MinJobAge is in seconds; 0 means for ever."""
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho 'MinJobAge               = {kept} sec'\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = SimpleNamespace(status_command=asked, init_seconds_before_status_checks=40)
    if way_out:
        with pytest.raises(UserError, match=rf"forgets finished ones after {kept} s \(MinJobAge\): .*\. {way_out}$"):
            schedulers.watch_through_squeue(settings)
    else:
        assert ("squeue" in schedulers.watch_through_squeue(settings)) == (asked == "sacct")
        assert settings.status_command == "squeue"
