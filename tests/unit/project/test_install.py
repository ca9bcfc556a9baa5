"""What `make` says on a machine that lacks something, without installing anything."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SAY = (
    "import sys, shutil, runpy; {}; sys.path.insert(0, 'envs'); runpy.run_path('envs/install.py', run_name='__main__')"
)


def install(fault: str, cwd) -> subprocess.CompletedProcess:
    (cwd / "envs").mkdir()
    (cwd / "envs/install.py").write_text((ROOT / "envs/install.py").read_text())
    command = [sys.executable, "-c", SAY.format(fault)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("sys.version_info = (3, 9, 1)", "this Python is 3.9, but 3.11, 3.12 or 3.13 is needed"),
        ("sys.version_info = (3, 14, 0)", "this Python is 3.14, but 3.11, 3.12 or 3.13 is needed"),
        ("sys.modules['ensurepip'] = None", "this Python has no venv module"),
        ("sys.modules['venv'] = None", "this Python has no venv module"),
        (
            "shutil.disk_usage = lambda path: shutil._ntuple_diskusage(9, 8, 2 * 10**9)",
            "the packages need 10 GB of disk, here are 2.0 GB free",
        ),
    ],
)
def test_one_sentence_and_nothing_made(fault, sentence, tmp_path):
    result = install(fault, tmp_path)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()


def test_an_old_python_can_read_the_file():
    """No syntax newer than Python 3.0, so that the sentence appears instead of a SyntaxError."""
    import ast

    ast.parse((ROOT / "envs/install.py").read_text(), feature_version=(3, 0))
    assert 'f"' not in (ROOT / "envs/install.py").read_text()


def test_no_python_at_all(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/install.py").write_text("")
    command = ["make", "demo", "PYTHON=no-such-python"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"MAKEFLAGS": ""})
    assert result.returncode != 0
    assert "there is no no-such-python here: install Python 3.11" in result.stdout
