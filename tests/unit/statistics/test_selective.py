import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from sheetlens.statistics.intervals import upper_limit
from sheetlens.statistics.selective import (
    ALL,
    at_threshold,
    augrc,
    aurc,
    choose_thresholds,
    excess_aurc,
    floor_threshold,
    guaranteed_thresholds,
    risks,
    threshold_at_coverage,
    threshold_at_risk,
)


def guaranteed_threshold(confidence, wrong, risk, certainty):
    """The one that answers most."""
    return min(guaranteed_thresholds(confidence, wrong, risk, certainty), default=None)


SHEETS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


def columns(sheets):
    confidence, wrong = zip(*sheets, strict=True)
    return np.array(confidence, float), np.array(wrong)


def test_a_worked_example():
    """Surest first: right, right, wrong, right. Risks 0, 0, 1/3, 1/4; the best order 0, 0, 0, 1/4."""
    confidence, wrong = np.array([0.6, 0.9, 0.8, 0.7]), np.array([False, False, False, True])
    assert risks(confidence, wrong) == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert aurc(confidence, wrong) == pytest.approx(7 / 48)
    assert excess_aurc(confidence, wrong) == pytest.approx(1 / 12)
    # Answered and wrong, of all: 0, 0, 0, 1/4, 1/4 at coverage 0, 1/4 ... 1, joined by straight lines.
    assert augrc(confidence, wrong) == pytest.approx((0 + 0 + 1 / 8 + 1 / 4) / 4)


@settings(max_examples=20, deadline=None)
@given(SHEETS, st.randoms(use_true_random=False))
def test_ties_count_as_the_mean_over_their_orders(sheets, random):
    confidence, wrong = columns(sheets)
    shuffles = []
    for _ in range(100):
        order = sorted(range(len(sheets)), key=lambda place: (-confidence[place], random.random()))
        shuffles.append(wrong[order].cumsum() / np.arange(1, len(sheets) + 1))
    assert risks(confidence, wrong) == pytest.approx(np.mean(shuffles, axis=0), abs=0.3)
    assert risks(confidence, wrong)[-1] == pytest.approx(wrong.mean(), abs=1e-9)


@settings(deadline=None)
@given(SHEETS)
def test_augrc_is_what_its_authors_derive_from_the_auroc(sheets):
    confidence, wrong = columns(sheets)
    error = wrong.mean()
    area = roc_auc_score(~wrong, confidence) if 0 < error < 1 else 1
    assert augrc(confidence, wrong) == pytest.approx((1 - area) * error * (1 - error) + error**2 / 2, abs=1e-9)


def test_no_order_has_a_smaller_area_than_the_best():
    random = np.random.default_rng(0)
    for _ in range(20):
        wrong = random.random(40) < 0.3
        assert excess_aurc(random.random(40), wrong) >= 0
        assert excess_aurc(1 - wrong + 0.1 * random.random(40), wrong) == pytest.approx(0, abs=1e-12)


@settings(deadline=None)
@given(SHEETS, st.sampled_from([0.05, 0.2, 0.5]))
def test_threshold_at_risk_against_all_thresholds(sheets, risk):
    confidence, wrong = columns(sheets)
    options = [(confidence > threshold) for threshold in [ALL, *confidence]]
    allowed = [answered.mean() for answered in options if answered.any() and wrong[answered].mean() <= risk]
    threshold = threshold_at_risk(confidence, wrong, risk)
    if threshold is None:
        assert not allowed
    else:
        assert at_threshold(confidence, wrong, threshold)[0] == max(allowed)


@settings(deadline=None)
@given(SHEETS, st.floats(0, 1))
def test_threshold_at_coverage_answers_no_more(sheets, coverage):
    confidence, wrong = columns(sheets)
    share, _ = at_threshold(confidence, wrong, threshold_at_coverage(confidence, coverage))
    assert share <= coverage + 0.5 / len(sheets) + 1e-9
    distinct = np.random.default_rng(0).permutation(len(sheets)).astype(float)
    share, _ = at_threshold(distinct, wrong, threshold_at_coverage(distinct, coverage))
    assert share == pytest.approx(coverage, abs=0.5 / len(sheets) + 1e-9)


def test_upper_limit_is_that_of_clopper_and_pearson():
    assert upper_limit(7, 120, 0.9975) == pytest.approx(beta.ppf(0.9975, 8, 113), abs=1e-12)
    assert upper_limit(0, 100, 0.95) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-12)
    assert upper_limit(5, 5, 0.95) == 1


# Networks: how the true error hangs on the confidence (0 to 1), and its mean above each threshold.
NETWORKS = {
    "always at the limit": (lambda sure: np.full_like(sure, 0.0501), lambda at: 0.0501),
    "sure and right": (lambda sure: 0.3 * (1 - sure) ** 3, lambda at: 0.075 * (1 - at) ** 3),
    "surest not the best": (lambda sure: np.where(sure > 0.8, 0.08, 0.03), None),
    "surest half wrong": (lambda sure: np.where(sure > 0.5, 0.0501, 0.3), None),
    "overconfident": (lambda sure: 0.25 * (1 - sure**2), None),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n", [150, 700])
def test_the_guarantee_holds_in_95_of_100_draws(network, n):
    """2,000 draws of a validation part; the true risk above the threshold is known from the law they are drawn from."""
    error, exact = NETWORKS[network]
    grid = (np.arange(200_000) + 0.5) / 200_000
    above = error(grid)[::-1].cumsum()[::-1] / np.arange(len(grid), 0, -1)  # mean error above each threshold
    random = np.random.default_rng(n)
    kept, found = 0, 0
    for _ in range(2000):
        confidence = random.random(n)
        wrong = random.random(n) < error(confidence)
        threshold = guaranteed_threshold(confidence, wrong, 0.05, 0.95)
        if threshold is None:
            kept += 1
            continue
        found += 1
        true = above[min(int(max(threshold, 0) * len(grid)), len(grid) - 1)]
        if exact:
            assert true == pytest.approx(exact(max(threshold, 0)), abs=1e-3)
        kept += true <= 0.05
    print(network, n, f"kept {kept / 20:.1f} %, a threshold in {found / 20:.1f} %")
    assert kept >= 0.935 * 2000  # three standard deviations below; benchmarks/truth.py draws more
    if network == "sure and right" and n == 700:
        assert found > 0.9 * 2000  # a guarantee that is never given would hold, too


def test_without_the_fixed_sequence_it_would_not_hold():
    """The same draws, where any threshold that passes may be taken: the test above can fail."""
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        wrong = random.random(700) < 0.0501
        counts = np.arange(59, 700)
        errors = wrong.cumsum()[counts - 1]
        broken += bool((beta.ppf(0.95, errors + 1, counts - errors) <= 0.05).any())
    assert broken > 0.1 * 400


def test_a_guarantee_is_given_from_100_sheets_on():
    """In a third of all draws of 104 sheets of a network that is right for 90 %; Bonferroni gave none."""
    random = np.random.default_rng(0)
    found = 0
    for _ in range(500):
        confidence = random.random(104)
        found += (
            guaranteed_threshold(confidence, random.random(104) < 0.4 * (1 - confidence) ** 3, 0.05, 0.95) is not None
        )
    assert 0.25 < found / 500 < 0.45


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([40, 150, 600]), st.sampled_from([0.02, 0.1, 0.3]))
def test_fewer_errors_asked_for_never_let_more_sheets_through(seed, n, error):
    """With a guarantee, and where one without is taken as well."""
    random = np.random.default_rng(seed)
    confidence = random.random(n).round(random.integers(1, 4))
    wrong = random.random(n) < 3 * error * (1 - confidence) ** 2
    independent = np.flatnonzero(random.random(n) < 0.7)
    risks = (0.2, 0.05, 0.01, 0.1, 0.04, 0.02)
    choices = sorted(choose_thresholds(confidence, wrong, independent, risks, 0.9), key=lambda choice: choice.risk)
    for name in ("guaranteed", "used"):
        coverages = []
        for choice in choices:
            threshold = choice.guaranteed
            if name == "used" and threshold is None:
                threshold = choice.unguaranteed
            coverages.append(0 if threshold is None else at_threshold(confidence, wrong, threshold)[0])
        assert coverages == sorted(coverages), name


def test_a_recall_floor_misses_no_more_than_promised():
    """The share of a class below its floor is known from the law it is drawn from; 59 sheets allow the lowest score."""
    random = np.random.default_rng(0)
    missed = np.array([floor_threshold(random.random(150), 0.05, 0.95) for _ in range(2000)])
    assert (missed <= 0.05).mean() >= 0.95
    assert missed.mean() > 0.02  # a floor at the bottom would hold, too
    assert floor_threshold(np.arange(58.0), 0.05, 0.95) is None
    assert floor_threshold(np.arange(59.0), 0.05, 0.95) == 0


def test_too_few_sheets_guarantee_nothing():
    confidence = np.linspace(0, 1, 50)
    assert guaranteed_threshold(confidence, np.zeros(50, bool), 0.05, 0.95) is None
    assert guaranteed_threshold(np.linspace(0, 1, 500), np.zeros(500, bool), 0.05, 0.95) == ALL
    assert guaranteed_threshold(np.linspace(0, 1, 500), np.ones(500, bool), 0.05, 0.95) is None
