"""What `make` says on a machine that lacks something, without installing anything."""

import os
import re
import runpy
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

SAY = (
    "import sys, shutil, runpy; {}; sys.path.insert(0, 'envs'); runpy.run_path('envs/install.py', run_name='__main__')"
)


def install(fault: str, cwd) -> subprocess.CompletedProcess:
    (cwd / "envs").mkdir()
    (cwd / "envs/install.py").write_text((ROOT / "envs/install.py").read_text())
    command = [sys.executable, "-c", SAY.format(fault)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={"PATH": "/nowhere"})


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("sys.version_info = (3, 9, 1)", "this Python is 3.9, but 3.11, 3.12, 3.13 or 3.14 is needed"),
        ("sys.version_info = (3, 15, 0)", "this Python is 3.15, but 3.11, 3.12, 3.13 or 3.14 is needed"),
        ("sys.version_info = (3, 14, 0); shutil.which = lambda name: None", "no C compiler or no Python.h"),
        ("sys.version_info = (3, 13, 0); sys.modules['ensurepip'] = None", "this Python has no venv module"),
        ("sys.version_info = (3, 13, 0); sys.modules['venv'] = None", "this Python has no venv module"),
        (
            "sys.version_info = (3, 13, 0); shutil.disk_usage = lambda path: shutil._ntuple_diskusage(9, 8, 2 * 10**9)",
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


def test_lock_check_classifiers_and_words_name_the_same_pythons():
    module = runpy.run_path(str(ROOT / "envs/install.py"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (first, oldest), (_, newest) = module["OLDEST"], module["NEWEST"]
    assert project["requires-python"] == f">={first}.{oldest},<{first}.{newest + 1}"
    assert module["WITH_WHEELS"] == f">={first}.{oldest},<{first}.{module['WITHOUT_WHEELS'][1]}"
    versions = [f"{first}.{minor}" for minor in range(oldest, newest + 1)]
    assert project["classifiers"] == [f"Programming Language :: Python :: {version}" for version in versions]
    for name in ("README.md", "Makefile"):
        assert f"Python {versions[0]} to {versions[-1]}" in (ROOT / name).read_text()
    assert f'"--python-version", "{versions[0]}"' in (ROOT / "envs/lock.py").read_text()


@pytest.fixture
def small(tmp_path) -> Path:
    """The project's install with a lock of few packages: those that are large enough to be stopped in."""
    for name in ("pyproject.toml", "README.md", "envs/install.py", "workflow/sheetlens/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    pins = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text())
    chosen = [pin for pin in pins if re.match("(uv|setuptools|scipy|numpy|pyarrow)==", pin)]
    (tmp_path / "requirements.lock").write_text("\n".join(chosen))
    return tmp_path


def start(folder: Path) -> subprocess.Popen:
    """Install as on a machine without uv, with a cache of its own."""
    cache = {"UV_CACHE_DIR": str(folder / "cache"), "PIP_NO_CACHE_DIR": "1"}
    path = {"PATH": f"{folder}/.venv/bin:/usr/bin:/bin"}
    command = [sys.executable, "envs/install.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen(command, cwd=folder, env=os.environ | cache | path, **pipes)


@pytest.mark.open  # asks a registry for 100 MB
def test_a_stopped_installation_continues(small):
    large = {"numpy", "pyarrow", "scipy"}

    def whole() -> set[str]:
        links = [
            path for path in small.glob("cache/wheels-v*/pypi/*/*") if path.with_name(path.name + ".http").exists()
        ]
        return {path.parent.name for path in links} & large

    first = start(small)
    while first.poll() is None and not whole():
        time.sleep(0.01)
    assert first.poll() is None, first.communicate()[0]
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = whole()
    assert not list(small.glob(".venv/lib/*/site-packages/numpy"))
    second = start(small)
    told, _ = second.communicate(timeout=300)
    assert second.returncode == 0, told
    assert set(re.findall(r"Downloading (\w+) ", told)) & large == large - kept
    versions = subprocess.check_output([small / ".venv/bin/uv", "pip", "list"], cwd=small, text=True)
    assert {line.split()[0] for line in versions.splitlines()} >= {"numpy", "pyarrow", "sheetlens"}

    # uv itself half there, as a kill of pip leaves it: it is put there again.
    with (small / ".venv/bin/uv").open("r+b") as program:
        program.truncate(100_000)
    third = start(small)
    told, _ = third.communicate(timeout=300)
    assert third.returncode == 0, told


@pytest.mark.open  # asks a registry
def test_a_package_of_another_hash_is_refused(small):
    lock = small / "requirements.lock"
    wrong = re.sub(r"(?<=sha256:)[0-9a-f]{60}", "0" * 60, lock.read_text().split("uv==")[0])
    lock.write_text(wrong + "uv==" + lock.read_text().split("uv==")[1])
    run = start(small)
    told, _ = run.communicate(timeout=300)
    assert run.returncode != 0
    assert "Hash mismatch" in told
    assert "the packages could not be installed" in told


def test_an_old_python_can_read_the_file():
    """No syntax newer than Python 3.0, so that the sentence appears instead of a SyntaxError."""
    import ast

    ast.parse((ROOT / "envs/install.py").read_text(), feature_version=(3, 0))
    assert "[*" not in (ROOT / "envs/install.py").read_text()
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
