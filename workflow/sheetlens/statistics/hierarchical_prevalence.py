"""How many sheets of a class are in each of many groups (cabinets, families), behind the answers of a network.

The model, for groups j with n sheets of which y are named as the class:

    share_j = sin(angle_j)^2, angle_j ~ Cauchy(centre, spread) from 0 to pi / 2    groups are alike, but for hotspots
    y_j ~ Binomial(n_j, share_j se_j + (1 - share_j) fa_j)                         the network errs both ways
    logit se_j ~ Normal(m, tau), logit fa_j ~ Normal(f, tau)                       and otherwise in each group
    mean of se_j, 1 - mean of fa_j ~ Beta(right + 1/2, wrong + 1/2)                as far as its test part tells
    tau in TAUS, large ones more likely than small ones                            checked groups tell more of it
    centre ~ Uniform(0, pi / 2), log spread ~ Uniform, cut                         hardly informative

A fern that looks stained or a week of another camera makes the network err in a whole cabinet: with the same error
rates everywhere, such cabinets would be taken for treated ones (`benchmarks/truth.py`, hotspots out of nothing). A
group of few sheets is drawn to the others, the more so the more alike they are; the Cauchy distribution has tails that
let single groups stand far out. What all groups share is integrated over a grid of settings, the rates of a group over
bins. The answer is the number of sheets among those that are there, as draws from its posterior predictive
distribution; the lots are the same in every run.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, xlog1py, xlogy
from scipy.stats import beta, binom

from sheetlens.common.errors import UserError
from sheetlens.statistics.measured import NO_LOOKS, Looks, draw_seen
from sheetlens.statistics.prevalence import Counts

# Standard deviation of error rates between groups, on the logit, and how likely it is beforehand. 0.7 was met; where
# most sheets are of the class, the answers hardly tell of it, so that likely small ones would promise too much.
TAUS = {0.02: 0.03, 0.2: 0.07, 0.5: 0.2, 0.8: 0.4, 1.2: 0.3}
SENSITIVITIES, FALSE_ALARMS = 3, 7  # quantiles of their means that are tried
CENTRES, SPREADS = 20, 9  # of the shares' distribution that are tried
OWN = 20  # sheets that the network's own test part is worth beside checked sheets
NARROWEST, WIDEST = 0.003, 1.0  # spread, in radians
SETTINGS, EACH = 64, 16  # settings drawn, and draws for each of them
SHARE_BINS, RATE_BINS = (64, 256), (96, 512)  # fewest and most bins of a group's share, and of its share of names
CELLS = 4_000_000  # numbers in memory at a time
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class Shares:
    """Draws of how many sheets of each group are of the class: int, shape (different groups, draws).

    `rows` tells for each group its row (groups with the same counts share one), `sheets` how many it has.
    """

    draws: np.ndarray
    rows: np.ndarray
    sheets: np.ndarray

    def mean(self) -> np.ndarray:
        """Expected share, shape (groups,)."""
        return np.asarray(self.draws.mean(axis=1)[self.rows] / np.maximum(self.sheets, 1))

    def at_least(self, share: float) -> np.ndarray:
        """Probability that the share among the sheets that are there is `share` or more, shape (groups,)."""
        needed = np.ceil(share * self.sheets - 1e-9)
        return np.array([(self.draws[row] >= least).mean() for row, least in zip(self.rows, needed, strict=True)])

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Fewest and most sheets of the shortest interval that holds the number with this probability, int, (groups,).

        The shortest, because a number near 0 has no lower end to speak of.
        """
        ends = np.array([_shortest(np.sort(one), confidence) for one in self.draws])[self.rows]
        return ends[:, 0], ends[:, 1]

    def conditioned(self, needed: np.ndarray, probability: np.ndarray) -> "Shares":
        """The same draws, reweighted so that `needed` sheets or more have the `probability`, both of shape (groups,).

        What is learnt of groups by other means (see `measured`) thus moves their numbers (Jeffrey 1965, The Logic of
        Decision). Where no draw is on a side that has become possible, the nearest number stands for it.
        """
        draws = self.draws[self.rows].copy()
        count = draws.shape[1]
        steps = (np.arange(count) + 0.5) / count
        for group, (least, wanted) in enumerate(zip(needed, probability, strict=True)):
            above = draws[group] >= least
            part = above.mean()
            if 0 < part < 1:
                weight = np.where(above, wanted / part, (1 - wanted) / (1 - part)).cumsum()
                draws[group] = draws[group][np.searchsorted(weight, steps * weight[-1])]
            elif 0 < least <= self.sheets[group]:
                other = np.arange(count) < round(count * (wanted if part == 0 else 1 - wanted))
                draws[group] = np.where(other, least if part == 0 else least - 1, draws[group])
        return Shares(draws, np.arange(len(draws)), self.sheets)

    def total(self) -> np.ndarray:
        """Draws of the number in all groups together, int, shape (draws,)."""
        return np.asarray(np.bincount(self.rows, minlength=len(self.draws)) @ self.draws)


def fit_shares(
    n: np.ndarray,
    named: np.ndarray,
    sensitivity: Counts,
    specificity: Counts,
    checked: np.ndarray | None = None,
    looks: Looks | None = None,
) -> Shares:
    """Estimate groups with `n` sheets each, int, shape (groups,), of which `named` got the class.

    `sensitivity` and `specificity` are (right, tested) of the network on sheets of known class, and need not be whole.
    `checked`, int, shape (m, 4), are groups whose sheets were tested: found and all of the class, named wrongly and all
    of the others; these sheets are not among `n`. `looks` are sheets among `n` that may have been chosen by the
    network's answer: they tell of their group, given the answers. Raises UserError where the network is no better than
    chance, so that its answers say nothing.
    """
    if sensitivity[0] / sensitivity[1] + specificity[0] / specificity[1] <= 1:
        raise UserError(
            "the network is no better than chance, by its test part or the check: its predictions say nothing of shares"
        )
    own = np.zeros(len(n), int)  # groups with sheets that were looked at are like no other
    if looks:
        own[looks.group] = looks.group + 1
    keys = np.stack([n, named, own], axis=1)
    different, rows, times = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    rows = rows.reshape(-1)
    known = np.zeros((0, 4), int) if checked is None else checked
    grid = _Grid(different[:, :2], _cut(sensitivity, known[:, 1].sum()), _cut(specificity, known[:, 3].sum()))
    weights = grid.weigh(times, known)
    some = Looks(rows[looks.group], looks.named, looks.if_so, looks.if_not) if looks else NO_LOOKS
    return Shares(grid.draw(weights, some), rows, np.asarray(n))


class _Grid:
    """All settings of the errors (m, f, tau) and of the shares' distribution, and what the counts say of them."""

    def __init__(self, pairs: np.ndarray, sensitivity: Counts, specificity: Counts) -> None:
        self.n, self.y = pairs.T
        root = float(np.sqrt(max(pairs[:, 0].max(), 1)))
        angles = np.linspace(0, np.pi / 2, int(np.clip(3 * root, *SHARE_BINS)) + 1)
        self.share = _middles(np.sin(angles) ** 2)
        self.edges = np.sin(np.linspace(0, np.pi / 2, int(np.clip(6 * root, *RATE_BINS)) + 1)) ** 2
        rate = _middles(self.edges)
        logs = xlogy(self.y[:, None], rate) + xlog1py((self.n - self.y)[:, None], -rate)
        self.likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
        self.errors = np.array(
            [
                (m, f, tau)
                for tau in TAUS
                for m in _centres(_quantiles(sensitivity, SENSITIVITIES), tau)
                for f in _centres(1 - _quantiles(specificity, FALSE_ALARMS), tau)
            ]
        )
        centres = np.linspace(0, 1, CENTRES) ** 1.5 * np.pi / 2  # closer together near 0, where most groups are
        spreads = np.geomspace(NARROWEST, WIDEST, SPREADS)
        centre, spread = (values.ravel()[:, None] for values in np.meshgrid(centres, spreads, indexing="ij"))
        priors = np.diff(np.arctan((angles - centre) / spread), axis=1)
        self.priors = priors / priors.sum(axis=1, keepdims=True)
        self.prior = np.log(np.repeat(np.gradient(centres), SPREADS)) - 2 * spread[:, 0] ** 2

    def weigh(self, times: np.ndarray, checked: np.ndarray) -> np.ndarray:
        """Posterior probability of each setting, shape (errors, priors); `times` each pair of counts was met."""
        logs = np.empty((len(self.errors), len(self.priors)))
        for row, errors in enumerate(self.errors):
            rates = self.priors @ self._rates(errors).sum(axis=1)
            found = times @ np.log(np.maximum(self.likelihood @ rates.T, 1e-300))
            logs[row] = self.prior + found + _log_checked(errors, checked) + np.log(TAUS[errors[2]])
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    def draw(self, weights: np.ndarray, looks: Looks) -> np.ndarray:
        """Numbers of sheets of the class for each pair of counts, int, shape (pairs, SETTINGS * EACH)."""
        places = np.searchsorted(weights.ravel().cumsum(), (np.arange(SETTINGS) + 0.5) / SETTINGS)
        drawn = np.empty((len(self.n), SETTINGS, EACH), int)
        size = max(1, CELLS // (EACH * max(len(self.edges), len(self.share) * len(NODES))))
        last = -1
        for number, place in enumerate(np.minimum(places, weights.size - 1)):
            errors, prior = divmod(int(place), len(self.priors))
            if errors != last:  # settings of the same errors follow one another
                rates, last = self._rates(self.errors[errors]), errors
            random = np.random.default_rng(number)
            for first in range(0, len(self.n), size):
                some = slice(first, first + size)
                drawn[some, number] = self._draw(some, self.errors[errors], self.priors[prior], rates, looks, random)
        return drawn.reshape(len(self.n), -1)

    def _rates(self, errors: np.ndarray) -> np.ndarray:
        """Chance of each bin of a group's share of names, given its share: shape (shares, nodes, rates).

        The rate that matters more (false alarms below a share of one half, else sensitivity) is integrated exactly, the
        other over NODES.
        """
        m, f, tau = errors
        chances = np.empty((len(self.share), len(NODES), len(self.edges) - 1))
        low = self.share < 0.5
        for half, node, exact in ((low, m, f), (~low, f, m)):
            weight = np.where(low, self.share, 1 - self.share)[half][:, None, None]
            rest = (self.edges - weight * expit(node + tau * NODES)[None, :, None]) / (1 - weight)
            with np.errstate(divide="ignore"):  # an edge at 0 or 1 has no finite logit
                chances[half] = np.diff(ndtr((logit(np.clip(rest, 0, 1)) - exact) / tau), axis=2)
        return np.asarray(chances * WEIGHTS[None, :, None])

    def _draw(
        self,
        some: slice,
        errors: np.ndarray,
        prior: np.ndarray,
        rates: np.ndarray,
        looks: Looks,
        random: np.random.Generator,
    ) -> np.ndarray:
        """Draws for some pairs of counts, int, shape (pairs, EACH): share, rates, then the sheets themselves."""
        n, y, likelihood = self.n[some, None], self.y[some, None], self.likelihood[some]
        chances = (likelihood @ rates.reshape(-1, rates.shape[2]).T).reshape(len(n), len(prior), -1)
        share, node = np.divmod(_lots((chances * prior[:, None]).reshape(len(n), 1, -1), random), len(NODES))
        place = _lots(rates[share, node] * likelihood[:, None], random, 1)
        rate = self.edges[place] + (self.edges[place + 1] - self.edges[place]) * random.random(place.shape)
        m, f, tau = errors
        part = self.share[share]
        low = part < 0.5
        weight, other = np.where(low, part, 1 - part), expit(np.where(low, m, f) + tau * NODES[node])
        own = np.clip((rate - weight * other) / (1 - weight), 0, 1)
        found, alarms = np.where(low, other, own), np.where(low, own, other)
        rate = np.clip(part * found + (1 - part) * alarms, 1e-12, 1 - 1e-12)
        of_named = np.clip(part * found / rate, 0, 1)
        of_others = np.clip(part * (1 - found) / (1 - rate), 0, 1)
        inside = (looks.group >= some.start) & (looks.group < some.stop)
        if not inside.any():
            return random.binomial(y, of_named) + random.binomial(n - y, of_others)
        seen = Looks(looks.group[inside] - some.start, *(x[inside] for x in (looks.named, looks.if_so, looks.if_not)))
        return draw_seen(seen, y, n - y, of_named, of_others, random)


def _lots(chances: np.ndarray, random: np.random.Generator, each: int = EACH) -> np.ndarray:
    """Draw places along the last axis of `chances`, `each` for all rows: shape (rows, EACH)."""
    cumulated = chances.cumsum(axis=2)
    wanted = random.random((len(chances), EACH)) * cumulated[..., -1]
    if each == 1:  # a draw from each of EACH distributions
        return np.minimum((cumulated < wanted[..., None]).sum(axis=2), chances.shape[2] - 1)
    places = [np.searchsorted(one[0], lots) for one, lots in zip(cumulated, wanted, strict=True)]
    return np.minimum(np.array(places), chances.shape[2] - 1)


def _cut(counts: Counts, checked: int) -> Counts:
    """What the test part says of an error where sheets were checked in the collection itself: no more than OWN sheets.

    Another collection may be harder on the whole; the checked sheets say how hard.
    """
    right, tested = counts
    worth = min(1.0, OWN / tested) if checked else 1.0
    return right * worth, tested * worth


def _quantiles(counts: Counts, number: int) -> np.ndarray:
    """Equally likely values of a share that is known from (right, tested), by Jeffreys' prior."""
    right, tested = counts
    return np.asarray(beta.ppf((np.arange(number) + 0.5) / number, right + 0.5, tested - right + 0.5))


def _centres(means: np.ndarray, tau: float) -> np.ndarray:
    """Logits around which rates vary by `tau` and have these means."""
    centres = wanted = logit(np.clip(means, 1e-6, 1 - 1e-6))
    for _ in range(8):
        centres = centres + wanted - logit(expit(centres[:, None] + tau * NODES) @ WEIGHTS)
    return np.asarray(centres)


def _log_checked(errors: np.ndarray, checked: np.ndarray) -> float:
    """What checked groups say of a setting of the errors, as a logarithm."""
    m, f, tau = errors
    found = 0.0
    for centre, (hits, tested) in ((m, checked[:, :2].T), (f, checked[:, 2:].T)):
        found += float(np.log(binom.pmf(hits[:, None], tested[:, None], expit(centre + tau * NODES)) @ WEIGHTS).sum())
    return found


def _middles(edges: np.ndarray) -> np.ndarray:
    return np.asarray((edges[1:] + edges[:-1]) / 2)


def _shortest(ordered: np.ndarray, confidence: float) -> tuple[int, int]:
    inside = int(np.ceil(confidence * len(ordered)))
    best = int(np.argmin(ordered[inside - 1 :] - ordered[: len(ordered) - inside + 1]))
    return int(ordered[best]), int(ordered[best + inside - 1])
