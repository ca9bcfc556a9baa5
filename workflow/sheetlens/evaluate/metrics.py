"""Everything about a model that is one number, with its bootstrap standard error."""

import math

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from sheetlens.evaluate.predictions import Model, Read
from sheetlens.statistics import selective
from sheetlens.statistics.calibration import SMALLEST, calibration_error
from sheetlens.statistics.clusters import draw_groups

BINS = 10  # of equal numbers of sheets, for the calibration
RESAMPLES = 100  # of test parts, all seeds together: enough for a standard error (Efron & Tibshirani 1993, chapter 6)


def score(read: Read) -> dict[str, float]:
    """Everything that is one number for one model on one part; NaN where a class is missing."""
    truth = read.truth
    one_hot = truth[:, None] == np.arange(read.probabilities.shape[1])
    ranked: dict[str, float] = dict.fromkeys(("balanced_accuracy", "roc_auc", "pr_auc"), math.nan)
    if one_hot.any(axis=0).all():
        ranked = {
            "balanced_accuracy": balanced_accuracy_score(truth, read.probabilities.argmax(axis=1)),
            "roc_auc": roc_auc_score(one_hot, read.probabilities, average="macro"),
            "pr_auc": average_precision_score(one_hot, read.probabilities, average="macro"),
        }
    return ranked | probability_scores(read)


def ranking_scores(read: Read) -> dict[str, float]:
    """The scores of the order in which sheets would be answered."""
    confidence, wrong = read.log_odds, read.wrong
    return {
        "aurc": selective.aurc(confidence, wrong),
        "excess_aurc": selective.excess_aurc(confidence, wrong),
        "augrc": selective.augrc(confidence, wrong),
    }


def probability_scores(read: Read) -> dict[str, float]:
    """The scores that change when probabilities are scaled.

    Brier's is the mean squared distance from the truth over all classes, halved, so that it lies between 0 and 1.
    """
    sheets = np.arange(len(read.truth))
    distance = read.probabilities - np.eye(read.probabilities.shape[1])[read.truth]
    return {
        "brier": float((distance**2).sum(axis=1).mean() / 2),
        "log_loss": float(-np.log(np.maximum(read.probabilities[sheets, read.truth], SMALLEST)).mean()),
        "calibration_error": calibration_error(read.confidence, ~read.wrong, BINS),
    }


def all_scores(test: Read, scaled: Read) -> dict[str, float]:
    """All scores of a test part, and as `{name}_scaled` those of its scaled probabilities.

    Sheets are ranked by the scaled ones, as they are when the model is used.
    """
    return (
        score(test)
        | ranking_scores(scaled)
        | {f"{name}_scaled": value for name, value in probability_scores(scaled).items()}
    )


def standard_errors(model: Model, resamples: int) -> dict[str, float]:
    """Bootstrap standard error of each score over the groups of the test part, the temperature held."""
    random = np.random.default_rng(0)
    draws = (draw_groups(model.test.groups, random) for _ in range(resamples))
    scaled = model.scaled
    with config_context(assume_finite=True, skip_parameter_validation=True):  # half the time
        rows = [all_scores(model.test.take(sheets), scaled.take(sheets)) for sheets in draws]
    return {str(name): float(value) for name, value in pd.DataFrame(rows).std(ddof=1).items()}
