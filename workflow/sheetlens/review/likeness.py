"""More like this one: the sheets of a run whose features point most in the direction of one sheet's."""

import functools
import logging

import numpy as np
from numpy.typing import NDArray

from sheetlens.common.errors import UserError
from sheetlens.common.files import sha256
from sheetlens.config.networks import FEATURES
from sheetlens.features.product import CHUNK, open_features
from sheetlens.review.queue import Queue

MOST = 24  # sheets that are shown beside one
FLAT = 1e-6  # standard deviation below which a feature says nothing
log = logging.getLogger(__name__)


class Likeness:
    """Features of a run's sheets on disk; a few thousand of them are in memory at a time."""

    def __init__(self, queue: Queue, features: NDArray[np.float32]) -> None:
        """Features, float32, shape (N, d), have a row for each row of the run's image set."""
        self._features, self._rows = features, queue.sheets["row"].to_numpy(np.int64)

    @functools.cached_property
    def _usual(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and 1 / standard deviation of each feature; what all sheets have in common says nothing."""
        count, total = len(self._features), self._features.shape[1]
        mean, square = np.zeros(total), np.zeros(total)
        for start in range(0, count, CHUNK):
            mean += self._features[start : start + CHUNK].sum(axis=0, dtype=np.float64) / count
        for start in range(0, count, CHUNK):
            square += ((self._features[start : start + CHUNK] - mean) ** 2).sum(axis=0) / count
        spread = np.sqrt(square)
        return mean.astype(np.float32), (1 / np.where(spread > FLAT, spread, np.inf)).astype(np.float32)

    def nearest(self, place: int, count: int = MOST) -> list[int]:
        """Places of the `count` other sheets of the queue most like one, by cosine similarity, the nearest first."""
        mean, scale = self._usual
        wanted = (self._features[self._rows[place]] - mean) * scale
        similarity = np.empty(len(self._features), np.float32)
        for start in range(0, len(similarity), CHUNK):
            some = (self._features[start : start + CHUNK] - mean) * scale
            similarity[start : start + CHUNK] = some @ wanted / np.maximum(np.linalg.norm(some, axis=1), 1e-12)
        order = np.argsort(-similarity[self._rows], kind="stable")[: count + 1]
        return [int(other) for other in order if other != place][:count]


def open_likeness(queue: Queue) -> Likeness | None:
    """The likeness of a study's sheets by its features product, of the built-in backbone if there are several.

    None where there is none, and, with a line in the log, where it is not that of these sheets.
    """
    index = queue.folder / "images/index.parquet"
    found = sorted((queue.folder / "features").glob("*.npy"), key=lambda path: (path.stem != FEATURES, path.name))
    if not found or not index.is_file():
        return None
    try:
        features, facts = open_features(found[0])
        if facts["index_sha256"] != sha256(index):
            raise ValueError("they are of other sheets")
    except (OSError, ValueError, UserError) as error:
        log.warning("%s cannot show which sheets are alike (%s): let the workflow make it again", found[0], error)
        return None
    return Likeness(queue, features)
