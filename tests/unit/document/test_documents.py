"""The documents say what the products say, leave open what only a person knows, and load nothing."""

import copy
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rocrate.rocrate import ROCrate

from sheetlens.audit.finding import Finding
from sheetlens.config import Settings, read_settings
from sheetlens.document.crate import write_crate
from sheetlens.document.pages import FIGURES, write_documents
from sheetlens.document.reforms import ITEMS, answer_items
from sheetlens.document.study import Study, read_study
from sheetlens.evaluate.verdict import judge_reproduction
from tests.conftest import ROOT
from tests.unit.config.test_config import overlay
from tests.unit.finished_study import MadeUp, make_study
from tests.unit.report.test_report import HOSTILE, Tags, words

KINDS = ("audits", "model-card", "datasheet", "reforms")
ALARM = Finding("imaging set-up", "alarm", "The class shows at the border.", "Photograph again.", {"p": 0.001}, [])
QUIET = Finding("training", "ok", "Every run learnt its task.", "Nothing to do.", {}, [])


def settings(study: str) -> Settings:
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return read_settings(overlay(values, yaml.safe_load((ROOT / f"config/{study}.yaml").read_text())))


def study_of(root: Path, made_up: MadeUp, config: str) -> Study:
    evaluation = make_study(root, made_up)
    folder = root / "results" / made_up.dataset
    (folder / "audits").mkdir()
    ALARM.write(folder / "audits/setup.json")
    QUIET.write(folder / "audits/training-random.json")
    row = {"rank": 1, "image_id": made_up.name.format(number=3), "label": made_up.classes[0], "suggested": "other"}
    labels = pd.DataFrame(
        [row | {"probability": 0.01, "margin": -0.9, "models": 2, "contradicted": 2, "suspect": True}]
    )
    labels.to_csv(folder / "audits/labels.csv", index=False)
    (folder / "figures").mkdir()
    for name in FIGURES:
        (folder / f"figures/figure-{name}.svg").write_text("<svg/>")
        (folder / f"figures/figure-{name}.png").write_bytes(b"longer than that")
    source = settings(config).datasets[made_up.dataset].source
    (folder / "verdict.json").write_text(json.dumps(judge_reproduction(json.loads(evaluation.read_text()), source)))
    return read_study(evaluation, settings(config), root / "results")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(tmp_path_factory.mktemp("project"), MadeUp(), "demo")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(tmp_path_factory.mktemp("project"), HOSTILE, "own")


def page(study: Study, kind: str, tmp_path: Path) -> str:
    write_documents(study, tmp_path)
    return (tmp_path / f"{kind}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_loads_nothing_runs_nothing_and_is_the_same_again(drawn, hostile, kind, tmp_path):
    for study in (drawn, hostile):
        text = page(study, kind, tmp_path)
        assert page(study, kind, tmp_path) == text
        tags = Tags()
        tags.feed(text)
        for tag, attributes in tags.tags:
            assert tag not in {"script", "link", "iframe", "object", "embed", "form"}
            assert attributes.get("src", "data:image/").startswith("data:image/")
            assert not [name for name in attributes if name.startswith("on")]
            target = attributes.get("href", "#")
            assert re.fullmatch(r"#|\.\./report\.html|[a-z-]+\.html(#\w+)?", target), target


def test_the_audits_page_shows_alarms_first_and_the_verdict(drawn, tmp_path):
    text = words(page(drawn, "audits", tmp_path))
    assert text.index(ALARM.sentence) < text.index(QUIET.sentence)
    assert ALARM.advice in text
    assert "Not comparable: the sheets are drawn by a program" in text
    assert "results/mercury/audits/setup.json" in text and "results/mercury/verdict.json" in text
    assert "sheet 0003.jpg" in text


def test_the_model_card_warns_and_gives_the_numbers_of_the_evaluation(drawn, tmp_path):
    text = words(page(drawn, "model-card", tmp_path))
    accuracy = drawn.outcome.evaluation["accuracy"]
    assert f"{100 * accuracy['mean']:.1f}" in text
    assert f"{100 * accuracy['low']:.1f}" in text
    assert ALARM.sentence in text.split("The models")[0]
    assert "“Unstained” never means “safe”." in text
    assert "2" * 64 in text


def test_the_datasheet_counts_what_the_manifest_counts(drawn, tmp_path):
    text = words(page(drawn, "datasheet", tmp_path))
    used = drawn.used["label"].value_counts()
    for label, count in used.items():
        assert f"{label} {count}" in text
    assert "CC0-1.0 (80)" in text
    assert "too small: 30x40 (1)" in text


def test_the_checklist_has_32_items_and_leaves_to_a_person_what_is_a_persons(drawn, hostile):
    assert sum(len(items) for items in ITEMS.values()) == 32
    for study, known in ((drawn, True), (hostile, False)):
        items = {item.number: item for module in answer_items(study).values() for item in module}
        assert len(items) == 32
        assert items["1b"].open and items["1c"].open and items["8a"].open and items["3g"].open
        assert not items["2a"].open and not items["5c"].open and not items["7b"].open
        assert items["1a"].open != known


# The research object


@pytest.fixture
def crate(drawn, tmp_path) -> tuple[Path, list[Path]]:
    results = tmp_path / "results"
    (results / "mercury").mkdir(parents=True)
    products = [results / "report.html", results / "mercury/manifest.parquet"]
    for path in products:
        path.write_text(path.name)
    write_crate(ROOT, drawn.settings, products, results)
    return results, products


def test_the_crate_opens_in_the_library_and_meets_the_profiles(crate):
    """Each MUST of Workflow Run Crate 0.5 and what it builds on."""
    results, _ = crate
    opened = ROCrate(results)
    main = opened.mainEntity
    assert set(main.type) >= {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert main["programmingLanguage"]["name"].lower() == "snakemake"
    root = opened.root_dataset
    assert root["name"] and root["description"] and root["license"]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", root["datePublished"])
    profiles = {entity.id for entity in root["conformsTo"]}
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in profiles
    assert all("CreativeWork" in entity.type for entity in root["conformsTo"])
    (action,) = opened.get_by_type("CreateAction")
    assert action["instrument"] == main
    assert {entity.id for entity in action["result"]} == {"report.html", "mercury/manifest.parquet"}
    mentioned = root["mentions"]
    assert action in (mentioned if isinstance(mentioned, list) else [mentioned])
    document = json.loads((results / "ro-crate-metadata.json").read_text())
    assert "https://w3id.org/ro/crate/1.1/context" in document["@context"]
    parts = {part["@id"] for entity in document["@graph"] if entity["@id"] == "./" for part in entity["hasPart"]}
    for entity in opened.data_entities:
        assert entity.id in parts
        assert (results / entity.id).is_file()
        assert entity["contentSize"] == str((results / entity.id).stat().st_size)
    known = {entity["@id"] for entity in document["@graph"]}
    assert len(known) == len(document["@graph"])


def test_the_crate_is_the_same_again_and_names_no_place(crate, drawn):
    results, products = crate
    before = (results / "ro-crate-metadata.json").read_bytes()
    write_crate(ROOT, copy.deepcopy(drawn.settings), products, results)
    assert (results / "ro-crate-metadata.json").read_bytes() == before
    assert str(results.parent).encode() not in before and str(ROOT).encode() not in before
    config = json.loads((results / "workflow/config.json").read_text())
    assert config["study"] == "demo"
