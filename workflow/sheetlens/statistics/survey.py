"""What a random sample of a collection, stratified and looked at by people, says of the whole: estimates and intervals.

Throughout, a collection's sheets lie in H strata. `sizes`, int, shape (H,), are their sheets, `drawn` those that were
looked at (a simple random sample of each stratum), `share`, float, shape (H,), the part of these with some property.
What is said is about this collection, not about some larger world: sheets that belong together do not matter, because
chance chose single sheets, and a stratum that was looked at whole is known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, ndtri

from sheetlens.statistics.intervals import Interval, wilson_interval

CUTS = (0.2, 0.5)  # of each answer's sheets, least sure first: the doubtful are few, and are looked at more often
FEWEST = 2  # sheets of a stratum that are looked at, where it has so many
STEPS = 32  # halvings of a multiplier, which leave nothing of its uncertainty
GRID = 17  # values of an estimate that are tried at a time, in each of ROUNDS
ROUNDS = 4
CENSUS = 1e12  # sheets that stand for a stratum that was looked at whole
ELSEWHERE = 5  # sheets that a model's own test counts for beside a check
MEASURES = ("accuracy", "sensitivity", "specificity", "precision", "prevalence")
RARE = 10  # of the rarer outcome, below which the gain by predictions cannot be told from chance


def cut(answer: np.ndarray, confidence: np.ndarray, sheets: int) -> np.ndarray:
    """The stratum of each sheet, int, shape (n,): its `answer` (int), cut at CUTS of the confidence within each.

    Answers are not cut where `sheets`, the number to look at, would leave fewer than 2 FEWEST for a stratum.
    """
    answers = np.unique(answer)
    cuts = CUTS if sheets >= 2 * FEWEST * len(answers) * (len(CUTS) + 1) else ()
    strata = np.zeros(len(answer), int)
    for number, one in enumerate(answers):
        rows = np.flatnonzero(answer == one)
        order = rows[np.argsort(confidence[rows], kind="stable")]
        part = np.searchsorted(np.array(cuts), (np.arange(len(order)) + 0.5) / max(len(order), 1))
        strata[order] = number * (len(CUTS) + 1) + part
    return np.unique(strata, return_inverse=True)[1].reshape(-1)


def allocate(sizes: np.ndarray, sheets: int) -> np.ndarray:
    """How many sheets to look at in each stratum, int, shape (H,): in proportion to the root of its size.

    A compromise between knowing the whole and knowing each answer (power allocation, Bankier 1988, Am Stat 42: 174-177,
    with a power of 1/2). At least FEWEST and at most all; together `sheets`, or all there are.
    """
    wanted = np.sqrt(sizes)
    given = np.minimum(sizes, FEWEST)
    for _ in range(max(0, min(sheets, int(sizes.sum())) - int(given.sum()))):
        # The stratum that is furthest behind its part gets the next sheet.
        behind = np.where(given < sizes, wanted / (given + 0.5), -1)
        given[int(behind.argmax())] += 1
    return given


def draw(strata: np.ndarray, places: np.ndarray, sheets: int, random: np.random.Generator) -> np.ndarray:
    """Rows to look at, int, ascending: of each stratum as many as `allocate` says, every sheet of it as likely.

    Within a stratum they are spread evenly over `places` (int, shape (n,): cabinets, say) by systematic sampling
    through sheets sorted by place, both in random order.
    """
    sizes = np.bincount(strata)
    turn = random.permutation(places.max() + 1)[places] if len(places) else places
    chosen = []
    for stratum, count in enumerate(allocate(sizes, sheets)):
        rows = random.permutation(np.flatnonzero(strata == stratum))
        rows = rows[np.argsort(turn[rows], kind="stable")]
        chosen.append(rows[((random.random() + np.arange(count)) * len(rows) / max(count, 1)).astype(int)])
    return np.sort(np.concatenate(chosen))


@dataclass(frozen=True)
class Estimate:
    """A share (0 to 1) in the collection with its interval; NaN, 0 and 1 where the sample says nothing."""

    share: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low

    def worth(self, confidence: float) -> float:
        """How many independent sheets would know the share as well: those whose Wilson interval is as wide."""
        if math.isnan(self.share) or self.width >= 0.999:
            return 0.0
        low, high = 1e-3, CENSUS
        for _ in range(STEPS):
            middle = (low * high) ** 0.5
            one = wilson_interval(self.share, middle, confidence)
            low, high = (middle, high) if one[1] - one[0] > self.width else (low, middle)
        return low


def effective(sizes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Sheets of an endless stratum that would say as much as those `drawn` of a finite one, float, shape (H,)."""
    left = sizes - drawn
    return np.where(left > 0, drawn * (sizes - 1) / np.maximum(left, 1e-12), CENSUS)


def estimate_total(weight: np.ndarray, share: np.ndarray, n: np.ndarray, confidence: float) -> Estimate:
    """The share sum(weight * share) of a property, `weight` adding up to 1, from `n` sheets (see `effective`).

    The interval holds each value that a score test does not reject, its variance taken at the likeliest shares of the
    strata that have this value as their sum (Miettinen & Nurminen 1985, Stat Med 4: 213-226, for strata and a sum):
    Wilson's interval for one stratum, and honest where no error was found in a stratum that stands for many sheets.
    """
    found = float(weight @ share)
    used = weight > 0
    weights = np.tile(weight[used], (2 * GRID, 1))
    low, high = _invert(lambda values: (weights, values), share[used], n[used], found, confidence)
    return Estimate(found, low, high)


def estimate_ratio(
    weight: np.ndarray, inside: np.ndarray, share: np.ndarray, n: np.ndarray, confidence: float
) -> Estimate:
    """Of all sheets with a property the share in the strata `inside` (bool, shape (H,)): a sensitivity, for instance.

    By the same test, of the sum that is nought where the ratio has the value (Fieller 1954).
    """
    whole = float(weight @ share)
    found = float(weight[inside] @ share[inside]) / whole if whole else float("nan")

    def constraint(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one = values[:, None]
        return np.where(inside, 1 - one, -one) * weight, np.zeros(len(values))

    if not whole:
        return Estimate(found, 0.0, 1.0)
    return Estimate(found, *_invert(constraint, share, n, found, confidence))


Constraint = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _invert(constraint: Constraint, share: np.ndarray, n: np.ndarray, found: float, confidence: float) -> Interval:
    """The values from 0 to 1 that the score test does not reject."""
    limit = float(ndtri((1 + confidence) / 2))
    near, far = np.array([found, found]), np.array([0.0, 1.0])
    for _ in range(ROUNDS):
        values = np.linspace(near, far, GRID, axis=1)
        rejected = _score(*constraint(values.ravel()), share, n).reshape(2, GRID) > limit
        rejected[:, 0] = False
        none = ~rejected.any(axis=1)
        first = np.where(none, GRID - 1, rejected.argmax(axis=1))
        ends = np.arange(2)
        near, far = np.where(none, far, values[ends, first - 1]), values[ends, first]
    return max(0.0, float(near[0])), min(1.0, float(near[1]))


def _score(coefficients: np.ndarray, value: np.ndarray, share: np.ndarray, n: np.ndarray) -> np.ndarray:
    """How many standard deviations the sum of `coefficients` (values, H) times share lies off `value`, (values,)."""
    variance = variance_at(coefficients, value, share, n)
    off = np.abs(coefficients @ share - value)
    return np.where(off < 1e-12, 0, off / np.sqrt(np.maximum(variance, 1e-300)))


def variance_at(coefficients: np.ndarray, value: np.ndarray, share: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Variance of the sum of coefficients times shares at the likeliest true shares for which it has the `value`."""
    likely = _likeliest(coefficients, value, share, n)
    return np.asarray((coefficients**2 * likely * (1 - likely) / n).sum(axis=1))


def _likeliest(coefficients: np.ndarray, value: np.ndarray, share: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Likeliest shares, (values, H), with a sum of `coefficients` times them of `value`: by a Lagrange multiplier.

    For a multiplier m each share p solves n (share - p) = m c p (1 - p), and the sum falls with m.
    """
    largest = (np.abs(coefficients) / n).max(axis=1)
    scale = np.divide(1, largest, out=np.zeros_like(largest), where=largest > 0)  # without coefficients nothing pulls
    low, high = -np.ones(len(value)), np.ones(len(value))
    for _ in range(STEPS):
        middle = (low + high) / 2
        pull = (scale * middle / (1 - np.abs(middle) + 1e-15) ** 2)[:, None] * coefficients / n
        above = (coefficients * _pulled(pull, share)).sum(axis=1) > value
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    middle = (low + high) / 2
    return _pulled((scale * middle / (1 - np.abs(middle) + 1e-15) ** 2)[:, None] * coefficients / n, share)


def _pulled(pull: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The root from 0 to 1 of pull p^2 - (1 + pull) p + share = 0."""
    root = np.sqrt(np.maximum((1 + pull) ** 2 - 4 * pull * share, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(pull > -1, 2 * share / (1 + pull + root), (1 + pull - root) / (2 * pull))
    return np.clip(np.nan_to_num(found), 0, 1)


def power_up(
    strata: np.ndarray, outcome: np.ndarray, predicted: np.ndarray, means: np.ndarray, weight: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shares and numbers of sheets of the strata, corrected by what a model predicts of all sheets.

    `strata`, `outcome` (bool) and `predicted` (0 to 1), shape (m,), are of the sheets looked at, `means`, shape (H,),
    of `predicted` over all sheets of a stratum. The difference estimator of surveys with a fitted slope (Sarndal et al.
    1992; prediction-powered inference, Angelopoulos et al. 2023, arXiv 2311.01453). The gain in variance counts
    as more sheets. Without a gain, and with few outcomes of a kind, all stays as it is.
    """
    count = len(means)
    drawn = np.maximum(np.bincount(strata, minlength=count), 1)
    mean, seen = (np.bincount(strata, values, count) / drawn for values in (outcome, predicted))
    freedom = len(outcome) - int((np.bincount(strata, minlength=count) > 0).sum()) - 1
    if min(outcome.sum(), len(outcome) - outcome.sum()) < RARE or freedom < RARE:
        return mean, n
    factor = (weight**2 / drawn / n)[strata]  # of a square in the variance of the whole
    rest, move = outcome - mean[strata], predicted - seen[strata]
    spread = float(factor @ move**2)
    slope = float(np.clip(factor @ (rest * move) / spread, 0, 1)) if spread else 0.0
    before, after = float(factor @ rest**2), float(factor @ (rest - slope * move) ** 2) * (freedom + 1) / freedom
    if not 0 < after < before:
        return mean, n
    return np.clip(mean + slope * (means - seen), 0, 1), n * before / after


def sheets_needed(errors: int, risk: float, certainty: float) -> int:
    """Random sheets that show a share of at most `risk` when so many are wrong (Clopper & Pearson 1934)."""
    sheets = errors + 1
    while betainc(sheets - errors, errors + 1, 1 - risk) > 1 - certainty:
        sheets += 1
    return sheets


def measure(
    strata: np.ndarray,
    named: np.ndarray,
    probability: np.ndarray,
    rows: np.ndarray,
    outcome: np.ndarray,
    confidence: float,
) -> dict[str, Estimate]:
    """Accuracy, sensitivity, specificity, precision and prevalence of a class in a collection.

    `strata` (int, see `cut`), `named` (bool: the model says so) and `probability` (of the class) are of all N sheets,
    `rows` are those looked at and `outcome`, bool, whether they are of the class. A stratum has one answer. Where what
    the model predicts of all sheets makes the interval of accuracy or prevalence narrower, that is used. A stratum of
    which nothing was seen makes all of it unknown: every value is NaN with the interval 0 to 1.
    """
    count = int(strata.max()) + 1
    sizes, drawn = (np.bincount(some, minlength=count) for some in (strata, strata[rows]))
    if (drawn == 0).any():
        return dict.fromkeys(MEASURES, Estimate(float("nan"), 0.0, 1.0))
    weight, n = sizes / sizes.sum(), effective(sizes, drawn)
    answer = np.bincount(strata, named, count) > 0
    share = np.bincount(strata[rows], outcome, count) / drawn
    right = np.where(answer, share, 1 - share)
    sure = np.where(named, probability, 1 - probability)
    inside = weight[answer].sum()
    precise = np.where(answer, weight / inside, 0) if inside else weight
    found = {
        "accuracy": estimate_total(weight, right, n, confidence),
        "sensitivity": estimate_ratio(weight, answer, share, n, confidence),
        "specificity": estimate_ratio(weight, ~answer, 1 - share, n, confidence),
        "precision": estimate_total(precise, share, n, confidence) if inside else Estimate(float("nan"), 0.0, 1.0),
        "prevalence": estimate_total(weight, share, n, confidence),
    }
    for name, values, seen in (("accuracy", sure, outcome == named[rows]), ("prevalence", probability, outcome)):
        means = np.bincount(strata, values, count) / sizes
        powered = power_up(strata[rows], seen, values[rows], means, weight, n)
        if powered[1] is not n:
            other = estimate_total(weight, *powered, confidence)
            found[name] = min(found[name], other, key=lambda one: one.width)
    return found


def local_rate(here: Estimate, elsewhere: tuple[float, float], confidence: float) -> tuple[float, float]:
    """A rate as (right, tested): what a check knows of it here, and ELSEWHERE sheets' worth of the model's own test.

    The latter speaks where the check found nothing to learn from: none of its sheets was treated, say.
    """
    right, tested = elsewhere
    part = min(1.0, ELSEWHERE / tested)
    sheets = here.worth(confidence)
    return (here.share * sheets if sheets else 0.0) + right * part, sheets + tested * part
