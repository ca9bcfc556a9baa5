"""Answer only when sure: the error among the answered sheets, and thresholds that keep it low.

Throughout, `confidence` is float, shape (n,), and `wrong` bool, shape (n,). The coverage is the share of sheets
that are answered, the (selective) risk the share of wrong ones among them. A sheet is answered when its
confidence is above the threshold.
"""

import math

import numpy as np
from scipy.stats import rankdata

from sheetlens.statistics.intervals import upper_limit

CANDIDATES = 20  # thresholds among which a guaranteed one is sought


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


def threshold_at_risk(confidence: np.ndarray, wrong: np.ndarray, risk: float) -> float | None:
    """The threshold that answers most sheets at no more than this risk on the same sheets; None if none does."""
    ordered = np.sort(confidence)[::-1]
    order = np.argsort(-confidence, kind="stable")
    share = wrong[order].cumsum() / np.arange(1, len(wrong) + 1)
    last_of_its_kind = np.append(ordered[:-1] > ordered[1:], True)
    counts = np.flatnonzero((share <= risk) & last_of_its_kind) + 1
    return _threshold(ordered, int(counts[-1])) if len(counts) else None


def _threshold(surest_first: np.ndarray, count: int) -> float:
    """The threshold that leaves `count` sheets above it, fewer if there are ties at it; below 0 for all."""
    return float(surest_first[count]) if count < len(surest_first) else -1.0


def at_threshold(confidence: np.ndarray, wrong: np.ndarray, threshold: float) -> tuple[float, float | None]:
    """Coverage and risk at a threshold; the risk is None where no sheet is answered."""
    answered = confidence > threshold
    return float(answered.mean()), float(wrong[answered].mean()) if answered.any() else None


def guaranteed_threshold(confidence: np.ndarray, wrong: np.ndarray, risk: float, certainty: float) -> float | None:
    """A threshold whose true risk is at most `risk`, with a probability of at least `certainty`.

    The sheets must be drawn like those it will be used on, and not have been trained on. CANDIDATES numbers of
    answered sheets, fixed beforehand, are tried, each at an equal part of the doubt (Bonferroni); the largest one is
    taken whose risk has an upper Clopper-Pearson limit of at most `risk`. Given the confidence of the surest sheet
    left out, those above it are a random sample of all such sheets, so each limit holds whatever the network. This is
    Learn Then Test (Angelopoulos et al. 2021, arXiv 2110.01052) in the place of the search of Geifman & El-Yaniv 2017.
    None where no candidate passes: there are too few sheets, or too many wrong ones. Where the validation part also
    chose the epoch, it is a little kinder than new sheets, and the guarantee holds for it but for that choice.
    """
    doubt = (1 - certainty) / CANDIDATES
    fewest = math.ceil(math.log(doubt) / math.log(1 - risk))  # with none of them wrong
    ordered = np.sort(confidence)[::-1]
    if fewest > len(wrong):
        return None
    for count in np.linspace(len(wrong), fewest, CANDIDATES).round().astype(int):
        threshold = _threshold(ordered, count)
        errors = wrong[confidence > threshold]
        if upper_limit(int(errors.sum()), len(errors), 1 - doubt) <= risk:
            return threshold
    return None
