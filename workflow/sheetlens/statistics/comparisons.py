"""Is one accuracy better than another, or is it chance?"""

import math
from typing import Any

import numpy as np
from scipy.stats import kstwobign, t

from sheetlens.statistics.intervals import Interval, difference_interval

LEVEL = 0.01  # of the test whether a collection differs from the validation part


def mcnemar(first: np.ndarray, second: np.ndarray, groups: np.ndarray | None = None) -> dict[str, float | int]:
    """Test whether two classifiers are right on the same sheets equally often.

    `first` and `second` are bool, shape (n,): right or not; `groups` numbers the sheets that belong together. The sums
    of the differences of whole groups, with the sign of each as likely to be the other one: an exact sign-flip test,
    which for sheets that all stand alone is the exact McNemar test (McNemar 1947, Psychometrika 12: 153-157). Gives
    the sheets that only one of them has right, and the p-value, two-sided; 1 where there are no such sheets.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    codes = np.arange(len(first)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(codes, first.astype(int) - second.astype(int)).astype(int)
    return {"only_first": only_first, "only_second": only_second, "p": _sign_flip_p(sums[sums != 0])}


def _sign_flip_p(sums: np.ndarray) -> float:
    """Two-sided p of a sum of whole numbers whose signs are drawn: its exact distribution, one number at a time."""
    total = int(np.abs(sums).sum())
    chances = np.zeros(2 * total + 1)  # of the sums from -total on
    chances[total] = 1
    for size in np.abs(sums):
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    reached = np.abs(np.arange(-total, total + 1)) >= abs(int(sums.sum()))
    return float(min(1.0, chances[reached].sum()))


def compare_collections(
    counts: np.ndarray, reference: list[float], known: int, group_size: float
) -> dict[str, float | bool] | None:
    """Whether a collection's sheets may be drawn like those of the validation part, or differ from them.

    `reference` are q quantiles (equally spaced from 0 to 1) of a measure on `known` independent validation sheets,
    `counts`, int, shape (q + 1,), the collection's sheets up to the first, between them and above the last. Two-sample
    Kolmogorov-Smirnov test at LEVEL; as the collection's gatherings are unknown, its sheets count as groups of
    `group_size` that are all alike. Gives distance (0 to 1), p and differs; None where there is nothing to compare.
    """
    total = counts.sum()
    if not known or not total:
        return None
    below = counts.cumsum()[:-1] / total
    expected = (np.searchsorted(reference, reference, side="right") - 1) / max(1, len(reference) - 1)
    distance = float(np.abs(below - expected).max())
    sheets = max(1.0, total / group_size)
    p = float(kstwobign.sf(distance * math.sqrt(known * sheets / (known + sheets))))
    return {"distance": distance, "p": p, "differs": p < LEVEL}


def overlapping_interval(values: list[float], tested: float, trained: float, confidence: float) -> Interval | None:
    """Interval of a mean over splits of one data set, whose parts overlap; None for a single split.

    `tested` and `trained` are the numbers of sheets of the parts. Nadeau & Bengio 2003 (Machine Learning 52: 239-281):
    the corrected resampled t.
    """
    if len(values) < 2:
        return None
    spread = math.sqrt((1 / len(values) + tested / trained) * float(np.var(values, ddof=1)))
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * spread
    mean = float(np.mean(values))
    return max(0.0, mean - half), min(1.0, mean + half)


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
