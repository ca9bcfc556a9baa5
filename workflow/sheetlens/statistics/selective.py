"""Answer only when sure: the error among the answered sheets, and thresholds that keep it low.

Throughout, `confidence` is float, shape (n,), any number that is higher the surer the network is, and `wrong` bool,
shape (n,). The coverage is the share of sheets that are answered, the (selective) risk the share of wrong ones among
them. A sheet is answered when its confidence is above the threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc
from scipy.stats import binom, rankdata

from sheetlens.statistics.intervals import upper_limit
from sheetlens.statistics.survey import CENSUS, effective, variance_at

STEPS = 20  # thresholds that are tried for a guarantee
FIRST = 0.25  # coverage of the first of them: so many sheets forgive it a few errors
ALL = -1e9  # a threshold below every confidence: all sheets are answered


def risks(confidence: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Risk when the k surest sheets are answered, k = 1 to n: the expected value if ties are broken at random."""
    return _even_errors(confidence, wrong).cumsum() / np.arange(1, len(wrong) + 1)


def _even_errors(confidence: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Errors, surest first, spread evenly among sheets of the same confidence."""
    groups = rankdata(-confidence, method="dense").astype(int) - 1
    sizes = np.bincount(groups)
    return np.repeat(np.bincount(groups, wrong) / sizes, sizes)


def aurc(confidence: np.ndarray, wrong: np.ndarray) -> float:
    """Area under the risk-coverage curve: the mean of `risks` (Geifman & El-Yaniv 2017, NeurIPS)."""
    return float(risks(confidence, wrong).mean())


def excess_aurc(confidence: np.ndarray, wrong: np.ndarray) -> float:
    """What the order adds to the area: `aurc` less that of the same errors ranked last (Geifman et al. 2019, ICLR)."""
    best = risks(-wrong.astype(float), wrong)
    return aurc(confidence, wrong) - float(best.mean())


def augrc(confidence: np.ndarray, wrong: np.ndarray) -> float:
    """Area under the generalised risk-coverage curve (Traub et al. 2024, NeurIPS, arXiv 2407.01032).

    The generalised risk is the share of all sheets that are answered and wrong, so the area is the mean risk of
    an error nobody notices. With error rate e and the AUROC of confidence against being right it equals
    (1 - AUROC) e (1 - e) + e^2 / 2.
    """
    joint = np.concatenate([[0.0], _even_errors(confidence, wrong).cumsum() / len(wrong)])
    return float((joint[1:] + joint[:-1]).mean() / 2)


def threshold_at_coverage(confidence: np.ndarray, coverage: float) -> float:
    """The threshold above which at most this share of the sheets lies, and as near to it as ties allow."""
    count = math.floor(coverage * len(confidence) + 0.5)
    return _threshold(np.sort(confidence)[::-1], count)


def threshold_at_risk(confidence: np.ndarray, wrong: np.ndarray, risk: float, floor: float = -math.inf) -> float | None:
    """The threshold, not below `floor`, that answers most sheets at no more than this risk on the same sheets.

    None if none does. It promises nothing for other sheets: their risk is above in about half of all cases.
    """
    ordered = np.sort(confidence)[::-1]
    order = np.argsort(-confidence, kind="stable")
    share = wrong[order].cumsum() / np.arange(1, len(wrong) + 1)
    last_of_its_kind = np.append(ordered[:-1] > ordered[1:], True)
    thresholds = np.append(ordered[1:], ALL)
    counts = np.flatnonzero((share <= risk) & last_of_its_kind & (thresholds >= floor)) + 1
    return _threshold(ordered, int(counts[-1])) if len(counts) else None


def _threshold(surest_first: np.ndarray, count: int) -> float:
    """The threshold that leaves `count` sheets above it, fewer if there are ties at it; ALL for all."""
    return float(surest_first[count]) if count < len(surest_first) else ALL


def at_threshold(confidence: np.ndarray, wrong: np.ndarray, threshold: float) -> tuple[float, float | None]:
    """Coverage and risk at a threshold; the risk is None where no sheet is answered."""
    answered = confidence > threshold
    return float(answered.mean()), float(wrong[answered].mean()) if answered.any() else None


def guaranteed_thresholds(confidence: np.ndarray, wrong: np.ndarray, risk: float, certainty: float) -> list[float]:
    """Thresholds whose true risks are all at most `risk`, with a probability of at least `certainty`; strictest first.

    The sheets must be drawn like those they will be used on, not have been trained on, and be independent (one of each
    gathering). STEPS numbers of answered sheets, fixed beforehand, are tried from the fewest on, each at the whole
    doubt, until one has an upper Clopper-Pearson limit above `risk`: fixed-sequence testing, as in Learn Then Test
    (Angelopoulos et al. 2021, arXiv 2110.01052). Given the confidence of the surest sheet left out, those above it are
    a random sample of all such sheets, so each limit holds whatever the network. None passes where there are too few
    sheets or too many wrong ones. Where the validation part also chose the epoch, it is a little kinder than new
    sheets, and the guarantee holds for it but for that choice.
    """
    fewest = math.ceil(math.log(1 - certainty) / math.log(1 - risk))  # with none of them wrong
    ordered = np.sort(confidence)[::-1]
    passed: list[float] = []
    if fewest > len(wrong):
        return passed
    first = max(fewest, int(FIRST * len(wrong)))
    for count in np.unique(np.linspace(first, len(wrong), STEPS).round().astype(int)):
        threshold = _threshold(ordered, int(count))
        errors = wrong[confidence > threshold]
        if not len(errors) or upper_limit(int(errors.sum()), len(errors), certainty) > risk:
            return passed
        passed.append(threshold)
    return passed


@dataclass(frozen=True)
class Choice:
    """Thresholds for a risk: one with a guarantee, and one that held on the validation part, no more; or None."""

    risk: float
    guaranteed: float | None
    unguaranteed: float | None


def choose_thresholds(
    confidence: np.ndarray, wrong: np.ndarray, independent: np.ndarray, risks: Sequence[float], certainty: float
) -> list[Choice]:
    """Thresholds for each of `risks`; who asks for fewer errors never gets more sheets answered.

    `independent` are the rows, int, that a guarantee can rest on. Of the thresholds that pass for a risk, which hold
    together, the one that answers most is taken that is not below that of the next higher risk.
    """
    found: dict[float, Choice] = {}
    floor: float | None = -math.inf  # of the guaranteed ones; None where a higher risk has none
    used = -math.inf
    for risk in sorted(risks, reverse=True):
        passed = guaranteed_thresholds(confidence[independent], wrong[independent], risk, certainty)
        allowed = [threshold for threshold in passed if floor is not None and threshold >= max(floor, used)]
        floor = min(allowed) if allowed else None
        other = threshold_at_risk(confidence, wrong, risk, used)
        found[risk] = Choice(risk, floor, other)
        used = next((one for one in (floor, other) if one is not None), math.inf)
    return [found[risk] for risk in risks]


def floor_threshold(scores: np.ndarray, missed: float, certainty: float) -> float | None:
    """The highest threshold that misses at most the share `missed` of a class, with a probability of `certainty`.

    `scores`, float, shape (n,), are those of independent sheets of the class; a sheet is found when its score is the
    threshold or above. The one-sided tolerance limit of Wilks 1941 (Ann. Math. Stat. 12: 91-96): of the k-th lowest
    score, the share below is at most `missed` with the probability that k or more of n sheets are. None where there
    are too few sheets (59 are needed for 5 % at 95 %).
    """
    ranks = np.arange(1, len(scores) + 1)
    sure = np.flatnonzero(binom.sf(ranks - 1, len(scores), missed) >= certainty)
    return float(np.sort(scores)[sure[-1]]) if len(sure) else None


def sampled_threshold(
    stratum_of: np.ndarray, confidence: np.ndarray, rows: np.ndarray, wrong: np.ndarray, risk: float, certainty: float
) -> float | None:
    """The threshold that answers most of a collection's sheets with at most the share `risk` of errors, for sure.

    `stratum_of`, int, and `confidence`, float, shape (N,), are of all sheets, `rows`, int, of those looked at and
    `wrong`, bool, shape (m,), theirs. STEPS coverages, which the collection sets before anybody looks, are tried from
    the lowest on, until one fails (fixed-sequence testing, Angelopoulos et al. 2021, arXiv 2110.01052): so all hold
    together with a probability of `certainty`. None where none passes: too few sheets, or too many errors.
    """
    found = None
    for threshold in _thresholds(confidence):
        if risk_doubt(stratum_of, confidence, rows, wrong, threshold, risk) > 1 - certainty:
            # The first ones may rest on too few sheets to show anything, whatever was found: they are no tests.
            clean = risk_doubt(stratum_of, confidence, rows, np.zeros_like(wrong), threshold, risk) <= 1 - certainty
            if clean:
                return found
            continue
        found = threshold
    return found


def likely_threshold(
    stratum_of: np.ndarray, confidence: np.ndarray, rows: np.ndarray, wrong: np.ndarray, risk: float
) -> float | None:
    """The threshold that answers most sheets at no more than the estimated `risk`. It promises nothing."""
    found = None
    for threshold in _thresholds(confidence):
        weight, share, n, unseen = _answered(stratum_of, confidence, rows, wrong, threshold)
        if len(n) and unseen == 0 and weight @ share <= risk:
            found = threshold
    return found


def _thresholds(confidence: np.ndarray) -> list[float]:
    """Those above which STEPS shares of the sheets lie, from FIRST to all; strictest first."""
    ordered = np.sort(confidence)[::-1]
    counts = np.unique(np.linspace(FIRST * len(ordered), len(ordered), STEPS).round().astype(int))
    return [float(ordered[count]) if count < len(ordered) else float(ordered[-1]) - 1.0 for count in counts if count]


def risk_doubt(
    stratum_of: np.ndarray,
    confidence: np.ndarray,
    rows: np.ndarray,
    wrong: np.ndarray,
    threshold: float,
    risk: float,
    more: bool = False,
) -> float:
    """p-value against a share of errors of `risk` or more above a threshold; with `more`, against one up to `risk`.

    The exact binomial test, at the number of sheets that the likeliest such errors of the strata leave of the sample
    (as Korn & Graubard 1998, Survey Methodology 24: 193-201). A stratum that nobody looked at counts as all wrong (with
    `more`, as all right).
    """
    weight, share, n, unseen = _answered(stratum_of, confidence, rows, wrong, threshold)
    value = risk if more else risk - unseen
    seen = float(weight.sum())
    if not len(n) or not 0 < value < seen:
        return 0.0 if seen and not more and value >= seen else 1.0
    variance = float(variance_at(weight[None], np.array([value]), share, n)[0])
    value, found = value / seen, float(weight @ share) / seen
    size = min(value * (1 - value) * seen**2 / max(variance, 1e-300), CENSUS)
    errors = found * size
    if more:
        return float(betainc(errors, size - errors + 1, value)) if errors > 0 else 1.0
    return float(betainc(size - errors, errors + 1, 1 - value)) if errors < size else 1.0


def _answered(
    stratum_of: np.ndarray, confidence: np.ndarray, rows: np.ndarray, wrong: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Weights, shares of errors and effective sheets of the strata above a threshold; and the weight of the unseen."""
    count = int(stratum_of.max()) + 1
    above = confidence > threshold
    sizes = np.bincount(stratum_of[above], minlength=count)
    inside = above[rows]
    drawn = np.bincount(stratum_of[rows[inside]], minlength=count)
    errors = np.bincount(stratum_of[rows[inside]], wrong[inside], count)
    weight, seen = sizes / max(int(sizes.sum()), 1), drawn > 0
    unseen = float(weight[~seen].sum())
    return weight[seen], errors[seen] / drawn[seen], effective(sizes[seen], drawn[seen]), unseen
