"""What the predictions say beyond the accuracy: the added sections of an evaluation, over all seeds.

Choices (temperature, thresholds) are made on the validation part; the test part only measures them.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from sheetlens.config import Evaluate
from sheetlens.evaluate.metrics import BINS, RESAMPLES, all_scores, standard_errors
from sheetlens.evaluate.predictions import Model, Read
from sheetlens.statistics import selective
from sheetlens.statistics.calibration import reliability
from sheetlens.statistics.intervals import wilson_interval
from sheetlens.statistics.prevalence import UNKNOWN, adjust_prior, corrected_prevalence, predictive_values

COVERAGES = np.round(np.arange(0.05, 1.005, 0.01), 2)  # below, too few sheets are left to count


def describe(models: list[Model], classes: list[str], settings: Evaluate) -> dict[str, Any]:
    """The sections scores, calibration, selective and prevalence of an evaluation, one model for each seed.

    Shares are 0 to 1. What is measured for each seed is a dictionary of mean, sd (over seeds), low, high (an interval
    for one test part around the mean) and the values of the seeds, None where undefined.
    """
    return {
        "scores": scores(models, settings.confidence),
        "calibration": calibration(models, settings.confidence),
        "selective": selective_section(models, settings),
        "prevalence": prevalence(models, classes, settings),
    }


def scores(models: list[Model], confidence: float) -> dict[str, Any]:
    """Each score over the seeds, with a bootstrap interval."""
    values = [all_scores(model.test, model.scaled) for model in models]
    resamples = max(2, RESAMPLES // len(models))
    errors = [standard_errors(model, resamples) for model in models]
    return {
        name: summarise(
            [one[name] for one in values],
            [error[name] for error in errors],
            confidence,
            math.inf if name.startswith("log_loss") else 1.0,
        )
        for name in values[0]
    }


def summarise(
    values: list[float], standard_errors: list[float], confidence: float, most: float = math.inf
) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and a normal interval for one test part, cut to 0 to `most`.

    No interval where the errors are nought, as those of a perfect score are: drawing sheets anew says nothing then.
    """
    known = [value for value in values if not math.isnan(value)]
    summary: dict[str, Any] = {"mean": None, "sd": None, "low": None, "high": None}
    if known:
        summary["mean"] = mean = float(np.mean(known))
        summary["sd"] = float(np.std(known, ddof=1)) if len(known) > 1 else None
        spread = [error for error in standard_errors if not math.isnan(error)]
        if any(spread):
            half = NormalDist().inv_cdf((1 + confidence) / 2) * float(np.mean(spread))
            summary |= {"low": max(0.0, mean - half), "high": min(most, mean + half)}
    return summary | {"seeds": [None if math.isnan(value) else float(value) for value in values]}


def calibration(models: list[Model], confidence: float) -> dict[str, Any]:
    """The temperatures, and the reliability of the test parts of all seeds together, as predicted and scaled.

    The interval of a bin is Wilson's for its share of one test part.
    """

    def bins(reads: list[Read]) -> list[dict[str, float | int]]:
        sure, right = (
            np.concatenate(column) for column in zip(*((r.confidence, ~r.wrong) for r in reads), strict=True)
        )
        table = reliability(sure, right, BINS)
        for row in table:
            row["low"], row["high"] = wilson_interval(row["accuracy"], max(1, int(row["n"]) // len(reads)), confidence)
        return table

    return {
        "temperature": summarise([model.temperature for model in models], [], confidence),
        "predicted": bins([model.test for model in models]),
        "scaled": bins([model.scaled for model in models]),
    }


def selective_section(models: list[Model], settings: Evaluate) -> dict[str, Any]:
    """Risk against coverage; setting aside as it can be done in practice; the coverage at each risk asked for."""
    confidence = settings.confidence
    n = _tested(models)
    curves = np.array([_risk_at_coverages(model.test) for model in models])
    mean = curves.mean(axis=0)
    intervals = [
        wilson_interval(risk, max(1, round(share * n)), confidence) for risk, share in zip(mean, COVERAGES, strict=True)
    ]
    honest = [[_honest(model, share) for share in COVERAGES] for model in models]
    return {
        "coverage": COVERAGES.tolist(),
        "risk": {
            "seeds": curves.tolist(),
            "mean": mean.tolist(),
            "low": [low for low, _ in intervals],
            "high": [high for _, high in intervals],
        },
        "honest": {
            "coverage": [[share for share, _ in one] for one in honest],
            "risk": [[risk for _, risk in one] for one in honest],
        },
        "set_aside": _answered([_honest(model, 1 - settings.set_aside) for model in models], n, confidence),
        "guarantee": settings.guarantee,
        "at_risk": [_at_risk(models, risk, settings) for risk in settings.risks],
    }


def _tested(models: list[Model]) -> int:
    """Sheets of the smallest test part."""
    return min(len(model.test.truth) for model in models)


def _risk_at_coverages(read: Read) -> np.ndarray:
    counts = np.maximum(1, np.floor(COVERAGES * len(read.truth) + 0.5).astype(int))
    return selective.risks(read.confidence, read.wrong)[counts - 1]


def _honest(model: Model, coverage: float) -> tuple[float, float | None]:
    """Coverage and risk on the test part at the threshold that has this coverage on the validation part."""
    threshold = selective.threshold_at_coverage(model.validation.confidence, coverage)
    return selective.at_threshold(model.test.confidence, model.test.wrong, threshold)


def _at_risk(models: list[Model], risk: float, settings: Evaluate) -> dict[str, Any]:
    """What can be answered at a risk: ranked on the test part itself, with a threshold from validation, guaranteed."""
    best = [selective.threshold_at_risk(model.test.confidence, model.test.wrong, risk) for model in models]
    parts = [(model.validation.confidence, model.validation.wrong) for model in models]
    chosen = [selective.threshold_at_risk(*part, risk) for part in parts]
    guaranteed = [selective.guaranteed_threshold(*part, risk, settings.guarantee) for part in parts]
    return {"risk": risk} | {
        name: {"threshold": thresholds}
        | _answered(_at_thresholds(models, thresholds), _tested(models), settings.confidence)
        for name, thresholds in (("on_test", best), ("from_validation", chosen), ("guaranteed", guaranteed))
    }


def _at_thresholds(models: list[Model], thresholds: list[float | None]) -> list[tuple[float, float | None]]:
    """Coverage and risk of each test part at a threshold; without one nothing is answered."""
    return [
        (0.0, None) if threshold is None else selective.at_threshold(model.test.confidence, model.test.wrong, threshold)
        for model, threshold in zip(models, thresholds, strict=True)
    ]


def _answered(answers: list[tuple[float, float | None]], n: int, confidence: float) -> dict[str, Any]:
    """Coverage and risk over the seeds, from those of each; the interval of the risk is Wilson's for one test part."""
    coverages = [coverage for coverage, _ in answers]
    found = [risk for _, risk in answers if risk is not None]
    mean = float(np.mean(found)) if found else None
    answered = max(1, round(float(np.mean(coverages)) * n))
    low, high = wilson_interval(mean, answered, confidence) if mean is not None else (None, None)
    return {
        "coverage": {"mean": float(np.mean(coverages)), "seeds": coverages},
        "error": {"mean": mean, "low": low, "high": high, "seeds": [risk for _, risk in answers]},
    }


def prevalence(models: list[Model], classes: list[str], settings: Evaluate) -> list[dict[str, Any]]:
    """What an answer is worth where a class is as common as stated, for each class against the others."""
    return [{"class": name} | _of_class(models, number, settings) for number, name in enumerate(classes)]


def _of_class(models: list[Model], number: int, settings: Evaluate) -> dict[str, Any]:
    tested = [model for model in models if 0 < (model.test.truth == number).mean() < 1]
    if not tested:
        return {"sensitivity": None, "specificity": None, "predictive_values": [], "corrected": []}
    counts = [_counts(model.test, number) for model in tested]
    sensitivity, specificity = (
        _share_over_seeds([count[side] for count in counts], settings.confidence) for side in (0, 1)
    )
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


def _counts(read: Read, number: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Right and tested, of the sheets of a class and of the others."""
    of_class, named = read.truth == number, read.probabilities.argmax(axis=1) == number
    return (
        (int((named & of_class).sum()), int(of_class.sum())),
        (int((~named & ~of_class).sum()), int((~of_class).sum())),
    )


def _share_over_seeds(counts: list[tuple[int, int]], confidence: float) -> dict[str, float]:
    shares = [right / tested for right, tested in counts]
    low, high = wilson_interval(float(np.mean(shares)), min(tested for _, tested in counts), confidence)
    return {"mean": float(np.mean(shares)), "low": low, "high": high}


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
