"""From the share of answers to the share in a collection: training parts are balanced, collections are not.

The sensitivity is the share of a class that is named as it, the specificity the share of the others that is not. Both
are taken to hold in the collection as well; what changes there is the prevalence, the class's share (0 to 1).
"""

from statistics import NormalDist

import numpy as np

Counts = tuple[float, float]  # right, tested; of independent sheets, so not always whole
UNKNOWN: dict[str, float | None] = {"estimate": None, "low": None, "high": None}


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float | None, float | None]:
    """Positive and negative predictive value: the share right of the sheets named as the class, and of the others.

    By Bayes' rule; None where no sheet gets that answer.
    """
    hits, misses = sensitivity * prevalence, (1 - sensitivity) * prevalence
    alarms, rest = (1 - specificity) * (1 - prevalence), specificity * (1 - prevalence)
    return (
        hits / (hits + alarms) if hits + alarms else None,
        rest / (rest + misses) if rest + misses else None,
    )


def corrected_prevalence(
    named: int, n: int, sensitivity: Counts, specificity: Counts, confidence: float
) -> dict[str, float | None]:
    """The prevalence behind `named` sheets out of `n`, with what the classifier is known to get wrong.

    `sensitivity` and `specificity` are (right, tested) on sheets of known class. The estimate is that of Rogan &
    Gladen 1978 (Am J Epidemiol 107: 71-76), cut to 0 to 1; the interval that of Lang & Reiczigel 2014 (Prev Vet Med
    113: 13-22), which counts in that both are estimates too. All None where the classifier is no better than chance,
    and where no prevalence would lead to so few or so many `named` sheets: then it errs otherwise than is known.
    """
    se, sp = sensitivity[0] / sensitivity[1], specificity[0] / specificity[1]
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    # Adjusted as if a few more sheets had been seen, like Agresti and Coull.
    n_named, n_se, n_sp = n + z * z, sensitivity[1] + 2, specificity[1] + 2
    share, se_, sp_ = (named + z * z / 2) / n_named, (sensitivity[0] + 1) / n_se, (specificity[0] + 1) / n_sp
    if se + sp <= 1 or se_ + sp_ <= 1:
        return dict(UNKNOWN)
    middle = (share + sp_ - 1) / (se_ + sp_ - 1)
    of_se, of_sp = se_ * (1 - se_) / n_se, sp_ * (1 - sp_) / n_sp
    move = 2 * z * z * (middle * of_se - (1 - middle) * of_sp)
    spread = share * (1 - share) / n_named + middle**2 * of_se + (1 - middle) ** 2 * of_sp
    half = z * np.sqrt(spread) / (se_ + sp_ - 1)
    if middle + move + half < 0 or middle + move - half > 1:
        return dict(UNKNOWN)
    estimate = (named / n + sp - 1) / (se + sp - 1)
    values = {"estimate": estimate, "low": middle + move - half, "high": middle + move + half}
    return {key: float(np.clip(value, 0, 1)) for key, value in values.items()}


def adjust_prior(probabilities: np.ndarray, trained: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Probabilities for a collection with other shares of the classes than the training part.

    `probabilities` has shape (n, classes), `trained` and `expected` (classes,) hold the shares. Saerens et al. 2002
    (Neural Computation 14: 21-41), equation 4.
    """
    weighted = probabilities * (np.asarray(expected) / np.asarray(trained))
    return weighted / weighted.sum(axis=1, keepdims=True)


def net_benefit(sensitivity: float, false_alarms: float, prevalence: float, line: float) -> float:
    """True positives, as a share of all, less false ones weighted by the odds of `line`, the probability acted on.

    Vickers & Elkin 2006 (Med Decis Making 26: 565-574). All arguments are shares; nought is what doing nothing brings.
    """
    return sensitivity * prevalence - false_alarms * (1 - prevalence) * line / (1 - line)
