"""Is one accuracy better than another, or is it chance?"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import binomtest

from sheetlens.intervals import difference_interval


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


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    confidence: float,
    resamples: int = 2000,
    seed: int = 0,
    statistic: Callable[[np.ndarray], float] = np.mean,
) -> dict[str, float]:
    """Difference of a statistic of two classifiers on the same sheets, with a percentile bootstrap interval.

    `first` and `second` hold a value for each sheet, shape (n,), such as right or the loss; whole sheets are drawn
    (Efron & Tibshirani 1993, chapter 13).
    """
    random = np.random.default_rng(seed)
    pairs = np.stack([first, second]).astype(float)
    draws = [pairs[:, random.integers(len(first), size=len(first))] for _ in range(resamples)]
    differences = [statistic(one) - statistic(other) for one, other in draws]
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"difference": float(statistic(pairs[0]) - statistic(pairs[1])), "low": float(low), "high": float(high)}


def protocol_gaps(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How much less accurate each network is under the other protocols than under its first one.

    `evaluations` are the JSON files. One row for each data set and further protocol: dataset, first, second,
    difference of the mean accuracies (first less second), low, high, and sd, the standard deviation over seeds of
    the difference (None with one seed). The test parts are other sheets, so the interval is that of two samples.
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
        gaps.append(
            {
                "dataset": evaluation["dataset"],
                "first": first["protocol"],
                "second": evaluation["protocol"],
                "difference": one["mean"] - other["mean"],
                "low": low,
                "high": high,
                "sd": float(np.std(differences, ddof=1)) if len(differences) > 1 else None,
            }
        )
    return gaps
