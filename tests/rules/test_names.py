"""People's own names, with whatever is in them: braces are no wildcards, quotes and dollars are not the shell's."""

import shutil
import subprocess

import pytest
import yaml

from sheetlens.common import files
from tests.conftest import ROOT, snakemake
from tests.rules.test_rules import own_config, photographs  # noqa: F401 - a fixture

CLASSES = {name: {"images": 10, "where": {"family": [name]}} for name in ("Lycopodiaceae", "Selaginellaceae")}
NAMES = [
    'ferns "old"',
    "ferns '$HOME'",
    "ferns; touch pwned",
    "ferns `touch pwned`",
    "ferns {dataset} {x}",
    "fe $(shell touch pwned) #",
]


def make(folder, program, script, *words):
    """Run make in a folder of its own, where a script stands for one program."""
    for file in ("Makefile", "requirements.lock", "pyproject.toml", "envs/install.py"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    path = folder / ".venv/bin" / program
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    (folder / ".venv/installed").touch()
    return subprocess.run(["make", "--silent", *words], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("name", NAMES)
def test_make_hands_on_what_it_is_given_as_it_is(tmp_path, name):
    script = 'printf "%s|%s|%s" "$*" "$SHEETLENS_SHEETS" "$SHEETLENS_CONTACT"'
    result = make(tmp_path, "snakemake", script, "own", f"SHEETS={name}", f"CONTACT={name}@example.org")
    assert result.stdout == f"--cores all --configfile config/own.yaml|{name}|{name}@example.org", result.stderr
    assert not (tmp_path / "pwned").exists()


def test_braces_in_names_and_titles_are_no_wildcards(tmp_path, photographs):  # noqa: F811
    photographs.rename(tmp_path / "{x} photos")
    (tmp_path / "photos").symlink_to("{x} photos")
    table = "{dataset} records.csv"
    (tmp_path / table).write_text("barcode\n1\n")
    config = own_config(tmp_path, {"path": str(tmp_path / table)})
    values = yaml.safe_load(config.read_text())
    own = values["datasets"]["own"]
    own |= {"title": "My {sheets} of {seed}", "records": {"path": table, "barcode": "barcode"}}
    own["folder"]["path"] = "{x} photos"
    values["predict"] = {"collections": {"all": {"dataset": "own", "input": table}}}
    config.write_text(yaml.safe_dump(values))
    result = snakemake(tmp_path, "--configfile", config, "--dry-run", "--quiet", "all")
    assert result.returncode == 0, result.stdout + result.stderr
    result = snakemake(tmp_path, "--configfile", config, "--cores", "1", "results/own/listing.parquet")
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(files.read_table(tmp_path / "results/own/listing.parquet")) == 24


def test_a_records_table_with_braces_in_its_name_is_watched(tmp_path, photographs):  # noqa: F811
    table = tmp_path / "{x}.csv"
    table.write_text("barcode\n1\n")
    config = own_config(tmp_path)
    values = yaml.safe_load(config.read_text())
    values["datasets"]["own"]["records"] = {"path": "{x}.csv", "barcode": "barcode"}
    config.write_text(yaml.safe_dump(values))
    arguments = ("--configfile", config, "--cores", "1", "results/own/listing.parquet")
    assert snakemake(tmp_path, *arguments).returncode == 0
    assert "Nothing to be done" in snakemake(tmp_path, *arguments).stderr
    table.write_text("barcode\n2\n")
    assert "fetch_folder" in snakemake(tmp_path, *arguments, "--dry-run").stdout


def test_the_documented_pattern_of_the_smithsonian_is_planned(tmp_path):
    config = tmp_path / "config.yaml"
    section = {"classes": CLASSES, "unit": "NMNHBOTANY", "size": 512}
    section["metadata"] = "http://127.0.0.1:1/meta/{shard}.txt.bz2"
    dataset = {"title": "S", "source": "smithsonian", "network": "table1", "smithsonian": section}
    config.write_text(yaml.safe_dump({"datasets": {"s": dataset}, "run": ["s"]}))
    result = snakemake(tmp_path, "--configfile", config, "--dry-run", "--quiet", "all")
    assert result.returncode == 0, result.stdout + result.stderr


def test_passwords_of_addresses_in_the_config_stand_in_no_document(tmp_path, photographs):  # noqa: F811
    config = own_config(tmp_path)
    values = yaml.safe_load(config.read_text())
    values["datasets"]["own"]["records"] = {"path": "https://user:hunter2hunter2@example.org/r.csv?sig=hunter2hunter2"}
    config.write_text(yaml.safe_dump(values))
    result = snakemake(tmp_path, "--configfile", config, "--dry-run", "--printshellcmds")
    lines = result.stdout.splitlines()
    commands = [line for line in lines if " -m sheetlens crate" in line or " -m sheetlens document" in line]
    assert len(commands) == 2 and all("***@example.org/r.csv" in line for line in commands)
    assert not any("hunter2hunter2" in line for line in commands)


def test_a_project_in_a_folder_with_braces_is_one_sentence(tmp_path):
    project = tmp_path / "x {a}"
    for name in ("Snakefile", "workflow", "config", "profiles", "envs"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).symlink_to(ROOT / name)
    (project / "Snakefile").unlink()
    shutil.copy(ROOT / "Snakefile", project)
    (project / "workflow").unlink()
    shutil.copytree(ROOT / "workflow", project / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    result = snakemake(tmp_path, "--snakefile", project / "Snakefile", "--dry-run")
    assert result.returncode == 1 and "has braces in its name" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize("name", ["~t.csv", "t.{csv}", "lab//t.csv"])
def test_a_table_of_labels_of_any_name_is_read(tmp_path, photographs, name):  # noqa: F811
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    rows = [f"{one.relative_to(photographs)},{one.parent.name}\n" for one in photographs.rglob("*.png")]
    path.write_text("".join(["image_id,label\n", *rows]))
    config = own_config(tmp_path)
    values = yaml.safe_load(config.read_text())
    values["datasets"]["own"]["folder"]["labels"] = name
    config.write_text(yaml.safe_dump(values))
    result = snakemake(tmp_path, "--configfile", config, "--cores", "1", "results/own/listing.parquet")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("value", ["3.12; touch pwned", '"; touch pwned; "', "$(shell touch pwned)", "`touch pwned`"])
def test_the_kit_for_gpus_is_given_values_as_they_are(tmp_path, value):
    result = make(tmp_path, "python", 'printf "%s|" "$@"', "gpu-kit", f"GPU_PYTHON={value}", f"GPU_HAS={value}")
    assert result.stdout == f"-m|benchmarks.gpu.kit|--python|{value}|--there|{value}|", result.stderr
    assert not (tmp_path / "pwned").exists()
