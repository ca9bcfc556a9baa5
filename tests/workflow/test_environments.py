"""Each environment has all that its rules need: its exact packages in a fresh venv, its rules run by that Python.

No conda is here; the packages of an environment are wheels that pip installs, and those are installed as named,
without their dependencies: one that envs/*.yaml forgets is missing here as it would be at a user's.
"""

import csv
import io
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from sheetlens.common import files
from tests.conftest import ROOT, digests, snakemake, tiny_demo
from tests.unit.hotspots.test_ranking import RECORDS, write_collection

pytestmark = pytest.mark.open
RULE = re.compile(r'^rule (\w+):\n(?:(?!^rule ).)*?conda:\s+"../../envs/(\w+).yaml"', re.DOTALL | re.MULTILINE)
INCLUDES = re.findall(r'^include: "(.*)"', (ROOT / "Snakefile").read_text(), re.MULTILINE)
RULES = dict(pair for path in INCLUDES for pair in RULE.findall((ROOT / path).read_text()))


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """A copy of the finished study, to work in, beside it so that relative paths hold; it has read a collection."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("study"), dirs_exist_ok=True)
    result = snakemake(folder, "explore", "results/collections/cabinets/predictions.csv", *arguments(folder))
    assert result.returncode == 0, result.stderr
    return folder


def arguments(folder) -> list[object]:
    collections = {"cabinets": {"input": "results/mercury/listing.parquet", "dataset": "mercury"}}
    more = {"predict": {"collections": collections}, "explore": {"mercury": ["features"]}}
    (folder / "more.yaml").write_text(yaml.safe_dump(more))
    return [*tiny_demo(folder), folder / "more.yaml"]


@pytest.fixture(scope="module")
def commands(study) -> dict[str, str]:
    """The shell command of one job of each rule of the tiny demo, in the order of the rules."""
    targets = ["all", "explore", "results/collections/cabinets/predictions.csv"]
    table = snakemake(study, *targets, *arguments(study), "--detailed-summary").stdout
    jobs = {row["rule"]: row["shellcmd"] for row in csv.DictReader(io.StringIO(table), delimiter="\t")}
    # A network of two epochs may be no better than chance, and then ranks nothing: made-up answers are ranked.
    write_collection(study, {"C1": (40, 30), "C2": (40, 1)})
    files.write_table(study / "answers.parquet", files.read_table(study / "answers.csv"))
    records = RECORDS.model_copy(update={"path": "records.csv"}).model_dump_json()
    jobs["predict_hotspots"] = (
        "python -m sheetlens hotspots --predictions answers.parquet --model . --output ranked"
        f" --records {shlex.quote(records)}"
    )
    return {rule: jobs[rule] for rule in RULES if rule in jobs}


@pytest.fixture(scope="module")
def made(study) -> dict[str, str]:
    """The products that each environment is to make again."""
    return products(study)


def products(study) -> dict[str, str]:
    """Digests of all but what the workflow deletes when it is used up: shards of images, and parts of features."""
    found = digests(study / "results")
    used_up = re.compile(r"(^|/)(shards|parts)/|/\d+\.features(\.json)?$")
    return {path: digest for path, digest in found.items() if not used_up.search(path)}


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
def test_an_environment_runs_its_rules(environment, commands, study, made, tmp_path):
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
    assert products(study) == made


def test_every_rule_but_those_the_tiny_demo_does_not_ask_for_was_run(commands):
    assert RULES.keys() - commands.keys() == {"fetch_folder", "fetch_remote", "split_groups"}
