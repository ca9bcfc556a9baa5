import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from sheetlens.common import files
from sheetlens.config import Evaluate, Paper
from sheetlens.evaluate.evaluation import (
    evaluate_dataset,
    evaluate_model,
    paper_values,
    rejection_curve,
    results_table,
    wilson_interval,
)
from sheetlens.evaluate.predictions import Read, read_model


@pytest.mark.parametrize(("correct", "n"), [(0, 7), (7, 7), (54, 60), (1400, 1555)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(correct, n, confidence):
    reference = binomtest(correct, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(correct / n, n, confidence) == pytest.approx((reference.low, reference.high), abs=1e-9)


@pytest.mark.parametrize(
    ("paper", "accuracy", "kept", "aside_error"),
    [  # SCIENCE: the intervals of the paper's figures
        (Paper(accuracy=0.90, kept_accuracy=0.94, test_sheets=1555), (88.4, 91.4), (92.6, 95.1), 46),
        (Paper(accuracy=0.96, kept_accuracy=0.99, test_sheets=1839), (95.0, 96.8), (98.4, 99.4), 31),
    ],
)
def test_intervals_of_the_paper(paper, accuracy, kept, aside_error):
    values = paper_values(paper, 0.1, 0.95)
    shares = {key: round(100 * values[key], 1) for key in ("accuracy_low", "accuracy_high", "kept_low", "kept_high")}
    assert tuple(shares.values()) == (*accuracy, *kept)
    assert 100 * values["aside_error"] == pytest.approx(aside_error)


def write_model(folder, seed, n=50, classes=("stained", "unstained"), sharp=3.0):
    random = np.random.default_rng(seed)
    truth = random.integers(len(classes), size=n)
    logits = random.normal(size=(n, len(classes)))
    logits[np.arange(n), truth] += sharp * random.random(n)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = pd.DataFrame(
        {
            "image_id": [f"{number:04}" for number in range(n)],
            "part": random.permutation(["train"] * (n - 30) + ["validation"] * 10 + ["test"] * 20),
            "label": np.array(classes)[truth],
            **{f"probability_{name}": shares[:, i].astype(np.float32) for i, name in enumerate(classes)},
        }
    )
    files.write_table(folder / "predictions.parquet", table)
    files.write_json(folder / "model.json", {"seed": seed, "validation_accuracy": 0.8})
    return folder / "predictions.parquet", table


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_interval_holds_its_share_also_where_it_is_rounded(share):
    for n in range(1, 2000):
        low, high = wilson_interval(share, n, 0.95)
        assert low <= share <= high


def test_a_model_is_judged_on_its_test_part_alone(tmp_path):
    path, table = write_model(tmp_path, 1)
    values = evaluate_model(read_model(path, ["stained", "unstained"]).test, 0.1, 0.95)
    test = table[table["part"] == "test"]
    stained = test["probability_stained"] > 0.5
    right = stained == (test["label"] == "stained")
    assert (values["n"], values["correct"]) == (20, right.sum())
    assert values["confusion"] == pd.crosstab(test["label"], ~stained).to_numpy().tolist()
    hardest = (test["probability_stained"] - 0.5).abs().sort_values().index[:2]
    assert values["aside"] == 2
    assert values["kept_accuracy"] == pytest.approx(right.drop(hardest).mean())
    assert values["aside_error"] == pytest.approx(1 - right[hardest].mean())


def test_rejection_curve_against_brute_force():
    random = np.random.default_rng(0)
    correct, stained = random.random(37) < 0.8, random.random(37)
    truth = np.where(correct, stained < 0.5, stained >= 0.5).astype(int)
    surest_first = correct[np.argsort(-np.abs(stained - 0.5))]
    fractions = np.linspace(0, 0.9, 19)
    expected = [surest_first[: 37 - int(np.floor(fraction * 37 + 0.5))].mean() for fraction in fractions]
    assert rejection_curve(Read(truth, np.stack([stained, 1 - stained], 1)), fractions) == pytest.approx(expected)


def test_of_sheets_that_are_equally_sure_none_is_preferred():
    read = Read(np.repeat([0, 1], 50), np.full((100, 2), [0.6, 0.4]))  # all are called the first class
    assert rejection_curve(read, np.array([0, 0.1, 0.5, 0.9])) == pytest.approx([0.5] * 4)
    assert evaluate_model(read, 0.1, 0.95)["aside_error"] == pytest.approx(0.5)


def test_seeds_are_summed_up(tmp_path):
    paths = {seed: write_model(tmp_path / str(seed), seed)[0] for seed in (1, 2, 3)}
    paper = Paper(accuracy=0.9, kept_accuracy=0.94, test_sheets=1555)
    values = evaluate_dataset("mercury", "Mercury", "table1", "random", paths, paper, Evaluate())
    each = [model["accuracy"] for model in values["models"]]
    assert values["accuracy"]["mean"] == pytest.approx(np.mean(each))
    assert values["accuracy"]["sd"] == pytest.approx(np.std(each, ddof=1))
    assert values["accuracy"]["low"] < np.mean(each) < values["accuracy"]["high"]
    assert np.sum(values["confusion"]) == 60
    assert values["rejection"]["mean"][0] == pytest.approx(np.mean(each))
    assert values["rejection"]["mean"][10] == pytest.approx(values["kept_accuracy"]["mean"])
    table = results_table([values])
    assert table["paper"].tolist() == pytest.approx([0.9, 0.94, 0.46])
    assert table["here"].tolist()[:2] == pytest.approx([np.mean(each), values["kept_accuracy"]["mean"]])


def test_a_seed_with_a_tiny_test_part_has_nothing_to_set_aside(tmp_path):
    """As the sources that are held out one after the other may have."""
    paths = {seed: write_model(tmp_path / str(seed), seed)[0] for seed in (1, 2)}
    table = files.read_table(paths[2])
    few = table[table["part"] == "test"].index[4:]
    files.write_table(paths[2], table.drop(index=few))
    values = evaluate_dataset("own", "Own", "table1", "held_out_source", paths, None, Evaluate())
    assert [model["aside"] for model in values["models"]] == [2, 0]
    assert values["aside_error"]["mean"] == values["models"][0]["aside_error"]


def test_seeds_that_agree_leave_no_less_open_than_their_sheets(tmp_path):
    """Two trainings that are right for every one of their twenty test sheets do not make the accuracy sure."""
    paths = {seed: write_model(tmp_path / str(seed), seed, sharp=100.0)[0] for seed in (1, 2)}
    values = evaluate_dataset("x", "X", "table1", "random", paths, None, Evaluate())
    accuracy, training = values["accuracy"], values["accuracy_of_training"]
    assert accuracy["mean"] == 1 and accuracy["low"] < 0.9
    assert training == {"low": accuracy["low"], "high": accuracy["high"]}


def test_no_error_among_those_set_aside_is_nought():
    stated = np.linspace(0.99, 0.51, 60)
    truth = np.where(np.arange(60) < 3, 1, 0)  # only the surest are wrong
    values = evaluate_model(Read(truth, np.stack([stated, 1 - stated], 1)), 0.1, 0.95)
    assert values["aside_error"] == 0


def test_three_classes_and_one_seed(tmp_path):
    path, _ = write_model(tmp_path, 4, classes=("a", "b", "c"))
    values = evaluate_dataset("own", "Own", "table1", "random", {4: path}, None, Evaluate())
    assert values["paper"] is None
    assert values["accuracy"]["sd"] is None
    assert np.shape(values["confusion"]) == (3, 3)
