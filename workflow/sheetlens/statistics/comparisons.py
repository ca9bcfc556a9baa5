"""Is one accuracy better than another, or is it chance?"""

import math
from typing import Any

import numpy as np
from scipy.stats import binomtest, t

from sheetlens.statistics.intervals import difference_interval


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict[str, float | int]:
    """Test whether two classifiers are right on the same sheets equally often.

    `first` and `second` are bool, shape (n,): right or not. Exact McNemar test (McNemar 1947, Psychometrika 12:
    153-157): two-sided binomial test of the sheets that only one of them has right. Gives both counts and the p-value,
    1 where there are no such sheets.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    disagreements = only_first + only_second
    p = binomtest(only_first, disagreements).pvalue if disagreements else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": float(p)}


def protocol_gaps(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How much less accurate each network is under the other protocols than under its first one.

    `evaluations` are the JSON files. One row for each data set and further protocol: dataset, first, second,
    difference of the mean accuracies (first less second), low, high, and sd, the standard deviation over seeds of
    the difference (None with one seed). The interval counts in the sheets (as of two samples, which share few) and the
    seeds (Student's t); as the spread of the seeds holds chance of the sheets, too, it is rather too wide.
    """
    firsts: dict[str, dict[str, Any]] = {}
    gaps = []
    for evaluation in evaluations:
        first = firsts.setdefault(evaluation["dataset"], evaluation)
        one, other = first["accuracy"], evaluation["accuracy"]
        if first is evaluation or one["mean"] is None or other["mean"] is None:
            continue
        low, high = difference_interval(
            one["mean"], (one["low"], one["high"]), other["mean"], (other["low"], other["high"])
        )
        seeds = zip(first["models"], evaluation["models"], strict=True)
        differences = [model["accuracy"] - again["accuracy"] for model, again in seeds]
        difference, of_seeds = one["mean"] - other["mean"], _half_width(differences, evaluation["confidence"])
        gaps.append(
            {
                "dataset": evaluation["dataset"],
                "first": first["protocol"],
                "second": evaluation["protocol"],
                "difference": difference,
                "low": difference - math.hypot(difference - low, of_seeds),
                "high": difference + math.hypot(high - difference, of_seeds),
                "sd": float(np.std(differences, ddof=1)) if len(differences) > 1 else None,
            }
        )
    return gaps


def _half_width(values: list[float], confidence: float) -> float:
    """Of the interval of a mean, by Student's t; nought for a single value, of which nothing is known."""
    if len(values) < 2:
        return 0.0
    return float(t.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
