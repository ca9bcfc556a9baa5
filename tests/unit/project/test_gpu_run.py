"""The command for the day a GPU is there: nothing is lost when a part hangs, and the rehearsal covers every part."""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from importlib.metadata import distribution

import pytest
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import kit
from benchmarks.gpu.parts import PARTS, Part
from benchmarks.gpu.running import run_limited
from benchmarks.gpu.table import section, summary
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

LOCK = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
tqdm==4.70.1 \\
    --hash=sha256:dd
"""
MACHINE = {
    "part": "machine", "rehearsal": False, "date": "2027-01-02", "commit": "abc",
    "gpu": "A GPU", "gpu_gigabytes": 141.0, "driver": "580",
    "cuda": "13.0", "cudnn": 92400, "copy_gigabytes_per_second": 4300.0, "cores": 16, "python": "3.12.3",
    "versions": {"torch": "2.14.1", "tqdm": None},
}  # fmt: skip
HERE = ".".join(map(str, sys.version_info[:2]))


def trained(part, network, seconds):
    facts = {"batch": 256, "precision": "bfloat16", "seconds_to_start": 1.0, "share_of_floor": 0.4, "gigabytes": 9.0}
    return {"part": part, "network": network, "seconds": seconds, "sheets_per_second": 1000 / seconds} | facts


def ended(part, why=None):
    return {"part": part, "part_seconds": 3.0, "failed": why}


LINES = [
    MACHINE,
    ended("machine"),
    {"part": "tests", "passed": 4, "failed": 0, "skipped": 0},
    trained("train", "table1", 6.0),
    trained("train", "table2", 5.0),
    ended("train"),
    trained("train-any-order", "table1", 4.0),
    trained("train-any-order", "table2", 4.0),
    trained("train-compiled", "table1", 1.0),
    ended("train-compiled", "ran into its limit of 100 s"),
    {"part": "reference", "network": "table1", "sheets_per_second": 10.0},
    {"part": "accuracy", "seed": 1, "here": 0.9, "cpu": 0.9},
]


def run(code, limit):
    lines = []
    return run_limited([sys.executable, "-c", code], limit, lines.append), lines


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_was_printed_before_a_hang_is_kept_and_nothing_goes_on(tmp_path):
    beat = f"import time\nfor _ in range(600): open({str(tmp_path / 'beat')!r}, 'a').write('.'); time.sleep(0.05)"
    code = (
        "import subprocess, sys, time; print('{\"a\": 1}', flush=True)\n"
        f"subprocess.Popen([sys.executable, '-c', {beat!r}]); print('{{\"b', end='', flush=True); time.sleep(60)"
    )
    why, lines = run(code, 2)
    assert (why, lines) == ("ran into its limit of 2 s", [{"a": 1}])
    size = (tmp_path / "beat").stat().st_size
    assert size > 0
    time.sleep(0.3)
    assert (tmp_path / "beat").stat().st_size == size


def test_a_crash_is_told_with_the_last_words():
    assert run("print('[1]'); import sys; print('on the way', file=sys.stderr); sys.exit('no memory')", 20) == (
        "ended with 1: on the way | no memory",
        [[1]],
    )
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 20)[0].startswith("ended with -9")
    assert run("print('{}')", 20) == (None, [{}])


def test_a_part_that_fails_leaves_the_others(monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    parts, file = [Part("one", "gone", 20), Part("two", "gone", 20)], io.StringIO()
    lines = command.run_parts(parts, argparse.Namespace(rehearse=False), file)
    assert summary(lines)["failed"] == ["one", "two"]
    assert [json.loads(line) for line in file.getvalue().splitlines()] == lines
    monkeypatch.setattr(command, "TOTAL", 2)
    assert command.run_parts(parts, argparse.Namespace(rehearse=False), file)[0]["failed"].startswith("was not begun")


def test_the_summary_is_of_the_fastest_way_that_trained_both():
    found = summary(LINES)
    assert found["way"] == "any order"
    assert found["seconds_both"] == 8
    assert found["ratio_deterministic"] == pytest.approx(11 / 8, abs=1e-4)
    assert (found["ratio_reference_table1"], found["ratio_reference_table2"]) == (25, None)
    assert found["failed"] == ["train-compiled"]


def test_the_section_tells_what_was_measured_and_what_failed():
    text = section(LINES)
    for words in (
        "A GPU (141 GB, driver 580", "tqdm missing", "Tests: 4 passed, 0 failed",
        "| deterministic | table1 | 1.00 | 6.00 | 167 | 0.40 | 16.67 | 9.00 |",
        "deterministic: 11.0 s; any order: 8.0 s", "**train-compiled** ran into its limit of 100 s",
    ):  # fmt: skip
        assert words in text
    assert "Accuracy" not in text, "no mean is known"


def test_parts_run_again_take_the_place_of_the_first(tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    first.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    again.write_text(json.dumps(trained("train", "table1", 2.0)) + '\n{"part": "train", "network": "tab')
    lines = command.latest([command.read_lines(path) for path in (first, again)])
    assert [line["seconds"] for line in lines if line["part"] == "train"] == [2.0]
    assert [line for line in lines if line["part"] == "accuracy"] == [LINES[-1]]


def test_the_page_shows_the_parts_and_commands_that_are(monkeypatch):
    page = (ROOT / "docs/contributing/gpu.md").read_text()
    named = re.findall(r"`([\w-]+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)))
    assert sorted(named) == sorted(part.name for part in PARTS)
    shown = re.findall(r"-m benchmarks\.gpu (.*)$", page, re.MULTILINE)
    assert len(shown) == 4
    for words in shown:
        monkeypatch.setattr(sys, "argv", ["gpu", *words.split()])
        command.arguments()  # leaves with an error where it does not know a word
    assert "in eight minutes at most" in page
    assert command.TOTAL == 8 * 60


def test_bytes_of_a_step_are_those_counted_by_hand():
    from benchmarks.gpu.whole import bytes_per_sheet

    # Values: convolution 1 six times, the others seven, what is pooled six; two bytes each.
    conv, pooled = 10 * 252**2 * 6 + 40 * 122**2 * 7, 10 * 126**2 * 6 + 40 * 61**2 * 6
    weights = 3 * 10 * 25 + 10 * 40 * 25 + 40 * 61**2 * 500
    assert bytes_per_sheet("table2", 64) == 2 * (conv + pooled) + 26 * weights / 64


def test_the_kit_is_locked_for_the_other_python():
    assert kit.locked(LOCK, {"numpy", "tqdm"}, "3.12") == [
        "numpy==2.5.5 --hash=sha256:bb --hash=sha256:cc",
        "tqdm==4.70.1 --hash=sha256:dd",
    ]
    assert kit.locked(LOCK, {"numpy"}, "3.11") == ["numpy==2.4.6 --hash=sha256:aa"]
    with pytest.raises(SystemExit, match="lacks scipy: run 'make lock'"):
        kit.locked(LOCK, {"scipy"}, "3.12")


def test_what_is_there_is_not_brought():
    listed = "Package    Version\n---------- -------\nPyYAML     6.0\ntyping_extensions 4\n-e git+x\nnumpy==2.4\n"
    assert kit.read_names(listed) == {"pyyaml", "typing-extensions", "numpy"}
    assert kit.closure(["pandas"], "3.12", {"numpy"}) == {"pandas", "python-dateutil", "six"}


def test_a_kit_too_large_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(kit, "LARGEST", 0.5)
    monkeypatch.setattr(kit, "locked", lambda *arguments: [])
    monkeypatch.setattr(
        kit, "download", lambda lines, python, to: (to / "large-1-py3-none-any.whl").write_bytes(b"0" * 2**20)
    )
    with pytest.raises(SystemExit, match=r"take 1 MiB, more than 0.5 \(largest: large 1\): .* GPU_HAS=FILE"):
        kit.gather("3.12", kit.THERE, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


@pytest.mark.long
def test_the_kit_for_a_machine_with_torch(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    wheels = kit.gather("3.12", kit.THERE, tmp_path)
    assert {canonicalize_name(wheel.name.split("-")[0]) for wheel in wheels} == kit.closure(
        kit.NEEDED, "3.12", set(kit.THERE)
    )
    assert not [wheel.name for wheel in wheels if "none-any" not in wheel.name and "x86_64" not in wheel.name]


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
def test_the_rehearsal_covers_every_part_with_what_torch_and_the_kit_bring(tmp_path):
    venv.create(tmp_path / "machine", symlinks=True)
    words = [tmp_path / "machine/bin/python", "-m", "benchmarks.gpu", "--rehearse", "--lines", tmp_path / "lines"]
    path = os.pathsep.join(map(str, (ROOT / "workflow", bare_packages(tmp_path / "packages"))))
    environment = os.environ | {"PYTHONPATH": path}
    told = subprocess.run(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    ends = {line["part"]: line["failed"] for line in lines if "part_seconds" in line}
    assert ends == {part.name: None for part in PARTS}
    assert told.returncode == 0
    assert {line["part"] for line in lines if "part_seconds" not in line} == set(ends), "a part that found nothing"
    found = json.loads(told.stdout.splitlines()[-1])
    assert (found["tests_passed"], found["tests_skipped"], found["agrees"]) == (4, 0, True)


def bare_packages(folder):
    """The packages of a machine with torch to which the kit was brought, and no others, as links."""
    folder.mkdir()
    for name in kit.closure((*kit.NEEDED, *kit.THERE, *kit.BUILT_TOGETHER), HERE, set()):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(package.locate_file(top))
    return folder
