"""The container recipes agree with the project and with each other; neither can be built where the tests run."""

import re
import subprocess

import pytest
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT

DOCKERFILE = (ROOT / "envs/Dockerfile").read_text()
APPTAINER = (ROOT / "envs/apptainer.def").read_text()
INSTALLS = re.findall(r"pip install .*", DOCKERFILE)


def copied() -> set[str]:
    lines = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()}


def test_everything_copied_is_in_the_project():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    for source in copied():
        assert any(path == source or path.startswith(f"{source}/") for path in tracked), source


def test_everything_that_the_workflow_needs_is_copied():
    needed = {"Snakefile", "requirements.lock", "pyproject.toml", "config", "envs", "profiles", "workflow"}
    assert needed <= copied()


def test_only_what_is_copied_is_sent():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == copied()


def test_packages_are_the_locks_by_hash_and_nothing_else():
    assert len(INSTALLS) == 2
    assert "--require-hashes --requirement requirements.lock" in INSTALLS[0]
    assert "--no-deps" in INSTALLS[1]
    assert DOCKERFILE.index("COPY requirements.lock") < DOCKERFILE.index(INSTALLS[0])


def test_the_base_images_python_is_one_we_support():
    version = re.search(r"^FROM \S+/python:([\d.]+)-slim", DOCKERFILE, re.MULTILINE)[1]
    supported = re.search(r'requires-python = "(.*)"', (ROOT / "pyproject.toml").read_text())[1]
    assert f"{version}.0" in SpecifierSet(supported)


def test_apptainer_makes_the_same_image():
    assert (
        re.search(r"^FROM (.*)$", DOCKERFILE, re.MULTILINE)[1] == re.search(r"^From: (.*)$", APPTAINER, re.MULTILINE)[1]
    )
    assert re.findall(r"pip install .*", APPTAINER) == INSTALLS
    files = APPTAINER.split("%files")[1].split("%")[0].split()
    assert set(files[::2]) == copied()
    assert files[1::2] == [f"/opt/sheetlens/{source}" for source in files[::2]]
