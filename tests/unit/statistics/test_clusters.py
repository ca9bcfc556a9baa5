"""Groups of sheets: how many independent ones they stand for, and what intervals of that size cover."""

import numpy as np
import pytest

from sheetlens.statistics.clusters import Size, draw_groups, effective_size, one_of_each, smallest
from sheetlens.statistics.intervals import clustered_interval, wilson_interval


def outcomes(random, sizes, share, icc):
    """Right or not, in groups that are alike inside: beta-binomial."""
    chances = random.beta(share * (1 / icc - 1), (1 - share) * (1 / icc - 1), len(sizes)) if icc else share
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return random.random(len(groups)) < np.broadcast_to(chances, len(sizes))[groups], groups


def test_lone_sheets_stand_for_themselves():
    right = np.random.default_rng(0).random(60) < 0.8
    size = effective_size(right, np.arange(60))
    assert size.sheets == 60
    assert clustered_interval(0.8, size, 0.95) == pytest.approx(wilson_interval(0.8, 60, 0.95))


def test_copies_add_nothing():
    right = np.random.default_rng(0).random(500) < 0.8
    assert effective_size(right.repeat(4), np.arange(500).repeat(4)).sheets == pytest.approx(500, rel=0.05)


def test_the_effective_number_is_that_of_the_design_effect():
    right, groups = outcomes(np.random.default_rng(1), np.full(4000, 4), 0.9, 0.4)
    assert effective_size(right, groups).sheets == pytest.approx(16_000 / (1 + 3 * 0.4), rel=0.08)


@pytest.mark.parametrize(("n", "share", "icc"), [(50, 0.9, 0.6), (150, 0.96, 0.6), (700, 0.8, 0.3)])
def test_intervals_cover_gatherings(n, share, icc):
    random = np.random.default_rng(2)
    covered, plain = [], []
    for _ in range(500):
        right, groups = outcomes(random, random.integers(3, 6, n // 4), share, icc)
        low, high = clustered_interval(right.mean(), effective_size(right, groups), 0.95)
        covered.append(low <= share <= high)
        low, high = wilson_interval(right.mean(), len(right), 0.95)
        plain.append(low <= share <= high)
    assert np.mean(covered) > 0.92
    assert np.mean(plain) < 0.88  # what is mended


def test_no_sheets_and_one_group_do_no_harm():
    assert effective_size(np.empty(0, bool), np.empty(0, int)).sheets == 0
    assert effective_size(np.ones(5, bool), np.zeros(5, int)).sheets == 1
    assert smallest([Size(0, 1), Size(9.0, 3), Size(5.0, 8)]) == Size(5.0, 3)
    low, high = clustered_interval(1.0, Size(0, 1), 0.95)
    assert (low, high) == (pytest.approx(0, abs=0.01), 1)


def test_one_of_each_group_is_drawn_and_groups_stay_whole():
    groups = np.array([5, 2, 5, 7, 2, 2])
    rows = one_of_each(groups)
    assert sorted(groups[rows]) == [2, 5, 7] and rows.tolist() == sorted(rows)
    drawn = draw_groups(groups, np.random.default_rng(0))
    counts = {group: (groups[drawn] == group).sum() / (groups == group).sum() for group in (2, 5, 7)}
    assert sum(counts.values()) == 3 and all(count == int(count) for count in counts.values())
