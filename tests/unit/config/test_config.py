import copy
import difflib
import re
import shutil

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from sheetlens.common.errors import UserError
from sheetlens.config import Settings, lay_over_environment, read_files, read_settings
from sheetlens.config.reference import json_schema, reference
from tests.conftest import ROOT

PAPER = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def overlay(values: dict, changes: dict) -> dict:
    """Lay one config over another as Snakemake does."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            overlay(values[key], value)
        else:
            values[key] = value
    return values


@pytest.mark.parametrize(
    ("name", "study"), [("demo", "demo"), ("own", "own"), ("audits", "demo"), ("explore", "paper")]
)
def test_overlays_fit_the_paper_config(name, study):
    settings = read_settings(overlay(copy.deepcopy(PAPER), yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())))
    assert settings.study == study


def test_paper_config_states_the_paper():
    settings = read_settings(PAPER)
    assert list(settings.chosen) == ["mercury", "lycophytes"]
    assert [dataset.network for dataset in settings.chosen.values()] == ["table1", "table2"]
    assert sum(archive.images for archive in settings.datasets["mercury"].figshare.values()) == 7776 + 7777
    assert (settings.split.train, settings.split.validation, settings.split.test) == (0.7, 0.2, 0.1)
    assert len(settings.split.seeds) == 5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trian": {}}, "unknown key 'trian'; did you mean 'train'?"),
        ({"train": {"epoch": 3}}, "unknown key 'train.epoch'; did you mean 'epochs'?"),
        ({"datasets": {"mercury": {"figshare": {"stained": {"flie": 1}}}}}, "did you mean 'file'?"),
        ({"datasets": {"mercury": {"paper": {"qqq": 1}}}}, "known here are accuracy, kept_accuracy, test_sheets"),
        (
            {"predict": {"collections": {"x": {"input": "y", "dataset": "mercry"}}}},
            "predict.collections.x names the data set 'mercry', and the data sets are ['mercury', 'lycophytes']",
        ),
        (
            {"predict": {"risk": 0.3, "collections": {"x": {"input": "y", "dataset": "mercury"}}}},
            "predict.risk is 0.3, which is none of evaluate.risks",
        ),
        ({"predict": {"collections": {"a b": {"input": "y", "dataset": "mercury"}}}}, "collection name 'a b' becomes"),
        ({"train": {"epochs": "ten"}}, "'train.epochs' is 'ten': input should be a valid integer"),
        ({"train": {"epochs": 0}}, "'train.epochs' is 0: input should be greater than or equal to 1"),
        ({"datasets": {"mercury": {"source": "demo"}}}, "no section 'demo' beside it"),
        ({"datasets": {"mercury": {"network": None}}}, "'datasets.mercury.network'"),
        ({"datasets": {"a/b": PAPER["datasets"]["mercury"]}}, "data set name 'a/b' becomes a folder"),
        (
            {"datasets": {"mercury": {"network": "tabel1"}}},
            "datasets.mercury.network names the network 'tabel1', and the networks are ['table1', 'table2',",
        ),
        ({"train": {"learning_rate": {"wide": 1e-3}}}, "train.learning_rate.wide names the network 'wide'"),
        ({"networks": {"table1": {"groups": [[4, 5]]}}}, "networks has another table1: give it another name"),
        ({"networks": {"a/b": {"groups": [[4, 5]]}}}, "network name 'a/b' becomes a folder"),
        ({"networks": {"w": {"groups": [[4, 5]], "poling": "max"}}}, "unknown key 'networks.w.poling'"),
        ({"networks": {"w": {"groups": [[4, 5]] * 7}}}, "'networks.w': the groups leave none of a sheet's 256 pixels"),
        ({"networks": {"w": {"groups": []}}}, "'networks.w': a network has either groups or a backbone"),
        ({"explore": {"mercury": ["wide"]}}, "explore.mercury names the network 'wide', and the networks are"),
        ({"explore": {"ferns": ["table1"]}}, "explore names unknown data sets ['ferns']"),
        (
            {"networks": {"v": {"backbone": "vit_b_16"}}, "datasets": {"mercury": {"network": "v"}}},
            "datasets.mercury.network is a vit_b_16, of which the audits can draw no maps",
        ),
        ({"split": {"test": 0.3}}, "must add up to 1"),
        ({"split": {"seeds": [1, 1]}}, "different from each other"),
        ({"run": ["mercuri"]}, "known are ['lycophytes', 'mercury']"),
    ],
)
def test_a_fault_is_one_sentence_with_a_hint(changes, sentence):
    with pytest.raises(UserError) as error:
        read_settings(overlay(copy.deepcopy(PAPER), changes))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "write"), [("config/schema.json", json_schema), ("docs/reference/keys.md", reference)]
)
def test_a_committed_page_is_the_generated_one(file, write):
    committed, generated = (ROOT / file).read_text().splitlines(), write(Settings).splitlines()
    drift = "\n".join(difflib.unified_diff(committed, generated, "committed", "from the models", lineterm=""))
    assert not drift, f"{file} is not what the models say; run: make schema\n{drift}"


def test_every_key_stands_in_the_reference_once_with_its_sentence():
    page = reference(Settings)
    definitions = Settings.model_json_schema()
    for section in [definitions, *definitions["$defs"].values()]:
        for key, facts in section["properties"].items():
            sentence = " ".join(facts["description"].split())
            assert len(re.findall(rf"^\| `{key}` \| {re.escape(sentence)} \|", page, re.MULTILINE)) >= 1, key
    assert "| `epochs` | Most passes over the training part. | integer, at least 1 | `20` |" in page
    assert "| `title` | A name for people, used in figures and the report. | text | required |" in page
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert len(set(headings)) == len(headings) == 1 + len(definitions["$defs"])
    anchors = {re.sub(r"[^a-z0-9_ -]", "", heading[3:].lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors


def test_the_manual_names_no_key_that_is_gone():
    definitions = Settings.model_json_schema()
    known = {key for section in [definitions, *definitions["$defs"].values()] for key in section["properties"]}
    rows = re.findall(r"^\| `([^|]*)` \|", (ROOT / "docs/reference/configuration.md").read_text(), re.MULTILINE)
    named = {part for row in rows for words in row.split("`") for part in words.replace(", ", ".").split(".")}
    assert {part for part in named if part.isidentifier()} - {"name", "collections"} <= known


@pytest.mark.parametrize("content", [b"study: \xff", b"- study", b"study", b"since: 2020-13-01", b"[" * 5000])
def test_a_file_that_is_no_config_is_said_to_be_none(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml cannot be read"):
        read_files([tmp_path / "config.yaml"])


def test_what_make_hands_over_is_laid_over_the_config():
    values = {"datasets": {"own": {"folder": {"path": "sheets"}, "title": "Mine"}}}
    name = 'ferns "{x}" $HOME; rm'
    lay_over_environment(values, {"SHEETLENS_SHEETS": name, "SHEETLENS_CONTACT": "", "OTHER": "x"})
    assert values == {"datasets": {"own": {"folder": {"path": name}, "title": "Mine"}}}
    lay_over_environment(values, {"SHEETLENS_CONTACT": name})
    assert values["fetch"] == {"contact": name}


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_an_experiment_of_dvc_changes_one_value_and_no_other_line(path, tmp_path):
    """`dvc exp run --set-param` writes a config file anew: its lists in block style, its lines no wider than 80."""
    changed = tmp_path / path.name
    shutil.copy(path, changed)
    apply_overrides(changed, ["++fetch.pause=7.5"])
    assert changed.read_text() == path.read_text() + "fetch:\n  pause: 7.5\n"
