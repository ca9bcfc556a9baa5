"""Read the test part once per model: accuracy, confusion, and what setting aside the least sure brings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens import evidence, files
from sheetlens.compare import protocol_gaps
from sheetlens.config import Evaluate, Paper
from sheetlens.intervals import wilson_interval

LIMITS = ("sd", "low", "high")  # of a mean, in the results table
CURVE_END = 0.9  # the rejection plot ends here: beyond, too few sheets are left to count


def read_test(predictions: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read the test part of a predictions table, surest sheet first.

    Returns the classes (alphabetical), the true classes, int, shape (n,), and the probabilities,
    shape (n, classes). How sure is the highest probability; with two classes the least sure sheets are
    those nearest 0.5, as in the paper. Ties are broken by image_id.
    """
    table = files.read_table(predictions).query("part == 'test'").sort_values("image_id")
    classes = [name.removeprefix("probability_") for name in table.columns if name.startswith("probability_")]
    probabilities = table[[f"probability_{name}" for name in classes]].to_numpy()
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")
    truth = pd.Categorical(table["label"], categories=classes).codes.astype(int)
    return classes, truth[surest], probabilities[surest]


def rejection_curve(correct_surest_first: np.ndarray, fractions: np.ndarray) -> list[float]:
    """Accuracy of the sheets kept when each fraction (0 to below 1) of the least sure is set aside.

    The paper's Figure 2 e, f. At least one sheet is kept.
    """
    kept = np.maximum(len(correct_surest_first) - aside_count(len(correct_surest_first), fractions), 1)
    return [float(value) for value in correct_surest_first.cumsum()[kept - 1] / kept]


def aside_count(n: int, fraction: Any) -> Any:
    """How many of n sheets a fraction is, rounded to the nearest."""
    return np.floor(np.asarray(fraction) * n + 0.5).astype(int)


def evaluate_model(predictions: Path, seed: int, set_aside: float, confidence: float) -> dict[str, Any]:
    """Everything we say of one model from its test part; shares are 0 to 1, None where undefined."""
    classes, truth, probabilities = read_test(predictions)
    n = len(truth)
    guess = probabilities.argmax(axis=1)
    correct = guess == truth
    kept = n - int(aside_count(n, set_aside))
    low, high = wilson_interval(correct.mean(), n, confidence)
    kept_accuracy = float(correct[:kept].mean())
    kept_low, kept_high = wilson_interval(kept_accuracy, kept, confidence)
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (truth, guess), 1)
    return {
        "seed": seed,
        "n": n,
        "correct": int(correct.sum()),
        "accuracy": float(correct.mean()),
        "low": low,
        "high": high,
        "kept": kept,
        "kept_accuracy": kept_accuracy,
        "kept_low": kept_low,
        "kept_high": kept_high,
        "aside": n - kept,
        "aside_error": float(1 - correct[kept:].mean()) if kept < n else None,
        "validation_accuracy": files.read_json(predictions.with_name("model.json"))["validation_accuracy"],
        "confusion": confusion.tolist(),
        "directory": predictions.parent.as_posix(),
    }


def evaluate_dataset(
    dataset: str,
    title: str,
    network: str,
    protocol: str,
    predictions: dict[int, Path],
    paper: Paper | None,
    settings: Evaluate,
) -> dict[str, Any]:
    """One network on one data set, over all seeds (`predictions` by seed).

    Means and standard deviations (over seeds, n - 1) of shares from 0 to 1. The interval of a mean is
    Wilson's for one test part: the seeds share sheets, so pooling them would promise too much.
    """
    set_aside, confidence = settings.set_aside, settings.confidence
    models = [evaluate_model(path, seed, set_aside, confidence) for seed, path in predictions.items()]
    first = next(iter(predictions.values()))
    classes, truth, _ = read_test(first)
    fractions = np.round(np.arange(0, CURVE_END + 0.005, 0.01), 2)
    curves = []
    for path in predictions.values():
        _, one_truth, one = read_test(path)
        curves.append(rejection_curve(one.argmax(axis=1) == one_truth, fractions))
    n, kept = models[0]["n"], models[0]["kept"]
    return {
        "dataset": dataset,
        "title": title,
        "network": network,
        "protocol": protocol,
        "seeds": list(predictions),
        "classes": classes,
        "sheets": files.read_table(first)["part"].value_counts()[["train", "validation", "test"]].to_dict(),
        "confidence": confidence,
        "set_aside_fraction": set_aside,
        "accuracy": over_seeds([model["accuracy"] for model in models], n, confidence),
        "kept_accuracy": over_seeds([model["kept_accuracy"] for model in models], kept, confidence),
        "aside_error": over_seeds([model["aside_error"] for model in models], n - kept, confidence),
        "majority": float(np.bincount(truth).max() / n),
        "confusion": np.sum([model["confusion"] for model in models], axis=0).tolist(),
        "rejection": {
            "fraction": fractions.tolist(),
            "seeds": curves,
            "mean": np.mean(curves, axis=0).tolist(),
        },
        "models": models,
        "paper": paper_values(paper, set_aside, confidence) if paper else None,
        **evidence.describe(list(predictions.values()), classes, settings),
    }


def over_seeds(values: Sequence[float | None], n: int, confidence: float) -> dict[str, float | None]:
    """Mean and standard deviation of shares over seeds, with Wilson's interval for one part of n sheets."""
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "sd": None, "low": None, "high": None}
    mean = float(np.mean(known))
    low, high = wilson_interval(mean, n, confidence)
    return {"mean": mean, "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None, "low": low, "high": high}


def paper_values(paper: Paper, set_aside: float, confidence: float) -> dict[str, float | int]:
    """The paper's figures with Wilson intervals, and the error they imply among the sheets set aside."""
    kept = paper.test_sheets - int(aside_count(paper.test_sheets, set_aside))
    low, high = wilson_interval(paper.accuracy, paper.test_sheets, confidence)
    kept_low, kept_high = wilson_interval(paper.kept_accuracy, kept, confidence)
    aside_error = ((1 - paper.accuracy) - (1 - set_aside) * (1 - paper.kept_accuracy)) / set_aside
    return {
        "accuracy": paper.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "kept_accuracy": paper.kept_accuracy,
        "kept_low": kept_low,
        "kept_high": kept_high,
        "test_sheets": paper.test_sheets,
        "aside_error": aside_error,
    }


def results_table(evaluations: list[dict[str, Any]]) -> pd.DataFrame:
    """The table "paper / here": one row for each data set, protocol and measure, shares from 0 to 1.

    Where several protocols ran, the gap to the first one follows.
    """
    measures = (("accuracy", "accuracy"), ("kept_accuracy", "kept"), ("aside_error", None))
    rows = []
    for evaluation in evaluations:
        aside = f"{100 * evaluation['set_aside_fraction']:g} %"
        names = ("accuracy", f"accuracy with {aside} set aside", f"error among the {aside} set aside")
        paper = evaluation["paper"] or {}
        for name, (measure, bounds) in zip(names, measures, strict=True):
            here = evaluation[measure]
            rows.append(
                {
                    "dataset": evaluation["dataset"],
                    "protocol": evaluation["protocol"],
                    "measure": name,
                    "paper": paper.get(measure),
                    "paper_low": paper.get(f"{bounds}_low"),
                    "paper_high": paper.get(f"{bounds}_high"),
                    "here": here["mean"],
                    "sd": here["sd"],
                    "low": here["low"],
                    "high": here["high"],
                }
            )
    for gap in protocol_gaps(evaluations):
        row = {
            "dataset": gap["dataset"],
            "protocol": f"{gap['first']} less {gap['second']}",
            "measure": "gap in accuracy",
        }
        rows.append(row | {"here": gap["difference"]} | {key: gap[key] for key in LIMITS})
    return pd.DataFrame(rows)


def summary(evaluations: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """The headline numbers by data set and protocol, for `dvc metrics`: shares from 0 to 1."""
    measures = ("accuracy", "kept_accuracy")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for evaluation in evaluations:
        values = {measure: evaluation[measure]["mean"] for measure in measures}
        values |= {f"{measure}_sd": evaluation[measure]["sd"] for measure in measures}
        found.setdefault(evaluation["dataset"], {})[evaluation["protocol"]] = values
    return found
