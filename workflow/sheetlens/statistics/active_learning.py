"""Which sheets a person should label next, from features of all and labels of some.

Typical and diverse sheets come first (k-means; Hacohen et al. 2022, ICML), then those that a head fitted on the labels
so far is unsure of, spread over the collection (margin sampling, Settles 2009, with farthest-first spreading, Sener and
Savarese 2018, ICLR). Features are standardised here, so that none counts for its unit. Nothing that these functions
choose is a random sample: an accuracy measured on it is biased.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import MiniBatchKMeans

UNSURE = 6  # times as many unsure sheets as are wanted, from which the diverse ones are taken
SAMPLE = 5000  # sheets that the clusters are fitted on at most; more change little and take seconds

Features = NDArray[np.float32]


def directions(features: ArrayLike) -> Features:
    """Standardised features of length 1, float32, shape (n, d): their products are cosine similarities.

    Features that do not vary become 0.
    """
    values: Features = np.array(features, np.float32)
    spread = values.std(axis=0)
    values -= values.mean(axis=0)
    values /= np.where(spread > 1e-6, spread, np.inf)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.float32(1e-12))
    return values


def typical(units: Features, count: int, seed: int) -> NDArray[np.int64]:
    """Sheets that stand for the others: of each of `count` clusters the one nearest its middle, largest cluster first.

    `units` as `directions` returns them. Returns at most `count` rows, int64, without repetition.
    """
    random = np.random.default_rng(seed)
    count = min(count, len(units))
    some = units if len(units) <= SAMPLE else units[np.sort(random.choice(len(units), SAMPLE, replace=False))]
    clusters = MiniBatchKMeans(count, n_init=1, random_state=int(random.integers(2**31))).fit(some)
    middles = clusters.cluster_centers_.astype(np.float32)
    distances = (middles**2).sum(axis=1) - 2 * (units @ middles.T)  # without what is the same for all clusters
    nearest, sizes = distances.argmin(axis=0), np.bincount(distances.argmin(axis=1), minlength=count)
    return np.array(list(dict.fromkeys(nearest[np.argsort(-sizes, kind="stable")].tolist())), np.int64)


def diverse(units: Features, known: ArrayLike, candidates: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Those of `candidates` farthest from the `known` rows and from each other, in this order."""
    return _spread(units, np.asarray(known, np.int64), candidates, np.ones(len(candidates), np.float32), count)


def unsure(
    units: Features,
    probabilities: NDArray[np.float64],
    known: ArrayLike,
    candidates: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    """Those of `candidates` that a head is least sure of, far from the `known` (labelled) rows and from each other.

    `probabilities`, shape (n, classes), of all rows. Unsure is a small margin between the two likeliest classes.
    """
    doubt = 1 - margins(probabilities[candidates])
    first = np.argsort(-doubt, kind="stable")[: UNSURE * count]
    return _spread(units, np.asarray(known, np.int64), candidates[first], doubt[first].astype(np.float32), count)


def likely(probabilities: NDArray[np.float64], candidates: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """`candidates` with those first that are likeliest of the class of that number: more of a rare one."""
    return candidates[np.argsort(-probabilities[candidates, number], kind="stable")]


def alike(units: Features, row: int, candidates: NDArray[np.int64]) -> NDArray[np.int64]:
    """`candidates` with those first that look most like one row."""
    return candidates[np.argsort(-(units[candidates] @ units[row]), kind="stable")]


def margins(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance between the two highest probabilities of each row, 0 to 1."""
    highest = np.sort(probabilities, axis=1)
    return highest[:, -1] - highest[:, -2]


def _spread(
    units: Features, known: NDArray[np.int64], candidates: NDArray[np.int64], worth: NDArray[np.float32], count: int
) -> NDArray[np.int64]:
    """Farthest first: each time the candidate whose distance to all before it, times its worth, is largest."""
    some = units[candidates]
    near = (some @ units[known].T).max(axis=1) if len(known) else np.full(len(some), -1, np.float32)
    left, chosen = np.ones(len(candidates), bool), []
    for _ in range(min(count, len(candidates))):
        best = int(np.where(left, (1 - near + np.float32(1e-3)) * worth, -1).argmax())
        chosen.append(best)
        left[best] = False
        near = np.maximum(near, some @ some[best])
    return candidates[np.array(chosen, np.int64)]
