import numpy as np
import pytest

from sheetlens.statistics.prevalence import adjust_prior, corrected_prevalence, predictive_values


def test_predictive_values_of_a_table():
    """1,000 sheets, 100 of the class: 90 found, 45 of the others named as it."""
    positive, negative = predictive_values(0.9, 0.95, 0.1)
    assert positive == pytest.approx(90 / 135)
    assert negative == pytest.approx(855 / 865)
    assert predictive_values(0.0, 1.0, 0.1)[0] is None


def test_correction_is_that_of_rogan_and_gladen():
    values = corrected_prevalence(270, 1000, (90, 100), (190, 200), 0.95)
    assert values["estimate"] == pytest.approx((0.27 + 0.95 - 1) / (0.9 + 0.95 - 1))
    assert values["low"] < values["estimate"] < values["high"]


def test_a_perfect_classifier_with_endless_controls_leaves_agresti_and_coull():
    values = corrected_prevalence(30, 100, (10**9, 10**9), (10**9, 10**9), 0.95)
    z = 1.959963984540054
    middle = (30 + z * z / 2) / (100 + z * z)
    half = z * np.sqrt(middle * (1 - middle) / (100 + z * z))
    assert values["low"] == pytest.approx(middle - half, abs=1e-6)
    assert values["high"] == pytest.approx(middle + half, abs=1e-6)


@pytest.mark.parametrize(("true", "se", "sp"), [(0.05, 0.9, 0.9), (0.3, 0.8, 0.95), (0.6, 0.95, 0.85)])
def test_the_interval_covers_the_truth(true, se, sp):
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        named = random.binomial(400, true * se + (1 - true) * (1 - sp))
        known = (int(random.binomial(100, se)), 100), (int(random.binomial(100, sp)), 100)
        values = corrected_prevalence(int(named), 400, *known, 0.95)
        # Where chance makes answers contradict the known errors, there is no interval that could hold it.
        inside += values["low"] is not None and values["low"] <= true <= values["high"]
    assert inside / 2000 > 0.94


def test_no_better_than_chance_says_nothing():
    assert corrected_prevalence(50, 100, (50, 100), (50, 100), 0.95)["estimate"] is None


def test_adjusting_the_prior_gives_the_posterior_of_the_collection():
    """Two heaps with known densities: the posterior under other shares follows from Bayes' rule."""
    densities = np.array([[0.2, 0.6], [0.5, 0.1]])
    posterior = [rows / rows.sum(axis=1, keepdims=True) for rows in (densities * [0.5, 0.5], densities * [0.9, 0.1])]
    assert adjust_prior(posterior[0], np.array([0.5, 0.5]), np.array([0.9, 0.1])) == pytest.approx(posterior[1])
