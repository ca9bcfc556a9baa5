"""What to look at next: the head on the labels so far, and the sheets that would teach it most."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sheetlens.features.head import Head, fit_head
from sheetlens.statistics import active_learning

QUEUE = 64  # suggested sheets that are kept ready
TYPICAL = 16  # sheets that stand for the others, shown before there is anything to be unsure of
STRENGTH = 0.1  # of the head while labels come in (see features.head); choosing it takes longer than fitting
COMPONENTS = 128  # of the features, by which sheets are compared
CHUNK = 2048  # sheets that are computed with at a time


@dataclass(frozen=True)
class Suggestion:
    """What the last fit says: probabilities, float64, shape (n, classes), and the rows to look at, best first."""

    classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float64] | None = None
    rows: tuple[int, ...] = ()
    units: NDArray[np.float32] | None = None
    known: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


def suggest(
    features: NDArray[np.float16],
    known: NDArray[np.bool_],
    units: NDArray[np.float32],
    labels: dict[int, str],
    done: set[int],
) -> Suggestion:
    """Fit the head to the labels (row -> class) and say which rows to look at, none of those that are done."""
    counts = Counter(labels.values())
    classes = tuple(sorted(counts))
    left = np.array([row for row in np.flatnonzero(known) if row not in done], np.int64)
    if len(classes) < 2 or min(counts.values()) < 2:
        rows = left[active_learning.typical(units[left], min(TYPICAL, len(left)), 0)] if len(left) else left
        return Suggestion((), None, tuple(rows.tolist()), units, known)
    head = fit_labels(features, labels, classes)
    probabilities = np.full((len(known), len(classes)), 1 / len(classes))
    for rows in _chunks(known):
        probabilities[rows] = head.probabilities(features[rows])
    rows = active_learning.unsure(units, probabilities, list(labels), left, QUEUE) if len(left) else left
    return Suggestion(classes, probabilities, tuple(rows.tolist()), units, known)


def fit_labels(
    features: NDArray[np.float16] | NDArray[np.float32], labels: dict[int, str], classes: tuple[str, ...]
) -> Head:
    """The head on the labels so far; classes count alike, however many labels each has."""
    rows = np.array(sorted(labels), np.int64)
    numbers = np.array([classes.index(labels[row]) for row in rows.tolist()])
    return fit_head(features[rows], numbers, len(classes), balanced=True, strength=STRENGTH)


def compare(
    features: NDArray[np.float16], known: NDArray[np.bool_], components: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sheets as directions in few dimensions, zeros where nothing is known; the projection is fixed once it can be."""
    if components is None or len(components) != features.shape[1]:
        random = np.random.default_rng(0)
        components = random.standard_normal((features.shape[1], COMPONENTS)).astype(np.float32)
    some = features[next(_chunks(known))].astype(np.float32)
    mean, spread = some.mean(axis=0), np.maximum(some.std(axis=0), 1e-6)
    units = np.zeros((len(known), COMPONENTS), np.float32)
    for rows in _chunks(known):
        units[rows] = ((features[rows] - mean) / spread) @ components
    units[known] = active_learning.directions(units[known])
    return units, components


def _chunks(known: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """The rows that have features, some at a time: a collection's in float64 would fill the memory."""
    rows = np.flatnonzero(known)
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
