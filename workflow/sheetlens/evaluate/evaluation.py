"""Read the test part once per model: accuracy, confusion, rejection (accuracy with the least sure 10 % set aside)."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.tables import class_names
from sheetlens.config import Evaluate, Paper
from sheetlens.evaluate import sections
from sheetlens.evaluate.predictions import Read, confusion_matrix, read_model
from sheetlens.statistics.clusters import Size, effective_size, smallest
from sheetlens.statistics.comparisons import overlapping_interval, protocol_gaps
from sheetlens.statistics.intervals import clustered_interval, wilson_interval
from sheetlens.statistics.selective import risks

log = logging.getLogger(__name__)

LIMITS = ("sd", "low", "high")  # of a mean, in the results table
CURVE_END = 0.9  # the rejection plot ends here: beyond, too few sheets are left to count


def rejection_curve(read: Read, fractions: np.ndarray) -> list[float]:
    """Accuracy of the sheets kept when each fraction (0 to below 1) of the least sure is set aside.

    The paper's Figure 2 e, f. With two classes the least sure sheets are those whose probability is nearest 0.5, as in
    the paper. Of sheets that are equally sure any may be kept: the mean over all choices. At least one sheet is kept.
    """
    kept = np.maximum(len(read.truth) - aside_count(len(read.truth), fractions), 1)
    return [float(value) for value in 1 - risks(read.log_odds, read.wrong)[kept - 1]]


def aside_count(n: int, fraction: Any) -> Any:
    """How many of n sheets a fraction is, rounded to the nearest."""
    return np.floor(np.asarray(fraction) * n + 0.5).astype(int)


def evaluate_model(read: Read, set_aside: float, confidence: float) -> dict[str, Any]:
    """What we say of one model from its test part (scaled); shares are 0 to 1, None where undefined.

    `effective` and `freedom` are the independent sheets that the test part stands for (see `clusters`), and those of
    what is kept and what is set aside likewise.
    """
    n, wrong = len(read.truth), int(read.wrong.sum())
    kept = n - int(aside_count(n, set_aside))
    (kept_accuracy,) = rejection_curve(read, np.array([set_aside]))
    order = np.argsort(-read.log_odds, kind="stable")
    sizes = [effective_size(read.wrong[rows], read.groups[rows]) for rows in (order, order[:kept], order[kept:])]
    low, high = clustered_interval(1 - wrong / n, sizes[0], confidence)
    kept_low, kept_high = clustered_interval(kept_accuracy, sizes[1], confidence)
    confusion = confusion_matrix(read)
    return {
        "n": n,
        "correct": n - wrong,
        "accuracy": 1 - wrong / n,
        "low": low,
        "high": high,
        "kept": kept,
        "kept_accuracy": kept_accuracy,
        "kept_low": kept_low,
        "kept_high": kept_high,
        "aside": n - kept,
        "aside_error": max(0.0, wrong - kept * (1 - kept_accuracy)) / (n - kept) if kept < n else None,
        "majority": float(confusion.sum(axis=1).max() / n),
        "confusion": confusion.tolist(),
        "groups": len(np.unique(read.groups)),
        "effective": {name: asdict(size) for name, size in zip(("all", "kept", "aside"), sizes, strict=True)},
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

    Means and standard deviations (over seeds, n - 1) of shares from 0 to 1. The interval of a mean is Wilson's for the
    independent sheets of one test part, the smallest: the seeds share sheets, so pooling them would promise too much.
    """
    set_aside, confidence = settings.set_aside, settings.confidence
    first = files.read_table(next(iter(predictions.values())))
    classes = class_names(first)
    reads = [read_model(path, classes) for path in predictions.values()]
    models = [
        {"seed": seed}
        | evaluate_model(read.scaled, set_aside, confidence)
        | {
            "validation_accuracy": files.read_json(path.with_name("model.json"))["validation_accuracy"],
            "directory": path.parent.as_posix(),
        }
        for (seed, path), read in zip(predictions.items(), reads, strict=True)
    ]
    fractions = np.round(np.arange(0, CURVE_END + 0.005, 0.01), 2)
    curves = [rejection_curve(read.scaled, fractions) for read in reads]
    sizes = {name: smallest([Size(**model["effective"][name]) for model in models]) for name in models[0]["effective"]}
    accuracies = [model["accuracy"] for model in models]
    trained = min(read.trained for read in reads)
    overlapping = overlapping_interval(accuracies, min(model["n"] for model in models), trained, confidence)
    accuracy = over_seeds(accuracies, sizes["all"], confidence)
    if overlapping:  # seeds that agree by chance must not leave less open than the sheets of one test part do
        overlapping = min(overlapping[0], accuracy["low"]), max(overlapping[1], accuracy["high"])
    return {
        "dataset": dataset,
        "title": title,
        "network": network,
        "protocol": protocol,
        "seeds": list(predictions),
        "classes": classes,
        "sheets": first["part"].value_counts()[["train", "validation", "test"]].to_dict(),
        "confidence": confidence,
        "set_aside_fraction": set_aside,
        "margin": settings.margin,
        "accuracy": accuracy,
        "accuracy_of_training": dict(zip(("low", "high"), overlapping, strict=True)) if overlapping else None,
        "groups": min(model["groups"] for model in models),
        "independent": min(len(read.independent) for read in reads),
        "kept_accuracy": over_seeds([model["kept_accuracy"] for model in models], sizes["kept"], confidence),
        "aside_error": over_seeds([model["aside_error"] for model in models], sizes["aside"], confidence),
        "majority": float(np.mean([model["majority"] for model in models])),
        "confusion": np.sum([model["confusion"] for model in models], axis=0).tolist(),
        "rejection": {
            "fraction": fractions.tolist(),
            "seeds": curves,
            "mean": np.mean(curves, axis=0).tolist(),
        },
        "models": models,
        "paper": paper_values(paper, set_aside, confidence) if paper else None,
        **sections.describe(reads, classes, settings),
    }


def over_seeds(values: Sequence[float | None], size: Size, confidence: float) -> dict[str, Any]:
    """Mean and standard deviation of shares over seeds, with Wilson's interval for one part of a size.

    `effective` is the number of independent sheets in it, `freedom` that of degrees of freedom.
    """
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "sd": None, "low": None, "high": None, "effective": None, "freedom": None}
    mean = float(np.mean(known))
    low, high = clustered_interval(mean, size, confidence)
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": mean, "sd": sd, "low": low, "high": high, "effective": size.sheets, "freedom": size.freedom}


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


def write_evaluation(
    settings: Evaluate,
    dataset: str,
    title: str,
    paper: Paper | None,
    network: str,
    protocol: str,
    output: Path,
    predictions: Sequence[Path],
) -> None:
    """Evaluate tables of predictions, one for each seed, and write the evaluation as JSON."""
    by_seed = {files.read_json(path.with_name("model.json"))["seed"]: path for path in predictions}
    values = evaluate_dataset(dataset, title, network, protocol, by_seed, paper, settings)
    files.write_json(output, values)
    shares = [100 * values[measure]["mean"] for measure in ("accuracy", "kept_accuracy")]
    log.info("%s: accuracy %.1f %%, %.1f %% with the least confident set aside", dataset, *shares)


def write_results(output: Path, metrics: Path, evaluations: Sequence[Path]) -> None:
    """Write the table "paper / here" from evaluations, one for each data set, and the headline numbers as JSON."""
    needed = ("dataset", "protocol", "set_aside_fraction", "paper", "accuracy", "kept_accuracy", "aside_error")
    values = [files.read_object(path, needed) for path in evaluations]
    files.write_table(output, results_table(values))
    files.write_json(metrics, summary(values))
