"""Which sheets a network answers and which go to a person: thresholds, recall floors, what mistakes cost.

One rule, the one that a packaged model applies: probabilities are scaled, sheets are ranked by their log-odds, and
thresholds come from the validation part, guaranteed ones from one sheet of each of its groups that are new to the
network. The test part only measures them.
"""

from typing import Any

import numpy as np

from sheetlens.config import Evaluate
from sheetlens.evaluate.predictions import Model, Read
from sheetlens.statistics import selective
from sheetlens.statistics.calibration import log_odds_of
from sheetlens.statistics.clusters import Size, effective_size, smallest
from sheetlens.statistics.intervals import clustered_interval
from sheetlens.statistics.prevalence import net_benefit

COVERAGES = np.round(np.arange(0.05, 1.005, 0.01), 2)  # below, too few sheets are left to count
Answered = tuple[float, float | None, Size]  # coverage, risk, independent sheets answered


def choose(model: Model, settings: Evaluate) -> list[selective.Choice]:
    """The thresholds of a model for each of `settings.risks`, as log-odds."""
    read = model.scaled_validation
    return selective.choose_thresholds(read.log_odds, read.wrong, model.independent, settings.risks, settings.guarantee)


def selective_section(models: list[Model], settings: Evaluate) -> dict[str, Any]:
    """Risk against coverage; setting aside as it can be done in practice; the coverage at each risk asked for."""
    tests = [model.scaled for model in models]
    curves = np.array([_risk_at_coverages(read) for read in tests])
    mean = curves.mean(axis=0)
    sizes = zip(*map(_sizes_at_coverages, tests), strict=True)
    intervals = [
        clustered_interval(risk, smallest(size), settings.confidence) for risk, size in zip(mean, sizes, strict=True)
    ]
    validations = [model.scaled_validation.log_odds for model in models]
    honest = [
        [_at(read, selective.threshold_at_coverage(chosen, share)) for share in COVERAGES]
        for read, chosen in zip(tests, validations, strict=True)
    ]
    aside = [selective.threshold_at_coverage(chosen, 1 - settings.set_aside) for chosen in validations]
    return {
        "coverage": COVERAGES.tolist(),
        "risk": {
            "seeds": curves.tolist(),
            "mean": mean.tolist(),
            "low": [low for low, _ in intervals],
            "high": [high for _, high in intervals],
        },
        "honest": {
            "coverage": [[share for share, *_ in one] for one in honest],
            "risk": [[risk for _, risk, _ in one] for one in honest],
        },
        "set_aside": _answered(list(map(_at, tests, aside)), settings.confidence),
        "guarantee": settings.guarantee,
        "independent": [len(model.independent) for model in models],
        "at_risk": _at_risks(models, tests, settings),
    }


def _risk_at_coverages(read: Read) -> np.ndarray:
    return selective.risks(read.log_odds, read.wrong)[_counts_at_coverages(read) - 1]


def _counts_at_coverages(read: Read) -> np.ndarray:
    return np.maximum(1, np.floor(COVERAGES * len(read.truth) + 0.5).astype(int))


def _sizes_at_coverages(read: Read) -> list[Size]:
    order = np.argsort(-read.log_odds, kind="stable")
    wrong, groups = read.wrong[order], read.groups[order]
    return [effective_size(wrong[:count], groups[:count]) for count in _counts_at_coverages(read)]


def _at(read: Read, threshold: float | None) -> Answered:
    """What happens at a threshold; without one nothing is answered."""
    if threshold is None:
        return 0.0, None, Size(0, 1)
    answered = read.log_odds > threshold
    coverage, risk = selective.at_threshold(read.log_odds, read.wrong, threshold)
    return coverage, risk, effective_size(read.wrong[answered], read.groups[answered])


def _at_risks(models: list[Model], tests: list[Read], settings: Evaluate) -> list[dict[str, Any]]:
    """What can be answered at each risk: ranked on the test part itself, at a threshold from validation, guaranteed."""
    chosen = [choose(model, settings) for model in models]
    rows = []
    for number, risk in enumerate(settings.risks):
        kinds = {
            "on_test": [selective.threshold_at_risk(read.log_odds, read.wrong, risk) for read in tests],
            "from_validation": [choices[number].unguaranteed for choices in chosen],
            "guaranteed": [choices[number].guaranteed for choices in chosen],
        }
        rows.append(
            {"risk": risk}
            | {
                name: {"threshold": thresholds} | _answered(list(map(_at, tests, thresholds)), settings.confidence)
                for name, thresholds in kinds.items()
            }
        )
    return rows


def _answered(answers: list[Answered], confidence: float) -> dict[str, Any]:
    """Coverage and risk over the seeds, from those of each, with the interval of the risk for one test part."""
    coverages = [coverage for coverage, *_ in answers]
    found = [risk for _, risk, _ in answers if risk is not None]
    mean = float(np.mean(found)) if found else None
    size = smallest([size for *_, size in answers])
    low, high = clustered_interval(mean, size, confidence) if mean is not None else (None, None)
    return {
        "coverage": {"mean": float(np.mean(coverages)), "seeds": coverages},
        "error": {"mean": mean, "low": low, "high": high, "seeds": [risk for _, risk, _ in answers]},
    }


def class_floor(model: Model, number: int, missed: float, certainty: float) -> float | None:
    """The log-odds of a class from which a sheet must count as it, so that at most the share `missed` is overlooked."""
    read = model.scaled_validation.take(model.independent)
    return selective.floor_threshold(log_odds_of(read.probabilities, number)[read.truth == number], missed, certainty)


def floors(models: list[Model], classes: list[str], settings: Evaluate) -> list[dict[str, Any]]:
    """For each class and each share that may be missed: what a guaranteed sensitivity costs in false alarms.

    `missed` is the share asked for, `found` and `alarms` the sensitivity and the false alarm rate on the test parts,
    mean over the seeds that have such a floor (`seeds`); None where none has.
    """
    rows = []
    for number, name in enumerate(classes):
        for missed in settings.missed:
            thresholds = [class_floor(model, number, missed, settings.guarantee) for model in models]
            flags = [
                _flagged(model.scaled, number, threshold)
                for model, threshold in zip(models, thresholds, strict=True)
                if threshold is not None and 0 < (model.test.truth == number).mean() < 1
            ]
            found, alarms = map(float, np.mean(flags, axis=0)) if flags else (None, None)
            row = {"class": name, "missed": missed, "thresholds": thresholds, "found": found, "alarms": alarms}
            rows.append(row | {"seeds": len(flags)})
    return rows


def _flagged(read: Read, number: int, threshold: float) -> tuple[float, float]:
    """Shares of the class and of the others at or above a threshold of its log-odds."""
    flagged, own = log_odds_of(read.probabilities, number) >= threshold, read.truth == number
    return float(flagged[own].mean()), float(flagged[~own].mean())


def decisions(models: list[Model], classes: list[str], settings: Evaluate) -> list[dict[str, Any]]:
    """For each class and what a missed sheet of it costs in false alarms: where to draw the line, and what it brings.

    From the probability `line` = 1 / (1 + cost) on a sheet counts as the class: that costs least if the probabilities
    are right. `found` and `alarms` are sensitivity and false alarm rate; `benefit` the net benefit at the class's share
    in the test part, `benefit_all` that of taking every sheet for the class (Vickers & Elkin 2006, Med Decis Making 26:
    565-574): the points of a decision curve.
    """
    rows = []
    for number, name in enumerate(classes):
        tests = [model.scaled for model in models if 0 < (model.test.truth == number).mean() < 1]
        for cost in settings.costs if tests else ():
            line = 1 / (1 + cost)
            flags = [_flagged(read, number, float(np.log(1 / cost))) for read in tests]
            shares = [float((read.truth == number).mean()) for read in tests]
            found, alarms = map(float, np.mean(flags, axis=0))
            gains = [net_benefit(*flag, share, line) for flag, share in zip(flags, shares, strict=True)]
            everything = float(np.mean([net_benefit(1.0, 1.0, share, line) for share in shares]))
            row = {"class": name, "cost": cost, "line": line, "found": found, "alarms": alarms}
            rows.append(row | {"benefit": float(np.mean(gains)), "benefit_all": everything})
    return rows
