"""The documents say what the products say, leave open what only a person knows, and load nothing."""

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rocrate.rocrate import ROCrate

from sheetlens.audit.finding import Finding
from sheetlens.config import Settings, read_settings
from sheetlens.document.crate import write_crate
from sheetlens.document.pages import write_documents
from sheetlens.document.reforms import DRAWN, ITEMS, answer_items
from sheetlens.document.study import Study, read_study
from sheetlens.evaluate.verdict import judge_reproduction
from sheetlens.figure.catalogue import names
from tests.conftest import ROOT
from tests.unit.config.test_config import overlay
from tests.unit.finished_study import MadeUp, make_study
from tests.unit.report.test_report import HOSTILE, Tags, words

KINDS = ("audits", "model-card", "datasheet", "reforms")
ALARM = Finding("imaging set-up", "alarm", "The class shows at the border.", "Photograph again.", {"p": 0.001}, [])
BASELINES = {"majority": {}, "border strip": {}}
FINDINGS = {
    "duplicates": Finding("duplicates", "ok", "No two pictures are one sheet.", "", {}, []),
    "leakage-random": Finding("leakage", "ok", "No sheet leaks.", "", {}, []),
    "leakage-grouped": Finding("leakage", "ok", "This is another protocol's.", "", {}, []),
    "shortcuts-random": Finding("shortcut baselines", "ok", "Cheap ones are worse.", "", {"baselines": BASELINES}, []),
}
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
    for name, finding in FINDINGS.items():
        finding.write(folder / f"audits/{name}.json")
    row = {"rank": 1, "image_id": made_up.name.format(number=3), "label": made_up.classes[0], "suggested": "other"}
    labels = pd.DataFrame(
        [row | {"probability": 0.01, "margin": -0.9, "models": 2, "contradicted": 2, "suspect": True}]
    )
    labels.to_csv(folder / "audits/labels.csv", index=False)
    (folder / "figures").mkdir()
    for name in names("audits"):
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


def answers(study: Study) -> dict[str, str]:
    return {item.number: item.answer for module in answer_items(study).values() for item in module}


def changed(study: Study, config: dict | None = None, evaluation: dict | None = None, **facts: Any) -> Study:
    """The study with other settings, another evaluation, or other facts of its models."""
    values = overlay(study.settings.model_dump(mode="json", exclude_none=True), config or {})
    models = [overlay(copy.deepcopy(model), copy.deepcopy(facts)) for model in study.models]
    outcome = replace(study.outcome, evaluation=study.outcome.evaluation | (evaluation or {}))
    return replace(study, settings=read_settings(values), models=models, outcome=outcome)


# What an answer must hold, for the drawn study; a new answer needs a line here.
KNOWN = {
    "1a": ["drawn by a program"],
    "2a": ["results/mercury/manifest.parquet", "0" * 64, "source: demo"],
    "2b": ["Sheetlens 0.1.0", "to be added"],
    "2c": ["Trained on cpu in float32"],
    "2d": ["README.md"],
    "2e": ["`snakemake`", "`dvc repro`"],
    "3a": ["originals/truth.parquet"],
    "3b": ["workflow/sheetlens/demo"],
    "3d": ["stained, unstained", "stained 40, unstained 40"],
    "3e": ["80 sheets: stained 40, unstained 40"],
    "3f": ["stained 4.8 %, unstained 0.0 %"],
    "4a": ["2 of 82 files were refused", "No other sheet is left out"],
    "4b": ["formats JPEG, PNG, TIFF, JPEG2000, WEBP is", "the used ones are JPEG 80."],
    "4c": ["256x256", "(squash, policy policy-1)", "by its mean and deviation in the training part."],
    "5a": ["3 networks of one kind (table1, 4,150,830 parameters)"],
    "5b": ["that of Schuettpelz et al. 2017, Table 1."],
    "5c": [
        "'random': at random over the sheets of each class",
        "70 % training, 20 % validation, 10 % test",
        "seeds 1, 2, 3 (sheets of the first: train",
    ],
    "5d": ["best validation accuracy", "none is chosen. "],
    "5e": [
        "None in this run.",
        "highest rate 0.0001 (one_cycle), weight decay 0, batches of 32, at most 12 epochs,",
        "patience 10, dropout 0.5",
    ],
    "5f": ["majority, border strip. Cheap ones are worse."],
    "6a": ["Channel statistics and training use the training part"],
    "6b": ["No two pictures are one sheet. No sheet leaks."],
    "7a": ["least confident 10 % set aside", "about equally large"],
    "7b": ["at 95 %", "over 3 seeds"],
    "7c": ["one for each specimen", "twice the median p"],
    "8b": ["Any real sheet"],
}


def test_the_checklist_states_what_the_run_knows_and_leaves_the_rest_open(drawn, hostile):
    assert sum(len(items) for items in ITEMS.values()) == 32
    found = answers(drawn)
    assert {number for number, answer in found.items() if answer} == set(KNOWN)
    for number, parts in KNOWN.items():
        for part in parts:
            assert part in found[number], number
    assert {number for number, answer in answers(hostile).items() if answer} == set(KNOWN) - set(DRAWN)


WIDE = {"groups": [[32, 5], [64, 5]], "pooling": "max", "hidden": 500}
TUNED = {"backbone": "resnet18", "weights": {"torchvision": "IMAGENET1K_V1"}, "train": "all"}


@pytest.mark.parametrize(
    ("number", "changes", "says"),
    [
        ("5b", {"network": "wide", "definition": WIDE}, "'wide' is none of the paper's (groups [[32, 5], [64, 5]];"),
        ("5b", {"network": "table2"}, "Table 2"),
        ("5a", {"network": "table2", "parameters": 7}, "(table2, 7 parameters)"),
        ("4c", {"network": "tuned", "definition": TUNED}, "by values that came with the weights"),
        ("4c", {"fit": "letterbox", "image_size": 128}, "128x128 pixels (letterbox,"),
        ("4c", {"settings": {"recipe": {"flip": True, "rotate": 5.0}}}, "varied at random (flip True, rotate 5.0)"),
        ("6a", {"network": "tuned", "definition": TUNED}, "Training uses the training part"),
        ("2c", {"device": "cuda", "precision": "bfloat16"}, "Trained on cuda in bfloat16"),
        ("5d", {"restarts": [{"seed": 9, "epoch": 2, "reason": "x"}]}, "failed: seeds 1, 2, 3."),
        ("5e", {"settings": {"batch_size": 64}}, "batches of 64, at most 12 epochs"),
        ("5e", {"settings": {"recipe": {"average": 0.99}}}, "averaged with decay 0.99"),
        ("5e", {"config": {"explore": {"mercury": ["table2"]}}}, "to be compared with: table2."),
        ("5c", {"config": {"split": {"train": 0.6, "validation": 0.3}}}, "60 % training, 30 % validation"),
        ("5c", {"evaluation": {"protocol": "grouped"}}, "sheets that belong together (specimen, duplicate, event)"),
        ("5c", {"evaluation": {"protocol": "held_out_source"}}, "the test part is one source (institutionCode)"),
        ("4a", {"evaluation": {"protocol": "held_out_source"}}, "belong together with one held out are in no part"),
        ("7a", {"evaluation": {"set_aside_fraction": 0.2}}, "least confident 20 % set aside"),
        ("7b", {"evaluation": {"confidence": 0.9, "seeds": [4]}}, "at 90 % for the independent sheets"),
    ],
)  # fmt: skip
def test_the_checklist_states_what_this_study_used(drawn, number, changes, says):
    assert says not in answers(drawn)[number]
    assert says in answers(changed(drawn, **changes))[number]


def test_the_checklist_counts_the_sheets_at_hand(drawn):
    fewer = drawn.manifest[(drawn.manifest["label"] == "stained") | (drawn.manifest.index % 4 == 1)]
    found = answers(replace(drawn, manifest=fewer.assign(format="PNG")))
    assert "the used ones are PNG 60." in found["4b"]
    assert "60 sheets: stained 40, unstained 20" in found["3e"]
    assert "unequally large" in found["7a"]


def test_the_datasheet_states_the_preparation_of_this_study(drawn, tmp_path):
    assert "stretched to the square; nothing is cropped" in words(page(drawn, "datasheet", tmp_path))
    text = words(page(changed(drawn, fit="crop_sheet"), "datasheet", tmp_path))
    assert "border and colour bar trimmed" in text and "nothing is cropped" not in text


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
    assert "fetch" not in config  # a contact's address is in there
    assert config["evaluate"] == drawn.settings.model_dump(mode="json")["evaluate"]
