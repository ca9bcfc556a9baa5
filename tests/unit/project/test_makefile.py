"""The Makefile means the same to GNU make and to BSD make, and its lines are POSIX shell."""

import shutil
import subprocess

import pytest

from tests.conftest import ROOT

TARGETS = (ROOT / "Makefile").read_text().split(".PHONY:")[1].split()
VARIABLES = ["CONTACT=you@example.org", "SHEETS=my photographs", "STUDY=demo", "PYTHON=python3"]


def lines(make: str, folder, target: str, *variables: str) -> str:
    """What a make would do, with the packages in place."""
    (folder / ".venv").mkdir(exist_ok=True)
    for name in ("requirements.lock", "pyproject.toml", "envs/install.py", ".venv/installed"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text())
    command = [make, "-n", target, *variables]
    return subprocess.run(command, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("bmake"), reason="BSD make is not installed (Debian: bmake)")
@pytest.mark.parametrize("target", TARGETS)
def test_bsd_make_does_the_same(target, tmp_path):
    for variables in ([], VARIABLES):
        expected = lines("make", tmp_path, target, *variables)
        assert expected
        assert lines("bmake", tmp_path, target, *variables) == expected


@pytest.mark.parametrize("shell", ["dash", "posh", "bash"])
def test_the_lines_are_posix_shell(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    for target in TARGETS:
        read = subprocess.run([shell, "-n"], input=lines("make", tmp_path, target, *VARIABLES), text=True)
        assert read.returncode == 0, target


@pytest.mark.parametrize(("contact", "words"), [("", []), ("a@b.org", ["--config", 'fetch={"contact": "a@b.org"}'])])
def test_the_contact_is_handed_on_only_where_there_is_one(contact, words, tmp_path):
    line = lines("make", tmp_path, "paper", f"CONTACT={contact}").replace(".venv/bin/snakemake", "printf '%s\\n'")
    told = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["--cores", "all", *words]


def test_a_study_of_ones_own_names_its_folder(tmp_path):
    line = lines("make", tmp_path, "own", "SHEETS=my photographs").replace(".venv/bin/snakemake", "printf '%s\\n'")
    told = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == 'datasets={"own": {"folder": {"path": "my photographs"}}}'
