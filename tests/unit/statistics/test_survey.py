"""What a stratified sample says of a collection: against known formulas, and against the truth of drawn collections."""

import numpy as np
import pytest

from sheetlens.statistics import survey
from sheetlens.statistics.intervals import wilson_interval
from sheetlens.statistics.selective import likely_threshold, sampled_threshold
from sheetlens.statistics.survey import CENSUS, Estimate

ONE = np.array([1.0])


def collection(random, sheets=3000, prevalence=0.1, sensitivity=0.8, specificity=0.9):
    """Whether each sheet is of the class, and the model's probability of it."""
    outcome = random.random(sheets) < prevalence
    right = random.random(sheets) < np.where(outcome, sensitivity, specificity)
    sure = 0.5 + random.random(sheets) / 2.001
    return outcome, np.where(right == outcome, sure, 1 - sure)


@pytest.mark.parametrize(("share", "n"), [(0.1, 60), (0.0, 40), (1.0, 40), (0.5, 500)])
def test_the_interval_of_one_stratum_is_wilsons(share, n):
    found = survey.estimate_total(ONE, np.array([share]), np.array([float(n)]), 0.95)
    assert (found.low, found.high) == pytest.approx(wilson_interval(share, n, 0.95), abs=2e-4)
    assert found.worth(0.95) == pytest.approx(n, rel=0.01)


def test_no_error_in_a_stratum_that_stands_for_many_sheets_proves_little():
    weight, none = np.array([0.95, 0.05]), np.zeros(2)
    found = survey.estimate_total(weight, none, np.array([20.0, 180.0]), 0.95)
    assert found.high > 0.9 * 0.95 * wilson_interval(0, 20, 0.95)[1]


def test_the_interval_of_a_ratio_is_that_of_the_delta_method_in_large_samples():
    weight, share, n = np.array([0.5, 0.5]), np.array([0.8, 0.2]), np.array([1000.0, 1000.0])
    found = survey.estimate_ratio(weight, np.array([True, False]), share, n, 0.95)
    assert found.share == pytest.approx(0.8)
    assert (found.low, found.high) == pytest.approx((0.7796, 0.8204), abs=0.001)


def test_without_a_sheet_of_the_class_its_sensitivity_is_not_known():
    found = survey.estimate_ratio(np.array([0.5, 0.5]), np.array([True, False]), np.zeros(2), np.ones(2) * 50, 0.95)
    assert np.isnan(found.share) and (found.low, found.high) == (0, 1) and found.worth(0.95) == 0


def test_a_stratum_that_was_looked_at_whole_is_known():
    n = survey.effective(np.array([30, 900]), np.array([30, 900]))
    found = survey.estimate_total(np.array([0.1, 0.9]), np.array([0.3, 0.01]), n, 0.95)
    assert (n == CENSUS).all() and found.width < 1e-3 and found.share == pytest.approx(0.039)


def test_every_sheet_is_drawn_as_often_as_its_probability_says():
    random = np.random.default_rng(0)
    _, probability = collection(random, 400)
    named = probability > 0.5
    strata = survey.cut(named.astype(int), np.abs(probability - 0.5), 60)
    places = np.arange(400) % 20
    expected = (survey.allocate(np.bincount(strata), 60) / np.bincount(strata))[strata]
    counts = np.zeros(400)
    for seed in range(600):
        rows = survey.draw(strata, places, 60, np.random.default_rng(seed))
        assert len(rows) == len(set(rows)) == 60
        counts[rows] += 1
    assert np.abs(counts / 600 - expected).max() < 5 * np.sqrt(0.25 / 600)


def test_a_sample_is_spread_over_the_cabinets():
    strata, places = np.zeros(1000, int), np.repeat(np.arange(50), 20)
    rows = survey.draw(strata, places, 100, np.random.default_rng(1))
    assert set(np.bincount(places[rows], minlength=50)) == {2}


@pytest.mark.parametrize(("sizes", "sheets"), [([4000, 500, 300, 200], 60), ([3, 2, 5000], 40), ([10, 10], 50)])
def test_the_sheets_are_dealt_out_and_no_stratum_goes_without(sizes, sheets):
    given = survey.allocate(np.array(sizes), sheets)
    assert given.sum() == min(sheets, sum(sizes))
    assert (given >= np.minimum(sizes, survey.FEWEST)).all() and (given <= sizes).all()


def test_answers_are_not_cut_finer_than_the_sheets_allow():
    answer, confidence = np.arange(300) % 10, np.random.default_rng(0).random(300)
    assert len(np.unique(survey.cut(answer, confidence, 50))) == 10
    assert len(np.unique(survey.cut(answer, confidence, 200))) == 30


def test_so_many_sheets_are_needed_as_the_docs_say():
    assert [survey.sheets_needed(errors, 0.05, 0.95) for errors in range(3)] == [59, 93, 124]


@pytest.mark.parametrize("prevalence", [0.02, 0.4])
def test_intervals_hold_the_truth_of_drawn_collections(prevalence):
    random = np.random.default_rng(3)
    held = dict.fromkeys(survey.MEASURES, 0)
    draws = 120
    for _ in range(draws):
        outcome, probability = collection(random, 1500, prevalence)
        named = probability > 0.5
        strata = survey.cut(named.astype(int), np.abs(probability - 0.5), 120)
        rows = survey.draw(strata, np.zeros(1500, int), 120, random)
        found = survey.measure(strata, named, probability, rows, outcome[rows], 0.95)
        real = {
            "accuracy": (named == outcome).mean(),
            "sensitivity": named[outcome].mean(),
            "specificity": (~named)[~outcome].mean(),
            "precision": outcome[named].mean(),
            "prevalence": outcome.mean(),
        }
        for name in real:
            held[name] += found[name].low - 1e-9 <= real[name] <= found[name].high + 1e-9
    assert min(held.values()) >= 0.88 * draws  # 95 % is promised; chance leaves fewer than 88 % in 1 of 2,000 cases


def test_predictions_that_tell_much_make_the_interval_narrower_and_those_that_tell_nothing_no_wider():
    random = np.random.default_rng(5)
    outcome = random.random(4000) < 0.3
    strata = np.zeros(4000, int)
    rows = survey.draw(strata, strata, 200, random)
    named = np.ones(4000, bool)
    good = np.where(outcome, 0.9, 0.1) + random.normal(0, 0.05, 4000)
    plain, powered, useless = (
        survey.measure(strata, named, p, rows, outcome[rows], 0.95)["prevalence"]
        for p in (np.full(4000, 0.5), good, random.random(4000))
    )
    assert powered.width < 0.5 * plain.width and powered.low <= outcome.mean() <= powered.high
    assert useless.width <= plain.width + 1e-9


def test_what_is_known_here_outweighs_what_was_known_elsewhere():
    right, tested = survey.local_rate(Estimate(0.6, 0.45, 0.73), (380, 400), 0.95)
    assert right / tested < 0.68 and 40 < tested < 60
    assert survey.local_rate(Estimate(float("nan"), 0, 1), (380, 400), 0.95) == pytest.approx((4.75, 5))


def test_a_refitted_threshold_keeps_the_risk_of_the_collection():
    random = np.random.default_rng(7)
    broken = given = 0
    for _ in range(100):
        sure = random.random(3000) * 4
        wrong = random.random(3000) < 0.3 * np.exp(-1.2 * sure)
        strata = survey.cut(np.zeros(3000, int), sure, 300)
        rows = survey.draw(strata, np.zeros(3000, int), 300, random)
        found = sampled_threshold(strata, sure, rows, wrong[rows], 0.05, 0.95)
        if found is not None:
            given += 1
            broken += wrong[sure > found].mean() > 0.05
    assert given > 60 and broken <= 10


def test_too_few_sheets_guarantee_nothing_and_still_suggest_a_threshold():
    random = np.random.default_rng(7)
    sure = random.random(1000)
    strata = np.zeros(1000, int)
    rows = survey.draw(strata, strata, 40, random)
    wrong = np.zeros(40, bool)
    assert sampled_threshold(strata, sure, rows, wrong, 0.05, 0.95) is None
    assert likely_threshold(strata, sure, rows, wrong, 0.05) < sure.min()
