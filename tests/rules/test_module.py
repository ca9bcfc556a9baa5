"""The workflow as a module of a study that brings nothing but what is its own."""

import subprocess
import sys

import yaml

from tests.conftest import ROOT
from tests.rules.test_rules import jobs, own_config, photographs  # noqa: F401

STUDY = """
configfile: "study.yaml"


module sheetlens:
    snakefile:
        "{root}/Snakefile"
    config:
        config


use rule * from sheetlens as sheetlens_*


rule all:
    input:
        "counted.txt",
    default_target: True


rule count:
    input:
        "results/own/listing.parquet",
    output:
        "counted.txt",
    shell:
        "python -c 'import sys, pyarrow.parquet as p; print(p.read_table(sys.argv[1]).num_rows)' {{input}} > {{output}}"


onstart:
    sheetlens.begin_run()


onsuccess:
    sheetlens.end_run()
"""


def test_a_study_uses_the_workflow_with_nothing_but_its_overlay(tmp_path, photographs):  # noqa: F811
    values = yaml.safe_load(own_config(tmp_path).read_text())
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "Snakefile").write_text(STUDY.format(root=ROOT))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--workflow-profile", ROOT / "profiles/default"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert int((tmp_path / "counted.txt").read_text()) == 24
    assert (tmp_path / "logs/hashes.tsv").exists()

    # All of the rest fits together as well, and none of the paper's data sets is asked for.
    result = subprocess.run([*command, "sheetlens_all", "--dry-run"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert jobs(result.stdout + result.stderr)["sheetlens_features_head"] == 6
    assert "mercury" not in result.stdout + result.stderr
