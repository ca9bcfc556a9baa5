"""What tests of single sheets and of cabinets say of the others."""

from itertools import product

import numpy as np
import pytest

from sheetlens.statistics.hierarchical_prevalence import fit_shares
from sheetlens.statistics.measured import Looks, learn

KNOWN = ((90.0, 100.0), (95.0, 100.0))
NONE = np.ones(6)
PRIOR = np.array([0.6, 0.6, 0.6, 0.6, 0.05, 0.6])
KIN = np.array([0, 0, 1, 1, 0, -1])


def test_without_a_test_nothing_changes():
    np.testing.assert_allclose(learn(PRIOR, KIN, NONE, NONE).treated, PRIOR)


def test_a_result_tells_most_of_its_cabinet_less_of_its_kin_and_least_of_the_others():
    so, other = NONE.copy(), NONE.copy()
    so[0], other[0] = 0.1, 0.9  # negative
    found = learn(PRIOR, KIN, so, other).treated
    assert found[0] < found[1] < found[2] < 0.62
    assert found[2] == pytest.approx(found[3])
    so[0], other[0] = 0.9, 0.1
    again = learn(PRIOR, KIN, so, other).treated
    assert again[0] > 0.85 > again[1] > again[2] and again[4] > found[4]


def test_a_better_method_says_more():
    results = []
    for error in (0.3, 0.01):
        so, other = NONE.copy(), NONE.copy()
        so[0], other[0] = error, 1 - error
        results.append(learn(PRIOR, KIN, so, other).treated[0])
    assert results[1] < 0.05 < results[0] < 0.6


def test_the_number_left_is_counted_as_by_going_through_all_cases():
    so, other = NONE.copy(), NONE.copy()
    so[0], other[0] = 0.9, 0.1
    tested = np.arange(6) == 0
    found = learn(PRIOR, KIN, so, other)
    expected = []
    for chances in found.draws[:20, 1:]:
        cases = product((0, 1), repeat=5)
        expected.append(sum(np.prod(np.where(c, chances, 1 - chances)) for c in cases if sum(c) < 2))
    some = type(found)(found.draws[:20])
    assert some.fewer_left(2, tested) == pytest.approx(np.mean(expected))
    assert found.fewer_left(2, np.ones(6, bool)) == 1


def test_sheets_that_were_all_looked_at_are_known():
    n, named = np.array([4, 50, 50]), np.array([3, 5, 5])
    so = np.array([1.0, 0.0, 0.0, 1.0])
    looks = Looks(np.zeros(4, int), np.array([True, True, True, False]), so, 1 - so)
    found = fit_shares(n, named, *KNOWN, looks=looks)
    assert set(found.draws[found.rows[0]]) == {2}
    assert found.rows[1] == found.rows[2]


def test_sheets_that_were_named_wrongly_lower_their_own_cabinet():
    n, named = np.full(20, 40), np.full(20, 8)
    looks = Looks(np.zeros(5, int), np.ones(5, bool), np.zeros(5), np.ones(5))
    found = fit_shares(n, named, *KNOWN, looks=looks).mean()
    assert found[0] < 0.6 * found[1]


def test_shares_follow_a_probability_that_is_known_otherwise():
    n, named = np.full(30, 40), np.arange(30) % 20
    shares = fit_shares(n, named, *KNOWN)
    wanted = np.linspace(0.02, 0.98, 30)
    moved = shares.conditioned(np.full(30, 8), wanted)
    np.testing.assert_allclose((moved.draws >= 8).mean(axis=1), wanted, atol=0.02)
    assert (moved.mean()[-10:] > shares.mean()[-10:] - 0.2).all()
