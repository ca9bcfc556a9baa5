"""Intervals and limits of shares."""

import math
from statistics import NormalDist

from scipy.special import betaincinv, stdtrit

from sheetlens.statistics.clusters import Size

Interval = tuple[float, float]


def wilson_interval(share: float, n: float, confidence: float) -> Interval:
    """Wilson's score interval for a share of `n` (Wilson 1927, JASA 22: 209-212).

    The share need not be a whole number of n-ths: a mean over seeds is treated as one test part.
    """
    return _wilson(share, n, NormalDist().inv_cdf((1 + confidence) / 2))


def clustered_interval(share: float, size: Size, confidence: float) -> Interval:
    """The same for sheets in groups: Wilson's interval at their effective number, with Student's t for the normal.

    As Korn & Graubard 1998 (Survey Methodology 24: 193-201) do with that of Clopper and Pearson.
    """
    return _wilson(share, max(size.sheets, 1.0), float(stdtrit(size.freedom, (1 + confidence) / 2)))


def _wilson(share: float, n: float, z: float) -> Interval:
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Never beyond the share itself, which rounding may do at 0 and 1.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def upper_limit(events: int, n: int, certainty: float) -> float:
    """One-sided upper limit of a share (Clopper & Pearson 1934, Biometrika 26: 404-413)."""
    return 1.0 if events >= n else float(betaincinv(events + 1, n - events, certainty))


def difference_interval(first: float, first_interval: Interval, second: float, second_interval: Interval) -> Interval:
    """Interval of the difference of two shares from independent test parts, out of the intervals of both.

    Newcombe 1998 (Stat Med 17: 873-890), method 10, where they are Wilson's.
    """
    low = math.hypot(first - first_interval[0], second_interval[1] - second)
    high = math.hypot(first_interval[1] - first, second - second_interval[0])
    return first - second - low, first - second + high
