"""The share of a class in each of many groups of sheets (cabinets, families), behind the answers of a network.

The model, for groups j with n sheets of which y are named as the class:

    share_j = sin(angle_j)^2, angle_j ~ Cauchy(centre, spread) from 0 to pi / 2    groups are alike, but for hotspots
    y_j ~ Binomial(n_j, share_j se + (1 - share_j) (1 - sp))                       the network errs both ways
    se, sp ~ Beta(right + 1/2, wrong + 1/2)           as far as its test part tells (Jeffreys' prior)
    centre ~ Uniform(0, pi / 2), spread ~ half normal, scale 1/2                   hardly informative

A group of few sheets is drawn to the others, the more so the more alike they are. The Cauchy distribution has tails
that let single groups stand far out; with a normal or a beta distribution in its place, hotspots widen the
distribution for all, and the other cabinets are then taken for cleaner than they are (`benchmarks/hotspots.py`, few
hot). The four unknowns that all groups share are integrated by importance sampling at fixed points, the shares over
bins; nothing is random.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, xlog1py, xlogy
from scipy.stats import chi2, norm, qmc

from sheetlens.common.errors import UserError
from sheetlens.statistics.prevalence import Counts

POINTS = 128  # where the four common unknowns are integrated
FREEDOM = 5  # degrees of freedom of the t distribution they are drawn from: tails heavier than the posterior's
WIDEST = 0.5  # scale of the spread
STEP = 1e-3  # of the differences that stand for derivatives
CELLS = 2_000_000  # numbers in memory at a time
FINEST, COARSEST = 2048, 128  # bins of the shares


@dataclass(frozen=True)
class Shares:
    """What is known of the share of each group: probabilities of bins between `edges`.

    `bins` has shape (different groups, len(edges) - 1); `rows` tells for each group its row: groups with the same
    counts share one.
    """

    edges: np.ndarray
    bins: np.ndarray
    rows: np.ndarray

    def mean(self) -> np.ndarray:
        """Expected share, shape (groups,)."""
        return (self.bins @ _middle(self.edges))[self.rows]

    def at_least(self, share: float) -> np.ndarray:
        """Probability that the share is `share` or more, shape (groups,)."""
        return np.array([1 - np.interp(share, self.edges, _cumulated(one)) for one in self.bins])[self.rows]

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the shortest interval that holds the share with probability `confidence`, each of shape (groups,).

        The shortest, because a share near 0 has no lower end to speak of.
        """
        ends = np.array([_shortest(self.edges, _cumulated(one), confidence) for one in self.bins])[self.rows]
        return ends[:, 0], ends[:, 1]


def fit_shares(n: np.ndarray, named: np.ndarray, sensitivity: Counts, specificity: Counts) -> Shares:
    """Estimate the shares of groups with `n` sheets each, int, shape (groups,), of which `named` got the class.

    `sensitivity` and `specificity` are (right, tested) of the network on sheets of known class, and need not be whole.
    Raises UserError where the network is no better than chance, so that its answers say nothing.
    """
    if sensitivity[0] / sensitivity[1] + specificity[0] / specificity[1] <= 1:
        raise UserError("the network was no better than chance on its test part: its answers say nothing of shares")
    different, rows, times = np.unique(np.stack([n, named], axis=1), axis=0, return_inverse=True, return_counts=True)
    model = _Model(different.astype(float), times, sensitivity, specificity)
    points, weights = _integrate(model)
    return Shares(model.edges, model.bins(points, weights), rows.reshape(-1))


class _Model:
    """The posterior density of the common unknowns, as logits of centre / (pi / 2), se and sp; log of spread second."""

    def __init__(self, different: np.ndarray, times: np.ndarray, sensitivity: Counts, specificity: Counts) -> None:
        self.counts = np.stack([different[:, 1], different[:, 0] - different[:, 1]], axis=1)  # named, not named
        self.times = times
        self.known = np.array([(right, tested - right) for right, tested in (sensitivity, specificity)]) + 0.5
        # Half as wide as the likelihood of the largest group, and finer towards 0 and 1.
        number = int(np.clip(5 * np.sqrt(different[:, 0].max()), COARSEST, FINEST))
        self.edges = np.sin(np.linspace(0, np.pi / 2, number + 1)) ** 2
        share = different[:, 1] / different[:, 0]
        self.best = xlogy(self.counts[:, 0], share) + xlog1py(self.counts[:, 1], -share)

    def start(self) -> np.ndarray:
        """A rough guess at the mode, by the method of Rogan and Gladen."""
        se, sp = self.known[:, 0] / self.known.sum(axis=1)
        named, others = self.times @ self.counts
        centre = np.clip((named / (named + others) + sp - 1) / (se + sp - 1), 0.02, 0.98)
        return np.array([logit(2 / np.pi * np.arcsin(np.sqrt(centre))), np.log(WIDEST / 2), *logit([se, sp])])

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Logarithm of the density, but for a constant; points have shape (m, 4), the result (m,)."""
        (middle, se, sp), spread = expit(points.T[[0, 2, 3]]), np.exp(points.T[1])
        prior = np.log(middle * (1 - middle)) + points.T[1] - spread**2 / (2 * WIDEST**2)
        for share, (right, wrong) in zip((se, sp), self.known, strict=True):
            prior = prior + right * np.log(share) + wrong * np.log1p(-share)
        found = [self.times[some] @ np.log(likelihood.sum(axis=1)) for some, likelihood in self._likelihoods(points)]
        return np.where(se + sp > 1, prior + np.sum(found, axis=0), -np.inf)

    def bins(self, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Probabilities of the bins for each different group, averaged over weighted points."""
        found = np.empty((len(self.counts), len(self.edges) - 1))
        for some, likelihood in self._likelihoods(points):
            found[some] = np.einsum("gtm,gm->gt", likelihood, weights / likelihood.sum(axis=1))
        return found / found.sum(axis=1, keepdims=True)

    def _likelihoods(self, points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield slices of the groups with prior times likelihood of each bin and point, shape (groups, bins, m)."""
        (se, sp), spread = expit(points.T[2:]), np.exp(points.T[1])
        angles = np.linspace(0, np.pi / 2, len(self.edges))[:, None]
        prior = np.diff(np.arctan((angles - np.pi / 2 * expit(points.T[0])) / spread), axis=0)
        prior /= prior.sum(axis=0)
        named = np.clip(_middle(self.edges)[:, None] * (se + sp - 1) + 1 - sp, 1e-12, 1 - 1e-12)
        logs = np.stack([np.log(named), np.log1p(-named)]).reshape(2, -1)
        size = max(1, CELLS // prior.size)
        for first in range(0, len(self.counts), size):
            some = slice(first, first + size)
            likelihood = np.exp(self.counts[some] @ logs - self.best[some, None])
            yield some, np.maximum(likelihood.reshape(-1, *prior.shape) * prior, np.finfo(float).tiny)


def _integrate(model: _Model) -> tuple[np.ndarray, np.ndarray]:
    """Points of the common unknowns, shape (POINTS, 4), and their weights, which add up to 1."""

    def height(point: np.ndarray) -> float:
        value = float(model.log_density(point[None])[0])
        return -value if np.isfinite(value) else 1e10

    def slope(point: np.ndarray) -> np.ndarray:
        moves = STEP * np.eye(4)
        values = model.log_density(np.concatenate([point + moves, point - moves]))
        with np.errstate(invalid="ignore"):  # outside of what may be, where there is no slope
            return np.nan_to_num((values[4:] - values[:4]) / (2 * STEP))

    mode = minimize(height, model.start(), jac=slope, method="BFGS", options={"gtol": 1e-2, "maxiter": 100}).x
    bend = np.array([slope(mode + move) - slope(mode - move) for move in 10 * STEP * np.eye(4)]) / (20 * STEP)
    values, directions = np.linalg.eigh((bend + bend.T) / 2)
    spread = directions / np.clip(values, 0.1, None) @ directions.T
    for _ in range(3):  # the first fits a bell to the mode, the others to the points weighted
        points, weights = _weigh(model, mode, spread)
        mode = weights @ points
        spread = (points - mode).T @ ((points - mode) * weights[:, None]) + 1e-6 * np.eye(4)
    return points, weights


def _weigh(model: _Model, centre: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of a t distribution, weighted so that they stand for the posterior."""
    normal, stretch = _fixed_points()
    moves = normal * stretch[:, None]
    points = centre + moves @ np.linalg.cholesky(spread).T
    log_drawn = -(FREEDOM + 4) / 2 * np.log1p((moves**2).sum(axis=1) / FREEDOM)
    log_weights = model.log_density(points) - log_drawn
    weights = np.exp(log_weights - log_weights.max())
    return points, weights / weights.sum()


@cache
def _fixed_points() -> tuple[np.ndarray, np.ndarray]:
    uniform = qmc.Sobol(5, rng=0).random(POINTS)
    return norm.ppf(uniform[:, :4]), np.sqrt(FREEDOM / chi2.ppf(uniform[:, 4], FREEDOM))


def _middle(edges: np.ndarray) -> np.ndarray:
    return (edges[1:] + edges[:-1]) / 2


def _cumulated(bins: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.minimum(bins.cumsum(), 1)])


def _shortest(edges: np.ndarray, cumulated: np.ndarray, confidence: float) -> tuple[float, float]:
    first = np.flatnonzero(cumulated <= cumulated[-1] - confidence)
    ends = np.interp(cumulated[first] + confidence, cumulated, edges)
    best = int(np.argmin(ends - edges[first]))
    return float(edges[first[best]]), float(ends[best])
