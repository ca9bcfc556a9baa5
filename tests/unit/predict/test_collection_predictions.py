"""A model of three classes, trained on photographs made for it, reads others: whole, again, and after kills."""

import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from safetensors.numpy import load_file, save_file

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import safe_cell
from sheetlens.config import Evaluate, Predict
from sheetlens.predict import collection_predictions
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.collection_predictions import bounds, merge, write_part
from sheetlens.predict.inference import BATCH
from sheetlens.predict.input_list import write_list
from sheetlens.predict.model_package import PARTS
from sheetlens.predict.packaging import write_package
from sheetlens.statistics.calibration import log_odds
from tests.conftest import ROOT, sheetlens
from tests.unit.garden import CLASSES, RISK, jpeg, make_model, photograph
from tests.unit.prepare.test_resize import encode, sheet


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A packaged model."""
    return make_model(tmp_path_factory.mktemp("study"))


NAMES = ("two\nlines.jpg", 'quote".jpg', "comma, and\r.jpg", "=1+1.jpg", "<b>bold</b>.jpg", "US 000123.jpg")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three batches of sheets of all classes, with files of strange names and files that are no pictures."""
    folder = tmp_path_factory.mktemp("collection") / "photographs"
    for name, level in CLASSES.items():
        for number in range(22):
            jpeg(photograph(level, 100 + number), folder / name / f"US-000{number:03}.jpg")
    for number, name in enumerate(NAMES):
        jpeg(photograph(130, 200 + number), folder / name)
    (folder / "page.jpg").write_text("<html>Request Rejected</html>")
    (folder / "cut.jpg").write_bytes((folder / NAMES[0]).read_bytes()[:-900])
    noise = np.random.default_rng(0).integers(0, 255, (220, 160, 3), np.uint8)
    jpeg(Image.fromarray(noise), folder / "noise.jpg")
    return folder


PRODUCTS = ("predictions.parquet", "predictions.csv", "summary.json")


def run(model, source, folder, parts=1, risk=RISK, unguaranteed=True):
    """All that `sheetlens predict` does, here; the digests of the products. So few sheets allow no guarantee."""
    classifier, listing = Classifier(model, unguaranteed=unguaranteed), folder / "list.parquet"
    stems = [folder / f"parts/{part}" for part in range(parts)]
    write_list(source, listing)
    for part in reversed(range(parts)):
        write_part(classifier, listing, part, parts, stems[part], risk, 2)
    merge(classifier, listing, stems, risk, folder / PRODUCTS[0], folder / PRODUCTS[2])
    return [files.sha256(folder / name) for name in PRODUCTS]


@pytest.fixture(scope="module")
def whole(model, photographs, tmp_path_factory):
    """The folder of a run that nobody disturbed, and its digests."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(model, photographs, folder)


def test_the_thresholds_of_a_check_replace_the_models(model, tmp_path):
    facts = {"classes": {}, "looks": [], "model": {"package_sha256": files.sha256(model / "package.json")}}
    row = {"risk": RISK, "threshold": -2.5, "coverage": 0.9, "unguaranteed": -2.6, "unguaranteed_coverage": 0.95}
    files.write_json(tmp_path / "check.json", facts | {"thresholds": [row]})
    plain, checked = Classifier(model), Classifier(model, checked=tmp_path / "check.json")
    assert checked.threshold(RISK) == {"risk": RISK, "threshold": -2.5, "guaranteed": True, "coverage": 0.9}
    assert plain.threshold(RISK)["threshold"] is None
    assert (plain.checked, checked.checked) == (None, files.sha256(tmp_path / "check.json"))
    files.write_json(tmp_path / "check.json", facts | {"thresholds": [row], "model": {"package_sha256": "0"}})
    with pytest.raises(UserError, match="about another model"):
        Classifier(model, checked=tmp_path / "check.json")


def test_the_interface_lists_the_columns_of_the_table(whole):
    products = yaml.safe_load((ROOT / "INTERFACE.yaml").read_text())["products"]
    (known,) = [one["columns"] for one in products if one["title"] == "Predictions of a collection"]
    found = [
        re.sub("^probability_.+", "probability_{class}", name) for name in files.read_table(whole[0] / PRODUCTS[0])
    ]
    assert list(dict.fromkeys(found)) == list(known)


def test_every_file_has_a_row_with_what_became_of_it(model, photographs, whole):
    table = files.read_table(whole[0] / "predictions.parquet").set_index("image_id")
    found = {path.relative_to(photographs).as_posix() for path in photographs.rglob("*") if path.is_file()}
    assert set(table.index) == found
    assert len(table) == len(found) == 75
    assert table["status"].value_counts().to_dict() == {"ok": 73, "refused": 2}
    refused = table.loc[["cut.jpg", "page.jpg"]]
    assert (refused["decision"] == "").all() and refused["distance"].isna().all()
    assert table.loc["page.jpg", "reason"] == "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture, but a web page"
    assert table.loc["fern/US-000007.jpg", ["specimen_id", "barcode"]].tolist() == ["US-000007", "US7"]
    assert table.loc["fern/US-000007.jpg", "sha256"] == files.sha256(photographs / "fern/US-000007.jpg")


def test_answers_are_the_networks_calibrated_as_stored_with_the_model(model, photographs, whole):
    table = files.read_table(whole[0] / "predictions.parquet").set_index("image_id")
    package = files.read_json(model / "package.json")
    shares = table.loc[table["unlike"].eq(False), [f"probability_{name}" for name in CLASSES]]
    assert len(shares) > 50
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1)
    threshold = next(known for known in package["thresholds"] if known["risk"] == RISK)
    assert threshold["threshold"] is None  # a guarantee
    sure = pd.Series(log_odds(shares.to_numpy()), shares.index) > threshold["unguaranteed"]
    decided = table.loc[shares.index, "decision"]
    assert (decided[sure] == shares[sure].idxmax(axis=1).str.removeprefix("probability_")).all()
    assert (decided[~sure] == "review").all()
    assert table.loc[shares.index[~sure], "reason"].str.startswith("not sure enough").all()
    in_folders = [name for name in decided.index[sure] if "/" in name]
    assert len(in_folders) > 30
    right = [decided[name] == name.split("/")[0] for name in in_folders]
    assert np.mean(right) > 0.85
    classifier = Classifier(model)
    hotter = Classifier(model)
    hotter.facts["temperature"] *= 10
    pixels = np.zeros((BATCH, 3, 256, 256), np.uint8)
    pixels[:16] = 120
    surest = [reader.read(pixels).probabilities.max(axis=1).mean() for reader in (hotter, classifier)]
    assert surest[0] < surest[1]


def test_without_a_guarantee_every_sheet_goes_to_review_unless_one_asks_by_name(model, photographs, whole, tmp_path):
    result = sheetlens("predict", model, photographs, "--output", tmp_path, "--risk", RISK)
    assert result.returncode == 0 and "all sheets go to review" in result.stderr
    table = files.read_table(tmp_path / "predictions.parquet")
    assert set(table["decision"]) == {"review", ""}
    assert files.read_json(tmp_path / "summary.json")["asked"]["threshold"] is None
    assert set(files.read_table(whole[0] / "predictions.parquet")["decision"]) > {"review", ""}
    assert files.read_json(whole[0] / "summary.json")["asked"]["guaranteed"] is False
    again = sheetlens("predict", model, photographs, "--output", tmp_path, "--risk", RISK, "--unguaranteed")
    assert "no guarantee" in again.stderr
    assert files.sha256(tmp_path / "predictions.parquet") == whole[1][0]


def test_predict_says_when_its_sheets_are_not_like_the_validation_part(whole, model, photographs, tmp_path):
    found = files.read_json(whole[0] / "summary.json")["comparison"]
    assert set(found) == {"distance", "p", "differs"}
    folder = tmp_path / "dull"
    for number in range(60):  # between two classes: the network is less sure of them
        jpeg(photograph(110, 300 + number), folder / f"{number}.jpg")
    result = sheetlens("predict", model, folder, "--output", tmp_path / "run", "--risk", RISK)
    assert "no guarantee applies" in result.stderr
    assert files.read_json(tmp_path / "run/summary.json")["comparison"]["differs"]


def test_what_is_no_sheet_is_flagged_and_not_classified(whole):
    table = files.read_table(whole[0] / "predictions.parquet").set_index("image_id")
    noise = table.loc["noise.jpg"]
    assert noise["unlike"] and noise["distance"] > 1
    assert noise["decision"] == "review"
    assert noise["reason"].startswith("unlike the sheets of the training")
    assert noise[[f"probability_{name}" for name in CLASSES]].isna().all()
    assert table["unlike"].sum() < 20


def test_the_csv_says_the_same_and_keeps_names_of_any_kind(whole):
    table = files.read_table(whole[0] / "predictions.parquet")
    with open(whole[0] / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == [safe_cell(name) for name in table["image_id"]]
    assert {"'=1+1.jpg", *NAMES} - {"=1+1.jpg"} <= {row["image_id"] for row in rows}
    for name in ("decision", "reason", "barcode", "status"):
        assert [row[name] for row in rows] == [safe_cell(value) for value in table[name]]
    for name in ("probability_moss", "distance"):
        values = [float(row[name]) if row[name] else np.nan for row in rows]
        np.testing.assert_array_equal(values, table[name].to_numpy())


def test_the_summary_counts_every_file_once(whole):
    facts = files.read_json(whole[0] / "summary.json")
    assert (
        facts["rows"]
        == 75
        == sum(facts["answered"].values()) + sum(facts[name] for name in ("unsure", "unlike", "refused"))
    )
    assert facts["refused"] == sum(facts["reasons"].values()) == 2
    assert facts["model"]["dataset"] == "garden" and facts["asked"]["risk"] == RISK


@pytest.mark.parametrize("parts", [2, 5])
def test_any_number_of_parts_gives_the_same_bytes(model, photographs, whole, tmp_path, parts):
    assert run(model, photographs, tmp_path, parts) == whole[1]


def test_parts_are_whole_batches_and_leave_nothing_out():
    for rows in (1, BATCH, BATCH + 1, 1000):
        for parts in (1, 3, 50):
            edges = [bounds(rows, part, parts) for part in range(parts)]
            assert edges[0][0] == 0 and edges[-1][1] == rows
            assert all(first[1] == min(second[0], rows) for first, second in itertools.pairwise(edges))
            assert all(start % BATCH == 0 for start, _ in edges)


def test_whatever_a_kill_leaves_the_next_run_ends_in_the_same_bytes(model, photographs, whole, tmp_path):
    journal = (whole[0] / "parts/0.jsonl").read_bytes()
    head = journal.index(b"\n") + 1
    cuts = [0, head - 3, head, head + 50, int(len(journal) * 0.6), len(journal) - 1]
    for number, cut in enumerate(cuts):
        folder = tmp_path / str(number)
        (folder / "parts").mkdir(parents=True)
        (folder / "parts/0.jsonl.part").write_bytes(journal[:cut])
        assert run(model, photographs, folder) == whole[1], cut


def test_what_was_done_is_not_done_again(model, photographs, whole, tmp_path, monkeypatch):
    shutil.copytree(whole[0] / "parts", tmp_path / "parts")
    monkeypatch.setattr(collection_predictions, "Readers", None)
    assert run(model, photographs, tmp_path) == whole[1]


@pytest.mark.parametrize("change", ["risk", "file", "model"])
def test_what_another_run_left_is_begun_anew(model, photographs, whole, tmp_path, change):
    shutil.copytree(whole[0] / "parts", tmp_path / "run/parts")
    source, chosen, risk = photographs, model, RISK
    if change == "risk":
        risk = 0.02
    if change == "file":
        source = tmp_path / "photographs"
        shutil.copytree(photographs, source)
        jpeg(photograph(90, 999), source / NAMES[0])
    if change == "model":
        chosen = tmp_path / "model"
        shutil.copytree(model, chosen)
        package = files.read_json(chosen / "package.json")
        files.write_json(chosen / "package.json", package | {"limit": package["limit"] / 100})
    assert run(chosen, source, tmp_path / "run", risk=risk) != whole[1]  # a merge takes no other run's journal


def test_a_killed_command_goes_on_to_the_same_bytes(model, photographs, whole, tmp_path):
    command = [sys.executable, "-m", "sheetlens", "predict", model, photographs, "--output", tmp_path]
    command += ["--risk", str(RISK), "--unguaranteed", "--workers", "1"]
    growing = tmp_path / "parts/0.jsonl.part"
    for batches in (1, 2):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not growing.exists() or growing.read_bytes().count(b"\n") < batches * BATCH):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / PRODUCTS[0]).exists(), "it was too fast to be killed"
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "75 files: fern" in result.stderr
    assert [files.sha256(tmp_path / name) for name in PRODUCTS] == whole[1]


def test_two_runs_do_not_write_the_same_journal(model, photographs, tmp_path):
    import fcntl

    (tmp_path / "parts").mkdir()
    with open(tmp_path / "parts/0.jsonl.part", "wb") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is writing"):
            run(model, photographs, tmp_path)


def test_a_merge_wants_every_part(model, photographs, whole, tmp_path):
    arguments = (RISK, tmp_path / PRODUCTS[0], tmp_path / PRODUCTS[2])
    with pytest.raises(UserError, match="run its part again"):
        merge(Classifier(model), whole[0] / "list.parquet", [whole[0] / "parts/0", tmp_path / "1"], *arguments)
    assert not list(tmp_path.iterdir())


def change_json(name, **values):
    def change(folder):
        files.write_json(folder / name, files.read_json(folder / name) | values)

    return change


def change_tensors(folder):
    """Other weights with the right digest: a package that contradicts itself."""
    tensors = load_file(folder / "weights.safetensors")
    tensors["output.weight"] = tensors["output.weight"][:2]
    save_file(tensors, folder / "weights.safetensors")
    package = files.read_json(folder / "package.json")
    package["files"]["weights.safetensors"] = files.sha256(folder / "weights.safetensors")
    files.write_json(folder / "package.json", package)


def pickled(folder):
    torch.save({"weights": torch.zeros(3)}, folder / "weights.safetensors")
    package = files.read_json(folder / "package.json")
    package["files"]["weights.safetensors"] = files.sha256(folder / "weights.safetensors")
    files.write_json(folder / "package.json", package)


def threshold(**values):
    """A threshold with other values; None takes one away."""

    def change(folder):
        package = files.read_json(folder / "package.json")
        known = package["thresholds"][0] | values
        package["thresholds"][0] = {name: value for name, value in known.items() if values.get(name, "") is not None}
        files.write_json(folder / "package.json", package)

    return change


def without(name):
    def change(folder):
        package = files.read_json(folder / "package.json")
        del package[name]
        files.write_json(folder / "package.json", package)

    return change


def seed(value):
    """Another seed, or none, in a model.json with the right digest."""

    def change(folder):
        facts = files.read_json(folder / "model.json") | {"seed": value}
        files.write_json(folder / "model.json", {name: value for name, value in facts.items() if value is not None})
        package = files.read_json(folder / "package.json")
        package["files"]["model.json"] = files.sha256(folder / "model.json")
        files.write_json(folder / "package.json", package)

    return change


CHECK = {"risk": RISK, "threshold": -2.5, "coverage": 0.9, "unguaranteed": -2.6, "unguaranteed_coverage": 0.95}
BAD = {
    "no package": (lambda folder: (folder / "package.json").unlink(), "is no model: it has no package.json"),
    "no JSON": (lambda folder: (folder / "package.json").write_text('{"policy": '), "package.json cannot be read"),
    "no object": (lambda folder: (folder / "package.json").write_text("[1]"), "package.json cannot be read"),
    "lacks a key": (lambda folder: (folder / "package.json").write_text("{}"), "cannot be read .*it lacks classes"),
    "lacks a file": (lambda folder: (folder / "typical.safetensors").unlink(), "lacks typical.safetensors"),
    "another file": (change_json("model.json", seed=7), "model.json is not the file that package.json was made for"),
    "cut": (lambda folder: os.truncate(folder / "weights.safetensors", 1000), "weights.safetensors is not the file"),
    "another policy": (change_json("package.json", policy="nearest-1"), "prepared by the policy 'nearest-1'"),
    "another size": (change_json("package.json", image_size=512), "reads sheets of 512 pixels"),
    "another fit": (change_json("package.json", fit="diamond"), "fit 'diamond'"),
    "no temperature": (change_json("package.json", temperature=None), "its temperature is no number above 0"),
    "two classes of three": (change_json("package.json", classes=["fern", "moss"]), "contradicts itself"),
    "no thresholds": (change_json("package.json", thresholds=None), "package.json cannot be read"),
    "a threshold of no risk": (change_json("package.json", thresholds=[{}]), "cannot be read .KeyError: 'risk'"),
    "digests in a list": (change_json("package.json", files=[]), "its files are no object"),
    "digests are a number": (change_json("package.json", files=7), "package.json cannot be read"),
    "fit is a list": (change_json("package.json", fit=[]), "fit '..', which this version does not know"),
    "a temperature of nought": (change_json("package.json", temperature=0), "its temperature is no number above 0"),
    "a negative temperature": (change_json("package.json", temperature=-1), "its temperature is no number above 0"),
    "a limit of no number": (change_json("package.json", limit=float("nan")), "its limit is no number above 0"),
    "a limit without end": (change_json("package.json", limit=float("inf")), "its limit is no number above 0"),
    "a limit that is a text": (change_json("package.json", limit="1"), "its limit is no number above 0"),
    "a threshold of no number": (threshold(threshold=float("nan")), "a threshold is no number"),
    "a threshold without a guarantee": (threshold(unguaranteed_coverage=None), "lacks its unguaranteed_coverage"),
    "no title": (without("title"), "cannot be read .*it lacks title"),
    "nothing about the training": (without("trained_on"), "cannot be read .it lacks trained_on"),
    "a title of no text": (change_json("package.json", title=7), "its title is no text"),
    "one class twice": (change_json("package.json", classes=["fern", "fern"]), "two classes have one name"),
    "a class without a name": (change_json("package.json", classes=["", "moss"]), "its classes are no list of names"),
    "half a character": (change_json("package.json", classes=["\ud800", "moss"]), "package.json cannot be read"),
    "no object of the JSON": (change_json("package.json", title={}), "its title is no text"),
    "a number without end": (change_json("package.json", temperature=10**400), "its temperature is no number above 0"),
    "a limit too large": (change_json("package.json", limit=10**400), "its limit is no number above 0"),
    "groups too large": (change_json("package.json", group_size=10**400), "its group_size is no number from 1 on"),
    "nothing to compare with": (change_json("package.json", reference=[None]), "its reference is no list of numbers"),
    "lists to compare with": (change_json("package.json", reference=[[]]), "its reference is no list of numbers"),
    "NaN to compare with": (change_json("package.json", reference=[float("nan")]), "its reference is no list of n"),
    "a text of sheets": (change_json("package.json", independent="x"), "its independent is no number of sheets"),
    "half a sheet": (change_json("package.json", independent=1.5), "its independent is no number of sheets"),
    "an object of thresholds": (change_json("package.json", thresholds={}), "its thresholds are no list"),
    "a coverage of no number": (threshold(coverage="x"), "the coverage of a threshold is no share"),
    **{
        f"{name} that is {value!r}": (change_json("package.json", **{name: value}), f"its {name} (is no|are no)")
        for name in ("confusion", "errors", "floors", "shares", "unlike", "guarantee")
        for value in (5.5, "x", None, [None], {"fern": None}, [[[]]], 10**400)
    },
    "no seed": (seed(None), "model.json cannot be read .its seed is not there"),
    "a seed too large": (seed(10**30), "model.json cannot be read .its seed is 1000"),
    "a seed of no number": (seed("x"), "model.json cannot be read .its seed is x"),
    "other tensors": (change_tensors, "contradicts itself"),
    "pickled": (pickled, "weights.safetensors cannot be read"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_model_that_does_not_fit_is_one_sentence(model, tmp_path, fault):
    break_it, sentence = BAD[fault]
    shutil.copytree(model, tmp_path / "model")
    break_it(tmp_path / "model")
    with pytest.raises(UserError, match=sentence) as refused:
        Classifier(tmp_path / "model")
    assert "\n" not in str(refused.value)


CHECKED = {
    "no object": [],
    "lists": {"classes": [], "looks": [], "model": 5, "thresholds": []},
    "a number of thresholds": {"thresholds": 5},
    "an object of thresholds": {"thresholds": {}},
    "a risk alone": {"thresholds": [{"risk": 0.05}]},
    "no risk": {"thresholds": [{}]},
    "a threshold that is a text": {"thresholds": [CHECK | {"threshold": "x"}]},
    "a threshold that is no number": {"thresholds": [CHECK | {"unguaranteed": float("nan")}]},
    "a threshold without end": {"thresholds": [CHECK | {"threshold": 10**400}]},
    "a coverage that is a text": {"thresholds": [CHECK | {"coverage": "x"}]},
    "a class of nothing": {"classes": {"fern": {}}},
    "a class of the wrong pairs": {
        "classes": {"fern": {"sensitivity": {"local": 5}, "specificity": {"local": [1, 2]}}}
    },
    "looks at nothing": {"looks": [{}]},
    "sure of nothing": {"confidence": "x"},
}


@pytest.mark.parametrize("fault", CHECKED)
def test_what_no_check_says_is_one_sentence_before_anything_is_read(model, tmp_path, fault):
    about = {"package_sha256": files.sha256(model / "package.json")}
    facts = {"classes": {}, "looks": [], "model": about, "thresholds": [CHECK]}
    files.write_json(tmp_path / "check.json", facts)
    Classifier(model, checked=tmp_path / "check.json")
    files.write_json(tmp_path / "check.json", facts | CHECKED[fault] if CHECKED[fault] else [])
    with pytest.raises(UserError, match=r"check\.json is no result of a check") as refused:
        Classifier(model, checked=tmp_path / "check.json")
    assert "\n" not in str(refused.value)


def test_a_risk_without_a_threshold_names_those_there_are(model, photographs, tmp_path):
    result = sheetlens("predict", model, photographs, "--output", tmp_path / "run", "--risk", "0.5")
    assert result.returncode == 1
    assert "no threshold for a risk of 0.5: it has them for 0.02, 0.1" in result.stderr
    assert not (tmp_path / "run").exists()


def test_the_package_says_what_the_model_was_trained_on(model):
    package = files.read_json(model / "package.json")
    assert package["dataset"] == "garden" and package["classes"] == list(CLASSES)
    assert package["trained_on"] == files.read_json(model / "model.json")["sheets"]
    assert set(package["files"]) == set(PARTS)
    predictions = files.read_table(model / "predictions.parquet").query("part == 'validation'")
    assert (predictions["distance"] > package["limit"]).mean() <= 0.05


def test_a_class_may_not_be_called_as_a_decision(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    change_json("model.json", classes=["fern", "moss", "review"])(tmp_path / "model")
    with pytest.raises(UserError, match="a class of 'garden' is called 'review'"):
        write_package("garden", "x", Evaluate(), Predict(), tmp_path / "model")


def test_journals_hold_no_numbers_that_are_none(whole):
    for line in (whole[0] / "parts/0.jsonl").read_bytes().splitlines():
        assert "NaN" not in json.dumps(json.loads(line))


def test_the_limits_of_the_config_hold(model, tmp_path):
    """A sheet of 1.2 megapixels, with one allowed; a run with other limits begins anew."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(encode(sheet(1000, 1200), "JPEG"))
    for limits, status in (("{}", "ok"), ('{"megapixels": 1}', "refused"), ("{}", "ok")):
        found = sheetlens(
            "predict", model, tmp_path / "photos", "--output", tmp_path / "run", "--limits", limits, "--risk", RISK
        )
        assert found.returncode == 0, found.stderr
        assert files.read_table(tmp_path / "run/predictions.parquet")["status"].tolist() == [status]


def damaged(lines, how):
    return {
        "cut": lines[:-5],
        "a line twice": [*lines, lines[-1]],
        "half a line": [*lines[:-1], lines[-1][:20]],
        "zeros": [*lines[:-1], bytes(40)],
        "null": [*lines[:-1], b"null\n"],
        "no row": [*lines[:-1], b"{}\n"],
    }[how]


@pytest.mark.parametrize("how", ["cut", "a line twice", "half a line", "zeros", "null", "no row"])
def test_a_finished_part_that_was_damaged_since_is_no_part(model, photographs, whole, tmp_path, how):
    shutil.copytree(whole[0], tmp_path / "run")
    part = tmp_path / "run/parts/0.jsonl"
    part.write_bytes(b"".join(damaged(part.read_bytes().splitlines(keepends=True), how)))
    with pytest.raises(UserError, match=r"0\.jsonl (has \d rows? too|is damaged).*: delete it") as error:
        run(model, photographs, tmp_path / "run")
    assert "\n" not in str(error.value)
    part.unlink()
    assert run(model, photographs, tmp_path / "run") == whole[1]
