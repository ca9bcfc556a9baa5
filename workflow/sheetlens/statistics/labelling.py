"""What the labels made so far are worth: accuracy on the random ones, agreement, and what more labels would bring."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from sheetlens.statistics.intervals import Interval, wilson_interval

CONFIDENCE = 0.95
FEWEST = 20  # random sheets, below which an accuracy is not worth saying
FOLDS = 5
STEPS = (0.25, 0.5, 0.75, 1.0)  # of the labels, for the learning curve
Fit = Callable[[NDArray[np.int64]], Callable[[NDArray[np.int64]], NDArray[np.float64]]]


@dataclass(frozen=True)
class Estimate:
    """A share, 0 to 1, of `sheets` random sheets with its interval at CONFIDENCE; NaN where there are too few."""

    share: float
    interval: Interval
    sheets: int


def estimate(hits: ArrayLike, fewest: int = FEWEST) -> Estimate:
    """The share of hits among randomly chosen sheets, with Wilson's interval."""
    values = np.asarray(hits, bool)
    if len(values) < fewest:
        return Estimate(float("nan"), (float("nan"), float("nan")), len(values))
    share = float(values.mean())
    return Estimate(share, wilson_interval(share, len(values), CONFIDENCE), len(values))


def cross_validate(labels: NDArray[np.int64], fit: Fit, used: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """The class that a head fitted on the other folds gives each of the `used` rows: int64, shape of `used`.

    `fit` takes rows to fit on and returns a function from rows to probabilities. Folds are drawn within each class.
    """
    random = np.random.default_rng(seed)
    place = np.empty(len(used), np.int64)
    for number in np.unique(labels[used]):
        inside = np.flatnonzero(labels[used] == number)
        place[random.permutation(inside)] = np.arange(len(inside)) % FOLDS
    found = np.zeros(len(used), np.int64)
    for fold in range(FOLDS):
        train, test = used[place != fold], used[place == fold]
        if not len(test):
            continue
        if len(np.unique(labels[train])) < 2:
            found[place == fold] = labels[train][0] if len(train) else 0
            continue
        found[place == fold] = fit(train)(test).argmax(axis=1)
    return found


@dataclass(frozen=True)
class Curve:
    """Accuracy at some numbers of labels, and what to expect at twice as many; NaN where nothing can be said."""

    labels: tuple[int, ...]
    accuracy: tuple[float, ...]
    doubled: float


def learning_curve(labels: NDArray[np.int64], fit: Fit, judged: NDArray[np.bool_], seed: int = 0) -> Curve:
    """Cross-validated accuracy on the `judged` (random) rows with a part of the labels; error falls as a * n^-b.

    The power law is that of Hestness et al. 2017 (arXiv 1712.00409); with four points it says a direction, no more.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    sizes, shares = [], []
    for step in STEPS:
        used = np.sort(order[: int(step * len(labels))])
        if len(used) < 2 * FOLDS or judged[used].sum() < FEWEST / 2 or len(np.unique(labels[used])) < 2:
            continue
        right = cross_validate(labels, fit, used, seed) == labels[used]
        sizes.append(len(used))
        shares.append(float(right[judged[used]].mean()))
    doubled = float("nan")
    if len(sizes) >= 3:
        errors = 1 - np.array(shares)
        try:
            (scale, power), _ = curve_fit(_error, np.array(sizes, float), errors, (1.0, 0.5), bounds=([0, 0], [10, 2]))
            doubled = max(1 - float(_error(2.0 * len(labels), scale, power)), shares[-1])
        except RuntimeError:  # it does not converge
            pass
    return Curve(tuple(sizes), tuple(shares), doubled)


def kappa(first: Sequence[str], second: Sequence[str]) -> tuple[float, float]:
    """Share of agreement and Cohen's kappa (1960, Educ Psychol Meas 20: 37-46) of two looks at the same sheets.

    NaN without sheets; kappa is NaN where both looks give all sheets one class, so that chance alone agrees.
    """
    if not first:
        return float("nan"), float("nan")
    names = sorted({*first, *second})
    table = np.zeros((len(names), len(names)))
    for one, other in zip(first, second, strict=True):
        table[names.index(one), names.index(other)] += 1
    table /= len(first)
    agreed, chance = float(np.trace(table)), float(table.sum(axis=1) @ table.sum(axis=0))
    return agreed, (agreed - chance) / (1 - chance) if chance < 1 else float("nan")


def _error(labels: float, scale: float, power: float) -> float:
    return scale * labels**-power
