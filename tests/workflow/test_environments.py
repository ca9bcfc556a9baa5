"""Each environment has all that its rules need: its exact packages in a fresh venv, its rules run by that Python.

No conda is here; the packages of an environment are wheels that pip installs, and those are installed as named,
without their dependencies: one that envs/*.yaml forgets is missing here as it would be at a user's.
"""

import csv
import io
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT, digests, snakemake, tiny_demo

pytestmark = pytest.mark.open
RULE = re.compile(r'^rule (\w+):\n(?:(?!^rule ).)*?conda:\s+"../../envs/(\w+).yaml"', re.DOTALL | re.MULTILINE)
INCLUDES = re.findall(r'^include: "(.*)"', (ROOT / "Snakefile").read_text(), re.MULTILINE)
RULES = dict(pair for path in INCLUDES for pair in RULE.findall((ROOT / path).read_text()))


@pytest.fixture(scope="module")
def commands(finished) -> dict[str, str]:
    """The shell command of one job of each rule of the tiny demo, in the order of the rules."""
    table = snakemake(finished, *tiny_demo(finished), "--detailed-summary").stdout
    jobs = {row["rule"]: row["shellcmd"] for row in csv.DictReader(io.StringIO(table), delimiter="\t")}
    return {rule: jobs[rule] for rule in RULES if rule in jobs}


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """A copy of the finished study, to work in; beside it, so that relative paths hold."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("study"), dirs_exist_ok=True)


def install(environment: str, folder) -> None:
    """A venv with the packages of an environment."""
    (pins,) = [part["pip"] for part in read(environment)["dependencies"] if isinstance(part, dict)]
    (folder / "pins.txt").write_text("\n".join(pins))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "venv/bin/python",
        "install",
        "--disable-pip-version-check",
    ]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-compile", "-r", folder / "pins.txt"], check=True)


def read(environment: str) -> dict:
    return yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())


@pytest.mark.parametrize("environment", sorted(set(RULES.values())))
def test_an_environment_runs_its_rules(environment, commands, study, finished, tmp_path):
    mine = {rule: commands[rule] for rule in commands if RULES[rule] == environment}
    assert mine
    try:
        install(environment, tmp_path)
        surroundings = {"HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT / "workflow")}
        surroundings["PATH"] = f"{tmp_path}/venv/bin:/usr/bin:/bin"
        for rule, command in mine.items():
            words = ["bash", "-c", f"set -euo pipefail; {command}"]
            result = subprocess.run(words, cwd=study, env=surroundings, capture_output=True, text=True)
            assert result.returncode == 0, f"{rule}: {result.stdout}{result.stderr}"
    finally:
        shutil.rmtree(tmp_path / "venv", ignore_errors=True)  # the one for torch takes 5 GB
    made = {path: digest for path, digest in digests(study / "results").items() if "shards/" not in path}
    assert made == digests(finished / "results")


def test_every_rule_but_those_the_tiny_demo_does_not_ask_for_was_run(commands):
    others = {"fetch_folder", "fetch_remote", "split_groups", "predict_list", "predict_part", "predict_merge"}
    assert RULES.keys() - commands.keys() == others
