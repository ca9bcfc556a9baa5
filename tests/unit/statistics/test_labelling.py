import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from sheetlens.statistics.labelling import cross_validate, estimate, kappa, learning_curve


def test_too_few_random_sheets_give_no_accuracy():
    assert math.isnan(estimate(np.ones(19, bool)).share)
    found = estimate(np.arange(40) < 36)
    assert found.share == 0.9 and found.interval == pytest.approx((0.769, 0.960), abs=1e-3)


def test_kappa_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    first, second = (random.choice(["a", "b", "c"], 50, p=[0.6, 0.3, 0.1]).tolist() for _ in range(2))
    agreed, value = kappa(first, second)
    assert value == pytest.approx(cohen_kappa_score(first, second))
    assert agreed == np.mean([one == other for one, other in zip(first, second, strict=True)])
    assert math.isnan(kappa(["a"], ["a"])[1]) and math.isnan(kappa([], [])[0])


def nearest(labels, values):
    """A classifier that takes the nearest mean."""

    def fit(train):
        means = np.array([values[train][labels[train] == number].mean() for number in np.unique(labels[train])])
        return lambda test: -np.abs(values[test][:, None] - means)

    return fit


def test_cross_validation_never_reads_a_sheet_that_it_was_fitted_on():
    labels, seen = np.array([0, 1] * 20), []

    def fit(train):
        def predict(test):
            assert not set(train) & set(test)
            seen.extend(test)
            return np.eye(2)[labels[test]]

        return predict

    assert (cross_validate(labels, fit, np.arange(40)) == labels).all()
    assert sorted(seen) == list(range(40))


def test_the_curve_expects_more_of_more_labels():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 200)
    values = labels + random.normal(0, 0.6, 200)
    curve = learning_curve(labels, nearest(labels, values), np.ones(200, bool))
    assert curve.labels == (50, 100, 150, 200)
    assert curve.doubled >= curve.accuracy[-1] > 0.7
