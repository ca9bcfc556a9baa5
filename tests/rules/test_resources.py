"""What a rule asks a cluster for covers what was measured of it."""

import csv
import re
from itertools import pairwise

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Wildcards
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from sheetlens.fetch.http.rate_limits import LIMITS
from tests.conftest import ROOT

with (ROOT / "benchmarks/resources.tsv").open() as file:
    MEASURED = list(csv.DictReader(file, delimiter="\t"))
RESULTS = (ROOT / "benchmarks/RESULTS.md").read_text()
ROOM = 1.15  # so much more than what was measured


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> dict[str, dict]:
    """What each rule of the paper's study asks for in the first and in the second attempt, if not for the default."""
    settings = {"resource_settings": ResourceSettings(cores=16), "workdir": tmp_path_factory.mktemp("study")}
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(snakefile=ROOT / "Snakefile", **settings)._workflow
        return {
            rule.name: {attempt: dict(rule.expand_resources(Wildcards(), [], attempt).items()) for attempt in (1, 2)}
            for rule in workflow.rules
        }


def default(profile: str, name: str) -> int:
    text = yaml.safe_load((ROOT / f"profiles/{profile}/profile.yaml").read_text())["default-resources"][name]
    return int(text.removesuffix(" * attempt"))


@pytest.mark.parametrize("profile", ["slurm", "sge", "kubernetes"])
@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["rule"])
def test_a_job_gets_what_it_needs(row, profile, asked):
    for name, column in (("mem_mb", "mb"), ("runtime", "minutes")):
        first, second = (asked[row["rule"]][attempt].get(name, default(profile, name) * attempt) for attempt in (1, 2))
        assert first >= ROOM * float(row[column]), f"{row['rule']}: {name}"
        assert second >= 2 * first


def test_every_rule_that_computes_much_is_measured(asked):
    """More than one thread, a GPU, or hours."""
    much = {rule for rule, values in asked.items() if values[1]["_cores"] > 1 or "gpu" in values[1]}
    assert much - {"fetch_demo"} <= {row["rule"] for row in MEASURED}
    assert {row["rule"] for row in MEASURED} <= asked.keys()


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["rule"])
def test_a_number_has_a_source_or_is_called_an_estimate(row):
    told = row["measured"]
    if told == "the same":
        return
    memory, minutes = told.split("; minutes: ")
    sections = {line.split()[1].rstrip(":") for line in RESULTS.splitlines() if line.startswith("## ")}
    named = re.findall(r"RESULTS\.md, (\w+)", told)
    assert set(named) <= sections and (named or "estimate" in memory)
    assert "estimate" in minutes or re.search(r"took \d+ s", minutes)


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["rule"])
def test_memory_is_the_sum_of_its_parts(row):
    parts = [int(part.replace(",", "")) for part in re.findall(r"([\d,]+) MB:", row["measured"])]
    assert not parts or sum(parts) == int(row["mb"])


def test_the_same_is_the_same():
    for before, row in pairwise(MEASURED):
        if row["measured"] == "the same":
            assert (row["mb"], row["minutes"]) == (before["mb"], before["minutes"]), row["rule"]


def test_hours_of_fetching_follow_from_the_default_of_a_host():
    (row,) = [row for row in MEASURED if row["rule"] == "fetch_remote"]
    assert int(row["minutes"]) == 18_000 / LIMITS[""].rate / 60
    page = (ROOT / "docs/how-to/clusters.md").read_text()
    assert LIMITS[""].rate == 2 and "18,000 pictures at two a second" in row["measured"]
    assert "Fetching 18,000 images at two a second takes hours" in page
