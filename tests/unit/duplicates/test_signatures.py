import itertools

import numpy as np
import pytest

from sheetlens.duplicates.signatures import BITS, NEIGHBOURS, RADIUS, close_pairs, distance, pack_bits


def bits(n, seed=0):
    return np.random.default_rng(seed).random((n, BITS)) < 0.5


def flipped(row, places):
    other = row.copy()
    other[list(places)] ^= True
    return other


def test_distance_counts_bits():
    some = bits(20)
    pairs = np.array(list(itertools.combinations(range(20), 2)))
    expected = (some[pairs[:, 0]] != some[pairs[:, 1]]).sum(axis=1)
    assert distance(pack_bits(some), pairs).tolist() == expected.tolist()


def test_every_planted_pair_is_found_and_no_other():
    random = np.random.default_rng(1)
    some = bits(3000)
    twins = np.array([flipped(some[row], random.choice(BITS, 1 + row % 20, replace=False)) for row in range(400)])
    signatures = pack_bits(np.concatenate([some, twins]))
    pairs, distances = close_pairs(signatures)
    assert pairs.tolist() == [[row, 3000 + row] for row in range(400)]
    assert distances.tolist() == [1 + row % 20 for row in range(400)]


def test_pairs_beyond_the_radius_are_left_out():
    one = bits(1)[0]
    signatures = pack_bits(np.array([one, flipped(one, range(RADIUS + 1)), flipped(one, range(3))]))
    assert close_pairs(signatures)[0].tolist() == [[0, 2], [1, 2]]
    assert close_pairs(signatures, 2)[0].tolist() == []


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_pair(n):
    pairs, distances = close_pairs(pack_bits(bits(n)))
    assert pairs.shape == (0, 2) and distances.shape == (0,)


def test_a_crowd_hangs_together_without_being_paired_all_with_all():
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = 2000
    pairs, _ = close_pairs(pack_bits(np.repeat(bits(1), n, axis=0)))
    assert len(pairs) <= n * NEIGHBOURS
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(n, n))
    assert connected_components(graph, directed=False)[0] == 1
