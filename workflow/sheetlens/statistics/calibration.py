"""How far probabilities can be taken at their word, and one number that mends them."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from sheetlens.statistics.clusters import correlation

SMALLEST = np.finfo(np.float32).tiny  # stands for a probability that float32 rounded to nothing
COLDEST, HOTTEST = 0.02, 50.0  # temperatures searched
DOUBT = 0.7  # standard deviation of the logarithm of a temperature before any sheet is seen: a half is as likely as 2


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities after division of their logits by a temperature: above 1 they become less sure.

    `probabilities` has shape (n, classes); logarithms of probabilities serve as logits, which are the
    same up to a constant of each sheet. Guo et al. 2017, ICML: 1321-1330.
    """
    return softmax(_logits(probabilities) / temperature, axis=1)


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """How sure each sheet's predicted class is: the logarithm of its probability over that of all others together.

    `probabilities` has shape (n, classes). It orders sheets as the highest probability does, also where that is so
    close to 1 that floating point numbers make it 1.
    """
    ordered = np.sort(_logits(probabilities), axis=1)
    return np.asarray(ordered[:, -1] - logsumexp(ordered[:, :-1], axis=1))


def log_odds_of(probabilities: np.ndarray, number: int) -> np.ndarray:
    """The same of one class, the column `number`, against all others."""
    logits = _logits(probabilities)
    return np.asarray(logits[:, number] - logsumexp(np.delete(logits, number, axis=1), axis=1))


def fit_temperature(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The likeliest temperature, given the true classes: least log loss, unless there are few sheets.

    `truth` holds classes, int, shape (n,); `probabilities` has shape (n, classes). Fit it on the validation
    part. Where that has no error, log loss alone would make every probability 0 or 1: so the temperature is held
    near 1 by a normal distribution of its logarithm, which some hundred sheets outweigh.
    """
    logits = _logits(probabilities)
    sheets = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        fit = -log_softmax(logits / np.exp(log_temperature), axis=1)[sheets, truth].sum()
        return float(fit + (log_temperature / DOUBT) ** 2 / 2)

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8}).x))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int) -> list[dict[str, float | int]]:
    """Mean confidence, share right and number of sheets in bins of equal numbers, least sure first.

    Equal numbers (Nguyen & O'Connor 2015, EMNLP: 1587-1598) leave no bin almost empty, as equal widths do where
    most sheets are very sure. Sheets of the same confidence stay in the order they come in.
    """
    order = np.argsort(confidence, kind="stable")
    return [
        {"confidence": float(confidence[some].mean()), "accuracy": float(correct[some].mean()), "n": len(some)}
        for some in np.array_split(order, min(bins, len(order)))
        if len(some)
    ]


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    """Expected calibration error: mean distance of confidence and share right, over bins of equal numbers.

    Naeini et al. 2015, AAAI: 2901-2907, with the bins of `reliability`.
    """
    table = reliability(confidence, correct, bins)
    return sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in table) / len(confidence)


def chance_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, groups: np.ndarray, bins: int, draws: int = 200
) -> tuple[float, float]:
    """The calibration error that sheets like these show by chance if the probabilities are right: mean, 95 % quantile.

    Few sheets in a bin are never right just as often as they are expected to be, so that the error of a perfectly
    calibrated network is above 0 (Kumar et al. 2019, NeurIPS). Outcomes are drawn from the confidences themselves;
    sheets of one group (int, shape (n,)) share one lot as often as their outcomes correlate.
    """
    order = np.argsort(confidence, kind="stable")
    codes = np.unique(groups, return_inverse=True)[1]
    shared = np.sqrt(correlation(np.asarray(correct, bool), codes))
    random = np.random.default_rng(0)
    found = np.empty(draws)
    for draw in range(draws):
        alone, together = random.random((2, len(codes)))
        lots = np.where(random.random(len(codes)) < shared, together[codes], alone)
        rest = (lots < confidence) - confidence
        parts = np.array_split(rest[order], min(bins, len(order)))
        found[draw] = sum(abs(part.sum()) for part in parts) / len(codes)
    return float(found.mean()), float(np.quantile(found, 0.95))
