"""The linear head on frozen features: a multinomial logistic regression on standardised features.

Its strength is chosen by cross-validation in which groups stay together, by the loss. What was learnt is one linear
layer, standardisation included. No random numbers, one thread: the same sheets give the same bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse of the penalty; ten times more or less is seldom a point
FOLDS = 5
FLAT = 1e-6  # standard deviation below which a feature says nothing
STEPS = 1000  # of the optimiser, at most; some tens are usual


@dataclass(frozen=True)
class Head:
    """A fitted head: logits are `features @ weight.T + bias`.

    `weight` float64, shape (classes, d); `bias` float64, shape (classes,); `strength` the inverse of the penalty that
    was chosen, and `losses` the mean log loss of each tried, by cross-validation; empty where it was given.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    strength: float
    losses: dict[float, float]

    def logits(self, features: ArrayLike) -> NDArray[np.float64]:
        """Logits of sheets, shape (n, classes), of features, shape (n, d)."""
        return np.asarray(features, np.float64) @ self.weight.T + self.bias

    def probabilities(self, features: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class, shape (n, classes), of features, shape (n, d)."""
        return np.asarray(softmax(self.logits(features), axis=1))


@threadpool_limits.wrap(limits=1)  # more threads add in another order: other bits on other numbers of cores
def fit_head(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    balanced: bool = False,
    strength: float | None = None,
) -> Head:
    """Fit a head to features, float, shape (n, d), and labels, int, shape (n,), counted from 0 to `classes` - 1.

    `groups`, shape (n,), names what must not be divided in the choice of the strength; `weights`, shape (n,), what
    each sheet counts; `balanced` lets every class count as much as any other. A class without sheets gets the smallest
    probability of all, whatever the sheet. With a `strength` nothing is chosen. Raises ValueError for fewer than two
    classes among the labels, and for numbers that are infinite or none.
    """
    values, truth = np.asarray(features, np.float64), np.asarray(labels, np.int64)
    present, number = np.unique(truth, return_inverse=True)
    if len(present) < 2 or present.min() < 0 or present.max() >= classes:
        raise ValueError(f"the labels are of the classes {present.tolist()}: two of 0 to {classes - 1} at least")
    if not np.isfinite(values).all():
        raise ValueError("some features are infinite or no numbers")
    share = sheet_weights(number, weights, balanced)
    centre, spread = _moments(values)
    turned = _turned((values - centre) / spread)
    losses = {} if strength else _losses(turned.values, number, groups, share)
    chosen = strength or min(losses, key=lambda tried: (losses[tried], tried))
    fitted = _fit(turned.values, number, share, chosen)
    inside = fitted.coef_ @ turned.back / spread
    inside_bias = fitted.intercept_ - inside @ centre
    if len(present) == 2:  # one logit for the second class: half of it for, half against
        inside, inside_bias = np.concatenate([-inside, inside]) / 2, np.concatenate([-inside_bias, inside_bias]) / 2
    weight, bias = np.zeros((classes, values.shape[1])), np.full(classes, _never(inside_bias))
    weight[present], bias[present] = inside, inside_bias
    return Head(weight, bias, chosen, losses)


def sheet_weights(labels: NDArray[np.int64], weights: ArrayLike | None, balanced: bool) -> NDArray[np.float64]:
    """What each sheet counts, float64, shape (n,), 1 on average: as given, and evened out over classes if asked."""
    share = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64).copy()
    if balanced:
        share /= np.bincount(labels, share)[labels]
    return np.asarray(share / share.mean())


@dataclass(frozen=True)
class _Turned:
    """Features turned into as many directions as there are sheets, where that is fewer; `back` turns weights back."""

    values: NDArray[np.float64]
    back: NDArray[np.float64]


def _turned(values: NDArray[np.float64]) -> _Turned:
    """A penalty on the sum of squares knows no directions, so nothing is lost, and few sheets are fitted at once."""
    count, size = values.shape
    if count >= size:
        return _Turned(values, np.eye(size))
    left, scales, right = np.linalg.svd(values, full_matrices=False)
    return _Turned(left * scales, right)


def _moments(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > FLAT, spread, np.inf)  # what never varies gets a weight of 0


def _fit(
    values: NDArray[np.float64], labels: NDArray[np.int64], share: NDArray[np.float64], strength: float
) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=STEPS).fit(values, labels, sample_weight=share)


def _losses(
    values: NDArray[np.float64], labels: NDArray[np.int64], groups: ArrayLike | None, share: NDArray[np.float64]
) -> dict[float, float]:
    """Mean log loss of each of STRENGTHS on the groups left out; no folds without each class in two groups."""
    together = np.arange(len(labels)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    rarest = min(len(np.unique(together[labels == number])) for number in range(labels.max() + 1))
    if rarest < 2:
        return {STRENGTHS[len(STRENGTHS) // 2]: 0.0}
    folds = list(StratifiedGroupKFold(min(FOLDS, rarest)).split(values, labels, together))
    folds = [(train, test) for train, test in folds if len(test) and len(np.unique(labels[train])) == labels.max() + 1]
    losses = {}
    for strength in STRENGTHS:
        total = 0.0
        for train, test in folds:
            logits = _fit(values[train], labels[train], share[train], strength).decision_function(values[test])
            if logits.ndim == 1:
                logits = np.stack([-logits, logits], axis=1) / 2
            total -= float(share[test] @ log_softmax(logits, axis=1)[np.arange(len(test)), labels[test]])
        losses[strength] = total / float(sum(share[test].sum() for _, test in folds))
    return losses


def _never(bias: NDArray[np.float64]) -> float:
    """A bias for a class that no sheet had: far below the others, and a finite number."""
    return float(bias.min() - 50)
