"""The added sections of an evaluation, on made-up predictions whose truth is known."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, recall_score, roc_auc_score

from sheetlens.common import files
from sheetlens.config import Evaluate
from sheetlens.evaluate.answering import COVERAGES
from sheetlens.evaluate.metrics import all_scores
from sheetlens.evaluate.predictions import read_model
from sheetlens.evaluate.sections import describe


def predictions(folder, seed, n=1200, classes=("stained", "unstained"), too_sure=2.0, parts=(0, 0.5, 0.5)):
    """A network that knows its probabilities, but states them as surer than they are."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, len(classes)))
    shares = softmax(logits, axis=1).cumsum(axis=1)
    truth = (random.random((n, 1)) > shares).sum(axis=1)
    stated = softmax(too_sure * logits, axis=1).astype(np.float32)
    table = pd.DataFrame(
        {
            "image_id": [f"{number:05}" for number in random.permutation(n)],
            "part": np.repeat(["train", "validation", "test"], [round(share * n) for share in parts]),
            "label": np.array(classes)[truth],
            **{f"probability_{name}": stated[:, i] for i, name in enumerate(classes)},
        }
    )
    files.write_table(folder / f"{seed}.parquet", table)
    return folder / f"{seed}.parquet"


def described(paths, classes, settings):
    return describe([read_model(path, classes) for path in paths], classes, settings)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return [predictions(tmp_path_factory.mktemp("two"), seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def sections(paths):
    return described(paths, ["stained", "unstained"], Evaluate())


def test_scores_are_those_of_scikit_learn(paths, sections):
    for seed, path in enumerate(paths):
        test = files.read_table(path).query("part == 'test'")
        stained, truth = test["probability_stained"].to_numpy(float), (test["label"] == "stained").to_numpy()
        both = np.stack([stained, 1 - stained], axis=1)
        expected = {
            "balanced_accuracy": recall_score(truth, stained > 0.5, average="macro"),
            "roc_auc": roc_auc_score(truth, stained),
            "pr_auc": (average_precision_score(truth, stained) + average_precision_score(~truth, -stained)) / 2,
            "brier": brier_score_loss(truth, stained),
            "log_loss": log_loss(~truth, both),
        }
        for name, value in expected.items():
            assert sections["scores"][name]["seeds"][seed] == pytest.approx(value, abs=1e-6), name


def test_three_classes_agree_with_scikit_learn(tmp_path):
    names = ["a", "b", "c"]
    model = read_model(predictions(tmp_path, 3, classes=names), names)
    found = all_scores(model.test, model.scaled)
    truth, stated = model.test.truth, model.test.probabilities
    assert found["roc_auc"] == pytest.approx(
        roc_auc_score(truth, stated / stated.sum(1, keepdims=True), multi_class="ovr")
    )
    assert found["brier"] == pytest.approx(((stated - np.eye(3)[truth]) ** 2).sum(axis=1).mean() / 2, abs=1e-6)
    assert found["log_loss"] == pytest.approx(-np.log(stated[np.arange(len(truth)), truth]).mean(), abs=1e-6)


def test_scaling_mends_what_is_too_sure(sections):
    assert sections["calibration"]["temperature"]["mean"] == pytest.approx(2, rel=0.2)
    for name in ("calibration_error", "log_loss", "brier"):
        assert sections["scores"][f"{name}_scaled"]["mean"] < sections["scores"][name]["mean"]
    assert sections["scores"]["calibration_error_scaled"]["mean"] < 0.05
    for kind in ("predicted", "scaled"):
        assert sum(row["n"] for row in sections["calibration"][kind]) == 1200


def test_intervals_hold_the_mean_and_shrink_with_the_sheets(tmp_path, sections):
    few = described([predictions(tmp_path, 5, n=300)], ["stained", "unstained"], Evaluate())
    for name, value in sections["scores"].items():
        if name.startswith("calibration"):
            assert value["low"] is None and 0 < value["chance"] < value["chance_high"]
        else:
            assert value["low"] <= value["mean"] <= value["high"], name
    width = {key: value["roc_auc"]["high"] - value["roc_auc"]["low"] for key, value in
             (("many", sections["scores"]), ("few", few["scores"]))}  # fmt: skip
    assert 1.4 < width["few"] / width["many"] < 2.8  # the root of 4, give or take
    assert few["scores"]["roc_auc"]["sd"] is None


def test_thresholds_come_from_validation_alone(tmp_path):
    """Other test sheets leave every chosen threshold as it is."""
    names = ["stained", "unstained"]
    path = predictions(tmp_path, 7)
    table = files.read_table(path)
    files.write_table(tmp_path / "less.parquet", table[(table["part"] != "test") | (table.index % 3 == 0)])
    one, other = (described([each], names, Evaluate()) for each in (path, tmp_path / "less.parquet"))
    assert one["calibration"]["temperature"]["seeds"] == other["calibration"]["temperature"]["seeds"]
    for first, second in zip(one["selective"]["at_risk"], other["selective"]["at_risk"], strict=True):
        for name in ("from_validation", "guaranteed"):
            assert first[name]["threshold"] == second[name]["threshold"]
    assert one["selective"]["at_risk"] != other["selective"]["at_risk"]


def test_selective_section_is_consistent(sections):
    section = sections["selective"]
    assert section["coverage"] == COVERAGES.tolist()
    for low, mean, high in zip(*(section["risk"][key] for key in ("low", "mean", "high")), strict=True):
        assert low - 1e-12 <= mean <= high
    for row in section["at_risk"]:
        assert row["on_test"]["coverage"]["mean"] >= row["guaranteed"]["coverage"]["mean"]
        for share, error in zip(row["on_test"]["coverage"]["seeds"], row["on_test"]["error"]["seeds"], strict=True):
            assert (error is None) == (share == 0)
            assert error is None or error <= row["risk"]
    assert section["set_aside"]["coverage"]["mean"] == pytest.approx(0.9, abs=0.05)


def test_prevalence_section_turns_errors_into_the_worth_of_an_answer(sections):
    stained, unstained = sections["prevalence"]
    assert stained["class"] == "stained"
    half = next(row for row in stained["predictive_values"] if row["prevalence"] == 0.5)
    rare = next(row for row in stained["predictive_values"] if row["prevalence"] == 0.01)
    assert rare["positive"] < half["positive"] and rare["negative"] > half["negative"]
    assert half["positive_low"] < half["positive"] < half["positive_high"]
    other = next(row for row in unstained["predictive_values"] if row["prevalence"] == 0.5)
    assert half["positive"] == pytest.approx(other["negative"])
    assert rare["accuracy_adjusted"] > rare["accuracy"]
    for row in stained["corrected"]:
        assert row["low"] <= row["true"] <= row["high"]


@pytest.mark.parametrize("parts", [(0.5, 0.4, 0.1), (0.8, 0.1, 0.1)])
def test_a_handful_of_sheets_gives_nulls_and_no_noise(tmp_path, parts):
    """As in the tiny demo: a test part of two sheets may lack a class."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = [predictions(tmp_path, seed, n=20, parts=parts) for seed in range(8)]
        lacking = [len(files.read_table(path).query("part == 'test'")["label"].unique()) < 2 for path in paths]
        assert any(lacking) and not all(lacking)
        json.dumps(described(paths, ["stained", "unstained"], Evaluate()), allow_nan=False)
        only = [path for path, lacks in zip(paths, lacking, strict=True) if lacks]
        json.dumps(described(only, ["stained", "unstained"], Evaluate()), allow_nan=False)
