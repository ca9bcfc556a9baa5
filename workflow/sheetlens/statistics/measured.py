"""What tests of some sheets and groups (cabinets) say of all: which to test next, and when enough were tested.

A network's answers give each group a probability to be treated, which may be wrong in the whole collection and in a
part of it (a family whose sheets look stained, or whose stains do not show). Tests correct it, by a logistic
regression:

    treated_j ~ Bernoulli(expit(a + b logit(probability_j) + u_k))     k: the kin that group j belongs to
    a ~ Normal(0, A), b ~ Normal(1, B), u_k ~ Normal(0, U)             until groups are tested, nothing changes
    result ~ Bernoulli(sensitivity), Bernoulli(1 - specificity)        of the method, where treated, where not

The posterior is taken as normal around its mode (Laplace), and drawn from, always with the same lots.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

A, B, U = 1.0, 0.3, 1.2  # standard deviations before any test
SMALLEST = 1 / 2048  # probability that stands for none: half of one of the draws that it comes from
TURNS = 30  # of Newton's method
DRAWS = 400


@dataclass(frozen=True)
class Looks:
    """Single sheets of which more is known than the network's answer: looked at by people, or measured; m of them.

    `group`, int, shape (m,), and `named`, bool, say which they are; `if_so` and `if_not`, float, how likely what was
    found is where the sheet is of the class, and where it is not.
    """

    group: np.ndarray
    named: np.ndarray
    if_so: np.ndarray
    if_not: np.ndarray


NO_LOOKS = Looks(np.empty(0, int), np.empty(0, bool), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Learnt:
    """Probabilities to be treated after the tests: draws, float, shape (DRAWS, groups)."""

    draws: np.ndarray

    @property
    def treated(self) -> np.ndarray:
        """The probability of each group, shape (groups,)."""
        return np.asarray(self.draws.mean(axis=0))

    def fewer_left(self, number: int, tested: np.ndarray) -> float:
        """Probability that fewer than `number` of the groups that were not `tested`, bool, (groups,), are treated."""
        chances = self.draws[:, ~tested]
        counts = np.zeros((len(chances), number))  # of treated groups, below `number`
        if number:
            counts[:, 0] = 1
        for chance in chances.T[:, :, None]:
            shifted = np.concatenate([np.zeros((len(counts), 1)), counts[:, :-1]], axis=1)
            counts = counts * (1 - chance) + shifted * chance
        return float(counts.sum(axis=1).mean())


def learn(probability: np.ndarray, kin: np.ndarray, if_so: np.ndarray, if_not: np.ndarray) -> Learnt:
    """Learn from tests: `if_so` and `if_not`, float, shape (groups,), how likely a group's results are if treated.

    Only their ratio counts; both are 1 where nothing was tested. `probability` is that of the network's answers, `kin`,
    int, the family, say, of each group, -1 for none. Without any test nothing changes.
    """
    tested = if_so != if_not
    if not tested.any():
        return Learnt(np.tile(np.asarray(probability, float), (DRAWS, 1)))
    score = logit(np.clip(probability, SMALLEST, 1 - SMALLEST))
    used = np.unique(kin[tested & (kin >= 0)])
    columns = [np.ones(len(score)), score, *(kin == one for one in used)]
    x = np.stack([np.asarray(column, float) for column in columns], axis=1)
    precision = np.diag([A**-2, B**-2, *[U**-2] * len(used)])
    middle = np.array([0.0, 1.0, *[0.0] * len(used)])
    place, some = middle.copy(), x[tested]
    for _ in range(TURNS):
        chance = expit(some @ place)
        after = _after(chance, if_so[tested], if_not[tested])
        slope = some.T @ (after - chance) - precision @ (place - middle)
        curve = precision + (some.T * np.maximum(chance * (1 - chance) - after * (1 - after), 0)) @ some
        step = np.linalg.solve(curve, slope)
        place = place + step / max(1.0, float(np.abs(step).max()))
    lots = np.random.default_rng(0).standard_normal((DRAWS, len(place)))
    places = place + np.linalg.solve(np.linalg.cholesky(curve).T, lots.T).T
    others = np.random.default_rng(1).standard_normal((DRAWS, int(kin.max(initial=-1)) + 1)) * U
    unknown = (kin >= 0) & ~np.isin(kin, used)  # kin of which nothing was tested may be off as well
    shift = np.where(unknown, others[:, np.maximum(kin, 0)], 0) if others.shape[1] else 0
    draws = expit(places @ x.T + shift)
    return Learnt(_after(draws, if_so, if_not))


def _after(chance: np.ndarray, if_so: np.ndarray, if_not: np.ndarray) -> np.ndarray:
    """Bayes' rule."""
    return np.asarray(chance * if_so / np.maximum(chance * if_so + (1 - chance) * if_not, 1e-300))


def draw_seen(
    looks: Looks,
    named: np.ndarray,
    others: np.ndarray,
    of_named: np.ndarray,
    of_others: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Numbers of sheets of the class in groups some of whose sheets were looked at, int, shape (groups, draws).

    `of_named` and `of_others`, float, of that shape, are the chances that a sheet is of the class, by the network's
    answer: draws of them are drawn anew by what was found. `named` and `others`, int, (groups, 1), are all sheets.
    """
    each = of_named.shape[1]
    if_so, if_not, answer = looks.if_so[:, None], looks.if_not[:, None], looks.named[:, None]
    logs = np.zeros(of_named.shape)
    chance = np.where(answer, of_named[looks.group], of_others[looks.group])
    np.add.at(logs, looks.group, np.log(np.maximum(chance * if_so + (1 - chance) * if_not, 1e-300)))
    weight = np.exp(logs - logs.max(axis=1, keepdims=True)).cumsum(axis=1)
    steps = (np.arange(each) + random.random((len(weight), 1))) / each * weight[:, -1:]
    places = np.minimum((weight[:, None] < steps[..., None]).sum(axis=2), each - 1)
    of_named, of_others = (np.take_along_axis(one, places, 1) for one in (of_named, of_others))
    chance = np.where(answer, of_named[looks.group], of_others[looks.group])
    chance = chance * if_so / np.maximum(chance * if_so + (1 - chance) * if_not, 1e-300)
    found = np.zeros(of_named.shape, int)
    np.add.at(found, looks.group, (random.random(chance.shape) < chance).astype(int))
    count = len(named)
    left = named[:, 0] - np.bincount(looks.group[looks.named], minlength=count)
    rest = others[:, 0] - np.bincount(looks.group[~looks.named], minlength=count)
    return found + random.binomial(left[:, None], of_named) + random.binomial(rest[:, None], of_others)
