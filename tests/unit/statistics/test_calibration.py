import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import log_loss

from sheetlens.statistics.calibration import DOUBT, calibration_error, fit_temperature, reliability, scale


def drawn(n=4000, classes=3, temperature=1.0, seed=0):
    """Classes drawn from probabilities, and the probabilities made surer than that by a temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, classes))
    truth = np.array([random.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return truth, softmax(logits * temperature, axis=1)


def test_the_temperature_of_an_overconfident_network_is_recovered():
    truth, probabilities = drawn(temperature=2.5)
    assert fit_temperature(truth, probabilities) == pytest.approx(2.5, rel=0.08)
    assert fit_temperature(*drawn()) == pytest.approx(1, rel=0.08)


@pytest.mark.parametrize("n", [6, 60, 600])
def test_the_temperature_is_the_likeliest_of_a_fine_grid(n):
    truth, probabilities = drawn(n=n, classes=2, temperature=3)

    def unlikeliness(temperature):
        fit = log_loss(truth, scale(probabilities, temperature), labels=[0, 1], normalize=False)
        return fit - norm.logpdf(np.log(temperature), 0, DOUBT)

    grid = np.exp(np.linspace(-2, 3, 501))
    assert unlikeliness(fit_temperature(truth, probabilities)) <= min(map(unlikeliness, grid)) + 1e-9


def test_a_part_without_errors_does_not_make_a_network_certain():
    truth, stated = np.zeros(40, int), np.random.default_rng(0).uniform(0.7, 0.999, 40)
    temperature = fit_temperature(truth, np.stack([stated, 1 - stated], axis=1))
    assert 0.3 < temperature < 1
    assert scale(np.array([[0.6, 0.4]]), temperature)[0, 0] < 0.8


def test_scaling_keeps_the_answers_and_the_logits():
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, (50, 4))
    scaled = scale(softmax(logits, axis=1), 1.7)
    assert scaled == pytest.approx(softmax(logits / 1.7, axis=1), abs=1e-9)
    assert (scaled.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_a_probability_rounded_to_nothing_does_no_harm():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.3, 0.7]], np.float32)
    temperature = fit_temperature(np.array([0, 1, 1, 1]), probabilities)
    assert np.isfinite(scale(probabilities, temperature)).all() and temperature > 2


def test_calibration_error_against_brute_force():
    random = np.random.default_rng(2)
    confidence, correct = random.random(100), random.random(100) < 0.7
    order = confidence.argsort()
    expected = 0.0
    for start in range(0, 100, 10):
        some = order[start : start + 10]
        expected += 0.1 * abs(confidence[some].mean() - correct[some].mean())
    assert calibration_error(confidence, correct, 10) == pytest.approx(expected, abs=1e-12)


def test_a_worked_example():
    """Two bins: 0.6, 0.7 (one right) and 0.8, 0.9 (both right): (|0.65 - 0.5| + |0.85 - 1|) / 2."""
    confidence, correct = np.array([0.9, 0.6, 0.8, 0.7]), np.array([True, False, True, True])
    assert calibration_error(confidence, correct, 2) == pytest.approx(0.15)
    assert [row["n"] for row in reliability(confidence, correct, 3)] == [2, 1, 1]
    assert len(reliability(confidence, correct, 10)) == 4
