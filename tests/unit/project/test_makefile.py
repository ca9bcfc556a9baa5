"""The Makefile is one for the make and the shells of macOS too: GNU make of 2006, POSIX lines."""

import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = MAKEFILE.split(".PHONY:")[1].split()
# What came after GNU make 3.81, the last one that Apple ships.
LATER = re.compile(r"!=|\.ONESHELL|\.EXTRA_PREREQS|&:|\bundefine\b|\bprivate\b|\$\((file|guile|let|intcmp)\b|::=")


def lines(folder, target: str) -> str:
    """What make would do for a target, with the packages in place."""
    (folder / ".venv").mkdir(exist_ok=True)
    for name in ("requirements.lock", "pyproject.toml", "envs/install.py", ".venv/installed"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    command = ["make", "--file", ROOT / "Makefile", "--dry-run", "--always-make", target]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_no_function_is_newer_than_the_make_of_macos():
    assert not LATER.search(MAKEFILE)


def test_the_make_of_macos_asks_a_shell_which_knows_the_path():
    """It looks up plain words by itself, along the PATH that it was started with, unless SHELL is none of its own."""
    assert re.search(r"^SHELL := /bin/bash$", MAKEFILE, re.MULTILINE)
    assert MAKEFILE.index("SHELL :=") < MAKEFILE.index("export PATH")


@pytest.mark.parametrize("shell", ["dash", "posh", "bash"])
def test_the_lines_are_posix_shell(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    told = "".join(lines(tmp_path, target) for target in TARGETS)
    assert "envs/install.py" in told
    read = subprocess.run([shell, "-n"], input=told, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
