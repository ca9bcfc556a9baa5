"""Is one accuracy better than another, or is it chance?"""

from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest


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
