import numpy as np
import pytest

from sheetlens.statistics import active_learning


@pytest.fixture
def units():
    """Three tight clusters of 30, 20 and 10 sheets."""
    random = np.random.default_rng(0)
    middles = random.standard_normal((3, 16)) * 5
    counts = (30, 20, 10)
    values = np.repeat(middles, counts, axis=0) + random.standard_normal((60, 16)) * 0.1
    return active_learning.directions(values)


def test_typical_sheets_are_one_of_each_cluster_the_largest_first(units):
    found = active_learning.typical(units, 3, 1)
    assert [int(np.searchsorted([30, 50, 60], row, side="right")) for row in found] == [0, 1, 2]


def test_unsure_sheets_are_not_all_alike(units):
    probabilities = np.full((60, 2), 0.5)
    probabilities[:, 0] += np.linspace(0, 0.01, 60)
    probabilities[:, 1] -= np.linspace(0, 0.01, 60)
    found = active_learning.unsure(units, probabilities, [], np.arange(60), 10)
    assert found[0] == 0  # the least sure
    assert len({int(np.searchsorted([30, 50, 60], row, side="right")) for row in found}) >= 2


def test_an_unsure_sheet_like_a_labelled_one_waits(units):
    found = active_learning.unsure(units, np.full((60, 2), 0.5), list(range(25)), np.arange(25, 60), 1)
    assert found[0] >= 30, "25 to 29 look like the labelled ones"


def test_unsure_comes_before_sure(units):
    probabilities = np.tile([0.99, 0.01], (60, 1))
    probabilities[[7, 41]] = 0.5
    assert set(active_learning.unsure(units, probabilities, [], np.arange(60), 2)) == {7, 41}


def test_more_of_a_class_and_more_like_one(units):
    probabilities = np.zeros((60, 2))
    probabilities[:, 1] = np.arange(60) / 60
    assert active_learning.likely(probabilities, np.arange(50), 1)[0] == 49
    assert set(active_learning.alike(units, 59, np.arange(59))[:9]) == set(range(50, 59))


def test_features_that_never_vary_count_for_nothing():
    values = np.random.default_rng(0).standard_normal((20, 4))
    with_constant = np.column_stack([values, np.full(20, 7.0)])
    np.testing.assert_allclose(
        active_learning.directions(with_constant)[:, :4], active_learning.directions(values), atol=1e-6
    )
