import numpy as np
import pytest
from scipy.stats import binom, t

from sheetlens.statistics.comparisons import mcnemar, overlapping_interval, protocol_gaps
from sheetlens.statistics.intervals import difference_interval, wilson_interval


def test_mcnemar_against_the_binomial_law():
    first = np.array([True] * 10 + [False] * 3 + [True] * 80 + [False] * 7)
    second = np.array([False] * 10 + [True] * 3 + [True] * 80 + [False] * 7)
    result = mcnemar(first, second)
    assert (result["only_first"], result["only_second"]) == (10, 3)
    assert result["p"] == pytest.approx(2 * binom.cdf(3, 13, 0.5), abs=1e-12)
    assert mcnemar(first, first)["p"] == 1


def test_newcombes_own_example():
    """Newcombe 1998, table II a: 56/70 - 48/80, method 10: 0.0524 to 0.3339."""
    shares = (56 / 70, 70), (48 / 80, 80)
    (first, first_interval), (second, second_interval) = (
        (share, wilson_interval(share, n, 0.95)) for share, n in shares
    )
    interval = difference_interval(first, first_interval, second, second_interval)
    assert interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


def evaluation(protocol, accuracies):
    low, high = wilson_interval(np.mean(accuracies), 1555, 0.95)
    return {
        "dataset": "mercury", "protocol": protocol, "confidence": 0.95,
        "accuracy": {"mean": float(np.mean(accuracies)), "low": low, "high": high},
        "models": [{"accuracy": value} for value in accuracies],
    }  # fmt: skip


def test_one_bad_seed_is_no_gap_between_protocols():
    random = evaluation("random", [0.9] * 5)
    (gap,) = protocol_gaps([random, evaluation("grouped", [0.91, 0.9, 0.9, 0.89, 0.5])])
    assert gap["difference"] == pytest.approx(0.08)
    assert gap["low"] < 0 < gap["high"]
    (gap,) = protocol_gaps([random, evaluation("grouped", [0.83, 0.82, 0.82, 0.82, 0.81])])
    assert 0.05 < gap["low"] < 0.08 < gap["high"] < 0.11


def test_with_one_seed_the_gap_is_that_of_two_samples():
    first, second = evaluation("random", [0.9]), evaluation("grouped", [0.85])
    (gap,) = protocol_gaps([first, second])
    one, other = (tuple(evaluation["accuracy"].values()) for evaluation in (first, second))
    assert (gap["low"], gap["high"]) == difference_interval(one[0], one[1:], other[0], other[1:])


def test_a_mean_over_overlapping_splits_is_as_sure_as_their_overlap_lets_it_be():
    """The test parts of five splits of the same forty sheets share sheets, and so their chance."""
    random, covered, naive = np.random.default_rng(0), [], []
    for _ in range(500):
        sheets = random.standard_normal(40)
        shares = [float(random.permutation(sheets)[:8].mean()) / 6 + 0.5 for _ in range(5)]
        low, high = overlapping_interval(shares, 8, 32, 0.95)
        half = t.ppf(0.975, 4) * np.std(shares, ddof=1) / np.sqrt(5)
        covered.append(low <= 0.5 <= high)
        naive.append(abs(np.mean(shares) - 0.5) <= half)
    assert np.mean(covered) >= 0.93 > 0.9 > np.mean(naive)
    assert overlapping_interval([0.9, 0.8, 0.7], 100, 400, 0.95) == pytest.approx((0.8 - 0.32862, 1.0), abs=1e-4)
    assert overlapping_interval([0.9], 100, 400, 0.95) is None
