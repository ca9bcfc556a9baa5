import numpy as np
import pytest

from sheetlens.common.errors import UserError
from sheetlens.statistics import hierarchical_prevalence
from sheetlens.statistics.hierarchical_prevalence import fit_shares

KNOWN = ((360, 400), (380, 400))


def fit(n, named, known=KNOWN):
    return fit_shares(np.array(n), np.array(named), *known)


def test_three_sheets_do_not_top_the_list():
    n, named = [3, 120, *[80] * 20], [3, 95, *[6] * 20]
    found = fit(n, named)
    low, _ = found.interval(0.9)
    assert found.mean()[1] > found.mean()[0]
    assert low[0] < 0.3


def test_false_alarms_are_taken_out():
    """Cabinets without treated sheets, in which the network names one in twenty."""
    found = fit([200] * 30, [10] * 30)
    assert found.mean().max() < 0.03
    plain = fit([200] * 30, [10] * 30, ((4000, 4000), (4000, 4000)))
    assert plain.mean() == pytest.approx(0.05, abs=0.005)


def test_a_large_group_alone_is_what_rogan_and_gladen_say():
    found = fit([20_000, 20_000], [8_000, 2_000], ((9000, 10_000), (9500, 10_000)))
    assert found.mean() == pytest.approx([(0.4 - 0.05) / 0.85, (0.1 - 0.05) / 0.85], abs=0.01)


def test_integration_agrees_with_plain_monte_carlo():
    """The posterior mean by weighting a million draws from the prior; groups small enough for that to work."""
    n, named = np.array([4, 9, 12, 6, 15]), np.array([0, 7, 1, 2, 3])
    random = np.random.default_rng(0)
    draws = 1_000_000
    se, sp = random.beta(18.5, 2.5, draws), random.beta(19.5, 1.5, draws)
    centre = random.uniform(0, np.pi / 2, (draws, 1))
    spread = np.abs(random.normal(0, hierarchical_prevalence.WIDEST, (draws, 1)))
    ends = np.arctan(-centre / spread), np.arctan((np.pi / 2 - centre) / spread)
    share = np.sin(centre + spread * np.tan(random.uniform(*ends, (draws, 5)))) ** 2
    named_share = share * (se + sp - 1)[:, None] + (1 - sp)[:, None]
    weights = np.exp((named * np.log(named_share) + (n - named) * np.log1p(-named_share)).sum(axis=1)) * (se + sp > 1)
    expected = weights @ share / weights.sum()
    assert fit(n, named, ((18, 20), (19, 20))).mean() == pytest.approx(expected, abs=0.015)


def test_groups_with_the_same_counts_are_alike_and_order_does_not_count():
    one, other = fit([50, 10, 50], [5, 9, 5]), fit([10, 50, 50], [9, 5, 5])
    assert one.mean()[[1, 0, 2]] == pytest.approx(other.mean())
    assert one.mean()[0] == one.mean()[2]


@pytest.mark.parametrize(("n", "named"), [([1], [0]), ([1], [1]), ([5000], [5000]), ([1, 900], [1, 0])])
def test_extremes_give_shares_between_0_and_1(n, named):
    found = fit(n, named, ((50, 50), (50, 50)))
    low, high = found.interval(0.9)
    assert np.all((low >= 0) & (low <= found.mean()) & (found.mean() <= high) & (high <= 1))
    assert np.all((found.at_least(0.2) >= 0) & (found.at_least(0.2) <= 1))


def test_the_interval_holds_its_probability():
    found = fit([40, 60], [10, 20])
    low, high = found.interval(0.9)
    assert found.at_least(low[0])[0] - found.at_least(high[0])[0] == pytest.approx(0.9, abs=1e-6)


def test_a_network_no_better_than_chance_is_refused():
    with pytest.raises(UserError, match="no better than chance"):
        fit([10], [5], ((50, 100), (50, 100)))


@pytest.mark.long
def test_intervals_cover_and_the_plan_finds_twice_as_many():
    from benchmarks.hotspots import measure

    found = measure("beta", 200)
    assert 0.88 <= found["coverage"] <= 0.92
    assert found["ratio_found"] >= 2
    found = measure("few hot", 200)
    assert 0.88 <= found["coverage"] <= 0.95
    assert found["ratio_found"] >= 2
