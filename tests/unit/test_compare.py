import numpy as np
import pytest
from scipy.stats import binom

from sheetlens.compare import mcnemar, paired_bootstrap
from sheetlens.intervals import difference_interval, wilson_interval


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


def test_paired_bootstrap_knows_the_standard_error_of_a_difference():
    random = np.random.default_rng(3)
    first = random.random(400) < 0.9
    second = first & (random.random(400) < 0.95)
    result = paired_bootstrap(first, second, 0.95)
    difference = first.astype(int) - second
    assert result["difference"] == pytest.approx(difference.mean())
    error = difference.std() / 20
    assert (result["high"] - result["low"]) / 2 == pytest.approx(1.96 * error, rel=0.12)
    assert result == paired_bootstrap(first, second, 0.95)
