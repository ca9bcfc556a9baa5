import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from sheetlens.predict.out_of_distribution import _shrunken_covariance, distance, fit


def draw(n, d, seed=0):
    """Correlated features of very different scales, one of them without any spread."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(d, d)) * np.logspace(-2, 2, d)
    values = random.normal(size=(n, d)) @ mixing
    values[:, -1] = 3
    return values.astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(2000, 20), (30, 60), (5, 60)])
def test_the_covariance_is_ledoit_and_wolfs(n, d):
    values = draw(n, d).astype(np.float64)
    values -= values.mean(axis=0)
    np.testing.assert_allclose(
        _shrunken_covariance(values), LedoitWolf(assume_centered=True).fit(values).covariance_, rtol=1e-8, atol=1e-8
    )


def test_other_sheets_of_the_same_kind_are_about_1_away_and_others_farther():
    known = fit(draw(3000, 40))
    same = distance(draw(500, 40, seed=1), known)
    assert np.median(same) == pytest.approx(1, abs=0.1)
    moved = draw(500, 40, seed=1) + 3 * draw(3000, 40).std(axis=0)
    assert distance(moved, known).min() > np.quantile(same, 0.99)


def test_against_the_correlation_is_far_though_each_feature_is_ordinary():
    random = np.random.default_rng(0)
    base = random.normal(size=(1000, 1))
    known = fit(np.hstack([base, base + 0.1 * random.normal(size=(1000, 1))]))
    along, against = distance(np.array([[1.5, 1.5], [1.5, -1.5]]), known)
    assert against > 5 * along


def test_a_channel_that_never_varied_and_now_does_is_far():
    known = fit(draw(500, 10))
    odd = draw(1, 10)
    odd[:, -1] = 4
    assert 20 < distance(odd, known) / distance(draw(1, 10), known) < 1000


def test_of_the_first_features_the_others_say_nothing():
    training = draw(200, 20)
    known, alone = fit(training, 8), fit(training[:, :8])
    assert known["whitening"].shape == (8, 8) and len(known["centre"]) == len(known["spread"]) == 20
    other = training.copy()
    other[:, 8:] += 1e6
    assert distance(other, known) == pytest.approx(distance(training[:, :8], alone), rel=1e-6)
