"""Our formulas beside those of statsmodels, on counts and p-values drawn at random, ties and extremes among them."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_reference
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from sheetlens.statistics.comparisons import mcnemar
from sheetlens.statistics.intervals import difference_interval, upper_limit, wilson_interval
from sheetlens.statistics.significance import holm

EXACT = {"rel": 1e-9, "abs": 1e-12}


@pytest.fixture(params=range(20))
def random(request):
    return np.random.default_rng(request.param)


def counts(random):
    n = int(random.integers(2, 200))
    return int(random.choice([0, n, random.integers(0, n + 1)])), n


def test_wilsons_interval_and_the_upper_limit(random):
    events, n = counts(random)
    assert wilson_interval(events / n, n, 0.95) == pytest.approx(proportion_confint(events, n, 0.05, "wilson"), **EXACT)
    if events < n:
        assert upper_limit(events, n, 0.95) == pytest.approx(proportion_confint(events, n, 0.1, "beta")[1], **EXACT)


def test_newcombes_interval_of_a_difference(random):
    (first, of_first), (second, of_second) = counts(random), counts(random)
    shares = [
        (events / n, wilson_interval(events / n, n, 0.95)) for events, n in ((first, of_first), (second, of_second))
    ]
    expected = confint_proportions_2indep(first, of_first, second, of_second, method="newcomb", compare="diff")
    assert difference_interval(*shares[0], *shares[1]) == pytest.approx(expected, **EXACT)


def test_mcnemars_exact_test(random):
    first, second = random.random(60) < 0.8, random.random(60) < 0.7
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    assert mcnemar(first, second)["p"] == pytest.approx(mcnemar_reference(table, exact=True).pvalue, **EXACT)


def test_holms_correction(random):
    values = {str(number): float(p) for number, p in enumerate(random.random(6) ** 3)}
    assert list(holm(values).values()) == pytest.approx(multipletests(list(values.values()), method="holm")[1], **EXACT)
