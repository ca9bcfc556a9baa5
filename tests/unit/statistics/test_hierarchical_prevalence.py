import numpy as np
import pytest
from scipy.special import expit, logit

from sheetlens.common.errors import UserError
from sheetlens.statistics import hierarchical_prevalence as module
from sheetlens.statistics.hierarchical_prevalence import fit_shares

KNOWN = ((360, 400), (380, 400))


def fit(n, named, known=KNOWN):
    return fit_shares(np.array(n), np.array(named), *known)


def test_three_sheets_do_not_top_the_list():
    n, named = [3, 120, *[80] * 20], [3, 95, *[6] * 20]
    found = fit(n, named)
    low, _ = found.interval(0.9)
    assert found.mean()[1] > found.mean()[0]
    assert low[0] < 3 and low[1] > 60


def test_false_alarms_are_taken_out():
    """Cabinets without treated sheets, in which the network names one in twenty."""
    found = fit([200] * 30, [10] * 30)
    assert found.mean().max() < 0.03
    plain = fit([200] * 30, [10] * 30, ((4000, 4000), (4000, 4000)))
    assert plain.mean() == pytest.approx(0.05, abs=0.005)


def test_false_alarms_that_differ_by_cabinet_make_no_hotspots():
    """Nothing is treated, and the false alarm rate of 5 % is 1 to 20 % in single cabinets."""
    random = np.random.default_rng(3)
    rates = expit(logit(0.05) + 0.7 * random.standard_normal(40))
    found = fit([150] * 40, random.binomial(150, rates), ((360, 400), (376, 400)))
    assert found.at_least(0.2).max() < 0.5
    assert (found.interval(0.9)[0] == 0).all()


def test_checked_groups_tell_of_the_errors():
    """The same counts, once with ten cabinets known to be clean in which the network named as many."""
    checked = np.array([[0, 0, 24, 200]] * 10)
    args = (np.array([200] * 20), np.array([24] * 20), *KNOWN)
    assert fit_shares(*args, checked).mean().max() < 0.5 * fit_shares(*args).mean().max()


def test_a_large_group_alone_is_near_what_rogan_and_gladen_say():
    """But for what its own error rates may be: those of a single group stay uncertain however large it is."""
    found = fit([20_000, 20_000], [8_000, 2_000], ((9000, 10_000), (9500, 10_000)))
    assert found.mean() == pytest.approx([(0.4 - 0.05) / 0.85, (0.1 - 0.05) / 0.85], abs=0.03)
    fewest, most = found.interval(0.9)
    assert ((most - fewest) / 20_000 > 0.02).all()


def test_the_grid_agrees_with_plain_monte_carlo():
    """The posterior mean by weighting a million draws from the prior; groups small enough for that to work."""
    n, named = np.array([4, 9, 12, 6, 15]), np.array([0, 7, 1, 2, 3])
    random = np.random.default_rng(0)
    draws = 400_000
    tau = random.choice(list(module.TAUS), draws, p=list(module.TAUS.values()))
    means = random.beta(18.5, 2.5, draws), 1 - random.beta(19.5, 1.5, draws)
    m, f = (np.concatenate([module._centres(mean[tau == t], t) for t in module.TAUS]) for mean in means)
    tau = np.concatenate([tau[tau == t] for t in module.TAUS])
    se, fa = (expit(centre[:, None] + tau[:, None] * random.standard_normal((draws, 5))) for centre in (m, f))
    centre = random.uniform(0, np.pi / 2, (draws, 1))
    spread = np.exp(random.uniform(np.log(module.NARROWEST), np.log(module.WIDEST), (draws, 1)))
    ends = np.arctan(-centre / spread), np.arctan((np.pi / 2 - centre) / spread)
    share = np.sin(centre + spread * np.tan(random.uniform(*ends, (draws, 5)))) ** 2
    rate = share * se + (1 - share) * fa
    weights = np.exp((named * np.log(rate) + (n - named) * np.log1p(-rate)).sum(axis=1) - 2 * spread[:, 0] ** 2)
    of_named, of_others = share * se / rate, share * (1 - se) / (1 - rate)
    expected = weights @ (named * of_named + (n - named) * of_others) / weights.sum() / n
    assert fit(n, named, ((18, 20), (19, 20))).mean() == pytest.approx(expected, abs=0.04)


def test_groups_with_the_same_counts_are_alike_and_order_does_not_count():
    one, other = fit([50, 10, 50], [5, 9, 5]), fit([10, 50, 50], [9, 5, 5])
    assert one.mean()[[1, 0, 2]] == pytest.approx(other.mean())
    assert one.mean()[0] == one.mean()[2]


@pytest.mark.parametrize(
    ("n", "named"), [([1], [0]), ([1], [1]), ([5000], [5000]), ([1, 900], [1, 0]), ([0, 3], [0, 1])]
)
def test_extremes_give_numbers_of_sheets_that_are_there(n, named):
    found = fit(n, named, ((50, 50), (50, 50)))
    fewest, most = found.interval(0.9)
    assert np.all((fewest >= 0) & (fewest <= most) & (most <= n))
    assert np.all((found.at_least(0.2) >= 0) & (found.at_least(0.2) <= 1))


def test_the_interval_holds_its_probability():
    found = fit([40, 60], [10, 20])
    for draws, fewest, most in zip(found.draws[found.rows], *found.interval(0.9), strict=True):
        assert 0.9 <= ((draws >= fewest) & (draws <= most)).mean() < 0.97


def test_a_network_no_better_than_chance_is_refused():
    with pytest.raises(UserError, match="no better than chance"):
        fit([10], [5], ((50, 100), (50, 100)))


@pytest.mark.open  # with error rates that vary it takes over ten minutes: benchmarks/truth.py asks the same
def test_intervals_cover_and_the_plan_finds_twice_as_many():
    from benchmarks.hotspots import measure

    found = measure("beta", 200)
    assert 0.88 <= found["coverage"] <= 0.92
    assert found["ratio_found"] >= 2
    found = measure("few hot", 200)
    assert 0.88 <= found["coverage"] <= 0.95
    assert found["ratio_found"] >= 2
