"""What the predictions say beyond the accuracy: the added sections of an evaluation, over all seeds.

Choices (temperature, thresholds) are made on the validation part; the test part only measures them. What concerns
answering and setting aside stands in `answering`.
"""

import math
from typing import Any

import numpy as np
from scipy.stats import t

from sheetlens.config import Evaluate
from sheetlens.evaluate.answering import decisions, floors, selective_section
from sheetlens.evaluate.metrics import BINS, RESAMPLES, all_scores, standard_errors
from sheetlens.evaluate.predictions import Model, Read
from sheetlens.statistics.calibration import chance_calibration_error, reliability
from sheetlens.statistics.clusters import effective_size, smallest
from sheetlens.statistics.intervals import clustered_interval
from sheetlens.statistics.prevalence import UNKNOWN, adjust_prior, corrected_prevalence, predictive_values


def describe(models: list[Model], classes: list[str], settings: Evaluate) -> dict[str, Any]:
    """The added sections of an evaluation, out of one model for each seed.

    Shares are 0 to 1. What is measured for each seed is a dictionary of mean, sd (over seeds), low, high (an interval
    for one test part around the mean) and the values of the seeds, None where undefined.
    """
    return {
        "scores": scores(models, settings.confidence),
        "calibration": calibration(models, settings.confidence),
        "selective": selective_section(models, settings),
        "floors": floors(models, classes, settings),
        "decisions": decisions(models, classes, settings),
        "prevalence": prevalence(models, classes, settings),
    }


def scores(models: list[Model], confidence: float) -> dict[str, Any]:
    """Each score over the seeds, with a bootstrap interval over groups of sheets.

    A calibration error has none: `chance` and `chance_high` say what the same sheets would show by chance, on average
    and in all but one of twenty cases, if the probabilities were right.
    """
    values = [all_scores(model.test, model.scaled) for model in models]
    resamples = max(2, RESAMPLES // len(models))
    errors = [standard_errors(model, resamples) for model in models]
    found = {
        name: summarise(
            [one[name] for one in values],
            [] if name.startswith("calibration") else [error[name] for error in errors],
            confidence,
            math.inf if name.startswith("log_loss") else 1.0,
            min(len(np.unique(model.test.groups)) for model in models),
        )
        for name in values[0]
    }
    for name, reads in (
        ("calibration_error", [model.test for model in models]),
        ("calibration_error_scaled", [model.scaled for model in models]),
    ):
        chance = [chance_calibration_error(read.confidence, ~read.wrong, read.groups, BINS) for read in reads]
        found[name] |= dict(zip(("chance", "chance_high"), map(float, np.mean(chance, axis=0)), strict=True))
    return found


def summarise(
    values: list[float], standard_errors: list[float], confidence: float, most: float = math.inf, groups: int = 2
) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and an interval for one test part, cut to 0 to `most`.

    The interval is Student's t with the number of independent groups of sheets.

    No interval where the errors are nought, as those of a perfect score are: drawing sheets anew says nothing then.
    """
    known = [value for value in values if not math.isnan(value)]
    summary: dict[str, Any] = {"mean": None, "sd": None, "low": None, "high": None}
    if known:
        summary["mean"] = mean = float(np.mean(known))
        summary["sd"] = float(np.std(known, ddof=1)) if len(known) > 1 else None
        spread = [error for error in standard_errors if not math.isnan(error)]
        if any(spread):
            half = float(t.ppf((1 + confidence) / 2, max(1, groups - 1)) * np.mean(spread))
            summary |= {"low": max(0.0, mean - half), "high": min(most, mean + half)}
    return summary | {"seeds": [None if math.isnan(value) else float(value) for value in values]}


def calibration(models: list[Model], confidence: float) -> dict[str, Any]:
    """The temperatures, and the reliability of the test parts of all seeds together, as predicted and scaled.

    The interval of a bin is Wilson's for the independent sheets in it; a sheet that several seeds tested is one.
    """

    def bins(reads: list[Read]) -> list[dict[str, float | int]]:
        columns = ((read.confidence, ~read.wrong, read.groups) for read in reads)
        sure, right, groups = (np.concatenate(column) for column in zip(*columns, strict=True))
        table = reliability(sure, right, BINS)
        rows = np.array_split(np.argsort(sure, kind="stable"), len(table))
        for row, some in zip(table, rows, strict=True):
            size = effective_size(right[some], groups[some])
            row["low"], row["high"] = clustered_interval(row["accuracy"], size, confidence)
        return table

    return {
        "temperature": summarise([model.temperature for model in models], [], confidence),
        "predicted": bins([model.test for model in models]),
        "scaled": bins([model.scaled for model in models]),
    }


def prevalence(models: list[Model], classes: list[str], settings: Evaluate) -> list[dict[str, Any]]:
    """What an answer is worth where a class is as common as stated, for each class against the others."""
    return [{"class": name} | _of_class(models, number, settings) for number, name in enumerate(classes)]


def _of_class(models: list[Model], number: int, settings: Evaluate) -> dict[str, Any]:
    tested = [model for model in models if 0 < (model.test.truth == number).mean() < 1]
    if not tested:
        return {"sensitivity": None, "specificity": None, "predictive_values": [], "corrected": []}
    sensitivity, specificity = (_share_over_seeds(tested, number, own, settings.confidence) for own in (True, False))
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "predictive_values": [
            _values_at(share, sensitivity, specificity)
            | {"accuracy_adjusted": float(np.mean([_adjusted_accuracy(model, number, share) for model in tested]))}
            for share in settings.prevalence
        ],
        "corrected": [_corrected(model, number, settings.confidence) for model in models],
    }


def _values_at(share: float, sensitivity: dict[str, float], specificity: dict[str, float]) -> dict[str, float | None]:
    """Predictive values and accuracy at a prevalence; the limits take those of both, so they are rather too wide."""
    values: dict[str, float | None] = {"prevalence": share}
    for end, name in (("mean", ""), ("low", "_low"), ("high", "_high")):
        pair = predictive_values(sensitivity[end], specificity[end], share)
        values |= {f"positive{name}": pair[0], f"negative{name}": pair[1]}
    return values | {"accuracy": share * sensitivity["mean"] + (1 - share) * specificity["mean"]}


def _adjusted_accuracy(model: Model, number: int, share: float) -> float:
    """Accuracy at a prevalence if the probabilities are adjusted to it; the other classes keep their proportions."""
    expected = model.shares * (1 - share) / (1 - model.shares[number])
    expected[number] = share
    adjusted = Read(model.test.truth, adjust_prior(model.scaled.probabilities, model.shares, expected))
    (hits, of_class), (rest, others) = _counts(adjusted, number)
    return share * hits / of_class + (1 - share) * rest / others


def class_errors(read: Read, number: int, own: bool) -> tuple[np.ndarray, np.ndarray]:
    """Which of the sheets of a class (`own`), or of all others, are told rightly to be so, bool, and their groups."""
    sheets = (read.truth == number) == own
    named = read.probabilities.argmax(axis=1) == number
    return (named == own)[sheets], read.groups[sheets]


def _counts(read: Read, number: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Right and tested, of the sheets of a class and of the others."""
    of_class, named = read.truth == number, read.probabilities.argmax(axis=1) == number
    return (
        (int((named & of_class).sum()), int(of_class.sum())),
        (int((~named & ~of_class).sum()), int((~of_class).sum())),
    )


def _share_over_seeds(models: list[Model], number: int, own: bool, confidence: float) -> dict[str, float]:
    """The sensitivity for a class (`own`) or the specificity, mean over the seeds, with its interval."""
    parts = [class_errors(model.test, number, own) for model in models]
    mean = float(np.mean([right.mean() for right, _ in parts]))
    low, high = clustered_interval(mean, smallest([effective_size(*part) for part in parts]), confidence)
    return {"mean": mean, "low": low, "high": high}


def _corrected(model: Model, number: int, confidence: float) -> dict[str, float | None]:
    """The share of a class in the test part: true, as named, and corrected with the errors on validation."""
    named = model.test.probabilities.argmax(axis=1) == number
    known = _counts(model.validation, number)
    corrected = (
        corrected_prevalence(int(named.sum()), len(named), *known, confidence)
        if known[0][1] and known[1][1]
        else UNKNOWN
    )
    return {"true": float((model.test.truth == number).mean()), "named": float(named.mean())} | corrected
