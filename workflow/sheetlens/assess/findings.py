"""From the sheets that were looked at to what is said of the model on this collection, as numbers."""

import math
from typing import Any

import numpy as np

from sheetlens.assess.answers import Answers
from sheetlens.statistics import survey
from sheetlens.statistics.comparisons import LEVEL
from sheetlens.statistics.intervals import difference_interval, wilson_interval
from sheetlens.statistics.selective import at_threshold, likely_threshold, risk_doubt, sampled_threshold
from sheetlens.statistics.survey import Estimate

CONFIDENCE = 0.95
UNFIT = 0.5  # sensitivity and specificity add up to less than 1 and this: the model hardly tells the classes apart
VERDICTS = ("fit", "not fit", "cannot be told")


def as_values(one: Estimate) -> dict[str, float | None]:
    """For JSON, where a number that is none is null."""
    return {"estimate": None if math.isnan(one.share) else one.share, "low": one.low, "high": one.high}


def measure_classes(
    answers: Answers, strata: np.ndarray, rows: np.ndarray, labels: np.ndarray, package: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """For each class sensitivity, specificity, precision and prevalence here, and whether the model is fit for it.

    `rows`, int, are the sheets that were looked at, `labels`, text, what they are. `local` are sensitivity and
    specificity as (right, tested), for `hotspots`; `elsewhere` those of the model's own test; `seen` how many sheets of
    the sample are of the class.
    """
    found = {}
    for number, name in enumerate(answers.classes):
        named, outcome = answers.answer == number, labels == name
        one = survey.measure(strata, named, answers.probabilities[:, number], rows, outcome, CONFIDENCE)
        errors = package["errors"][name]
        values: dict[str, Any] = {key: as_values(one[key]) for key in survey.MEASURES}
        for side in ("sensitivity", "specificity"):
            right, tested = errors[side]
            values[side]["local"] = list(survey.local_rate(one[side], (right, max(tested, 1e-9)), CONFIDENCE))
            values[side]["elsewhere"] = right / tested if tested else None
        found[name] = values | {"seen": int(outcome.sum())} | _fitness(one["sensitivity"], one["specificity"])
    return found


def _fitness(sensitivity: Estimate, specificity: Estimate) -> dict[str, Any]:
    """Sensitivity and specificity less 1 (Youden 1950, Cancer 3: 32-35) with its interval, and the verdict."""
    if math.isnan(sensitivity.share) or math.isnan(specificity.share):
        return {"youden": {"estimate": None, "low": -1.0, "high": 1.0}, "verdict": "cannot be told"}
    alarms = (1 - specificity.high, 1 - specificity.low)
    low, high = difference_interval(
        sensitivity.share, (sensitivity.low, sensitivity.high), 1 - specificity.share, alarms
    )
    verdict = "not fit" if high < UNFIT else "fit" if low > 0 else "cannot be told"
    youden = {"estimate": sensitivity.share + specificity.share - 1, "low": low, "high": high}
    return {"youden": youden, "verdict": verdict}


def fit_thresholds(
    answers: Answers, strata: np.ndarray, rows: np.ndarray, wrong: np.ndarray, package: dict[str, Any]
) -> list[dict[str, Any]]:
    """Thresholds for each error rate that the model was packaged for, fitted on the sample with its weights.

    `threshold` is guaranteed for this collection, or None; `unguaranteed` kept the rate in the sample; with their
    coverage of the collection. As in a package.
    """
    sure, certainty = answers.confidence, float(package["guarantee"])
    result = []
    for risk in (known["risk"] for known in package["thresholds"]):
        row: dict[str, Any] = {"risk": risk}
        both = {
            "threshold": sampled_threshold(strata, sure, rows, wrong, risk, certainty),
            "unguaranteed": likely_threshold(strata, sure, rows, wrong, risk),
        }
        for name, value in both.items():
            coverage = 0.0 if value is None else at_threshold(sure, np.zeros(len(sure), bool), value)[0]
            row |= {name: value, "coverage" if name == "threshold" else "unguaranteed_coverage": coverage}
        result.append(row)
    return result


def judge_guarantee(
    answers: Answers,
    strata: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    package: dict[str, Any],
) -> dict[str, Any]:
    """Whether the model's guarantee, made where it was validated, applies to this collection.

    It does not where this collection is not drawn like the validation part: confidences differ (Kolmogorov-Smirnov),
    or the share right of a class does (at LEVEL, shared between the classes), or more of the answered sheets are wrong
    than was guaranteed. It applies where the sample itself shows that at most so many are. Else neither is shown.
    """
    asked = answers.summary["asked"]
    risk, threshold = asked["risk"], asked["threshold"]
    wrong = labels != np.array(answers.classes, dtype=object)[answers.answer[rows]]
    compared = answers.summary.get("comparison")
    reasons = []
    if compared and compared["differs"]:
        reasons.append(
            f"how sure it is of its answers differs from its validation sheets (by {compared['distance']:.2f} of 1)"
        )
    level = 1 - LEVEL / len(answers.classes)
    for number, name in enumerate(answers.classes):
        named, outcome = answers.answer == number, labels == name
        here = survey.measure(strata, named, answers.probabilities[:, number], rows, outcome, level)["sensitivity"]
        right, tested = package["errors"][name]["sensitivity"]
        if math.isnan(here.share) or not tested:
            continue
        there = right / tested
        low, high = difference_interval(here.share, (here.low, here.high), there, wilson_interval(there, tested, level))
        if low > 0 or high < 0:
            reasons.append(
                f"it finds {100 * here.share:.0f} % of '{name}' here, and found {100 * there:.0f} % in its test"
            )
    values: dict[str, Any] = {"risk": risk, "threshold": threshold, "guaranteed": bool(asked["guaranteed"])}
    if threshold is None:
        return values | {"verdict": "none", "reasons": reasons}
    certainty = float(package["guarantee"])
    look = (strata, answers.confidence, rows, wrong, threshold, risk)
    if risk_doubt(*look, more=True) <= 1 - certainty:
        reasons.append(f"more than {100 * risk:g} % of its answers here are wrong")
    elif risk_doubt(*look) <= 1 - certainty:
        return values | {"verdict": "applies", "reasons": reasons}
    return values | {"verdict": "does not apply" if reasons else "not shown", "reasons": reasons}
