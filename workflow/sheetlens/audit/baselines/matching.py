"""A matched control: is the network still right on sheets of both classes that are alike in a confound?

A cheap model that sees nothing but the confound says how far it tells the classes. Sheets of a class and of the others
to which it gives the same probability are paired; among them the confound tells nothing, and what the network still
tells must come from elsewhere. Matching on the propensity score: Rosenbaum & Rubin 1983 (Biometrika 70: 41-55).
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from sheetlens.audit.finding import read_scores
from sheetlens.statistics.clusters import effective_size
from sheetlens.statistics.intervals import clustered_interval

CALIPER = 0.2  # standard deviations of the logit that a pair may be apart (Austin 2011, Pharm Stat 10: 150-161)
FEWEST = 20  # pairs, with less nothing is said
EDGE = 1e-6  # probabilities are kept that far from 0 and 1


def score_matched(network: pd.DataFrame, baseline: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """How often the network tells a class from the others on matched sheets; chance is one half.

    Both tables have image_id, group, label and `probability_{class}`, a row for each tested sheet, in the same order;
    a sheet may have been tested with several seeds. Gives pairs, accuracy, low, high and verdict: "holds" where the
    interval is above one half, "fails" where it is not, "inconclusive" with fewer than FEWEST pairs.
    """
    probabilities, truth = read_scores(network)
    confound, _ = read_scores(baseline)
    codes = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else range(1)
    right, groups = [np.empty(0, bool)], [np.empty(0, int)]
    numbers = pd.factorize(network["group"])[0]
    for code in codes:
        rows = match_pairs(logit(np.clip(confound[:, code], EDGE, 1 - EDGE)), truth == code).ravel()
        right.append((probabilities[rows].argmax(axis=1) == code) == (truth[rows] == code))
        groups.append(numbers[rows])
    told, together = np.concatenate(right), np.concatenate(groups)
    pairs = len(told) // 2
    if pairs < FEWEST:
        return {"pairs": pairs, "accuracy": None, "low": None, "high": None, "verdict": "inconclusive"}
    low, high = clustered_interval(float(told.mean()), effective_size(told, together), confidence)
    verdict = "holds" if low > 0.5 else "fails"
    return {"pairs": pairs, "accuracy": float(told.mean()), "low": low, "high": high, "verdict": verdict}


def match_pairs(scores: NDArray[np.floating], own: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Pair sheets of a class (`own`, bool, shape (n,)) with others of nearly the same score: rows, shape (m, 2).

    Each sheet is in one pair at most. Going up both sorted lists gives as many pairs within CALIPER as can be.
    """
    first, second = (
        rows[np.argsort(scores[rows], kind="stable")] for rows in (np.flatnonzero(own), np.flatnonzero(~own))
    )
    widest = CALIPER * float(scores.std())
    pairs, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        apart = scores[first[i]] - scores[second[j]]
        if abs(apart) <= widest:
            pairs.append((first[i], second[j]))
            i, j = i + 1, j + 1
        elif apart < 0:
            i += 1
        else:
            j += 1
    return np.array(pairs, np.intp).reshape(-1, 2)
