"""What the report says of when an answer can be trusted: plain data for the template evidence.html."""

from typing import Any

import numpy as np

from sheetlens.common.files import read_json
from sheetlens.evaluate.results import Outcome
from sheetlens.statistics.comparisons import protocol_gaps

PROTOCOLS = {
    "random": "at random, as in the paper",
    "grouped": "related sheets in one set",
    "held_out_source": "one source held out",
}
USUAL = 0.05  # error rate that is shown first, where it can be guaranteed
SCORES = {  # in shares of 1, so that they can be written as per cent
    "balanced_accuracy": "balanced accuracy: every class counts alike",
    "roc_auc": "area under the ROC curve (0.5 is chance)",
    "pr_auc": "area under the precision-recall curve, mean of the classes",
    "calibration_error": "expected calibration error",
    "calibration_error_scaled": "the same after temperature scaling",
    "augrc": "area under the generalised risk-coverage curve (AUGRC)",
    "excess_aurc": "excess area under the risk-coverage curve (excess AURC)",
}


def promise(evaluation: dict[str, Any]) -> str:
    """Answer to "Can an error rate be guaranteed?", for the model that reads collections, which is the first seed's.

    Which error rate, and for what share of the sheets; or that none can. A guarantee that another seed happens to give
    is none of this model's, and one chosen among several seeds' would be none at all.
    """
    selective = evaluation["selective"]
    given = [row for row in selective["at_risk"] if row["guaranteed"]["threshold"][0] is not None]
    if not given:
        return (
            f"No: {selective['independent'][0]:,} independent validation sheets are too few, or too many of their"
            " predictions are wrong. Every sheet needs a person's look."
        )
    best = min(given, key=lambda row: (abs(row["risk"] - USUAL), row["risk"]))
    coverage = f"{100 * best['guaranteed']['coverage']['seeds'][0]:.0f} %"
    return (
        f"Yes, an error rate of at most {100 * best['risk']:g} % ({100 * selective['guarantee']:g} % certainty, for"
        f" sheets like these): the model then classifies {coverage} of the sheets (coverage), and"
        " the others go to review."
    )


def describe_evidence(outcomes: list[Outcome]) -> dict[str, Any]:
    """Gather protocols, gaps, scores and the files they come from; `outcomes` are those of one data set."""
    first = outcomes[0]
    evaluation = first.evaluation
    gaps = protocol_gaps([outcome.evaluation for outcome in outcomes])
    return {
        "protocols": [_protocol(outcome) for outcome in outcomes],
        "gaps": [gap | {"name": PROTOCOLS[gap["second"]]} for gap in gaps],
        "scores": [(words, evaluation["scores"][name]) for name, words in SCORES.items()],
        "at_risk": evaluation["selective"]["at_risk"],
        "set_aside": evaluation["selective"]["set_aside"],
        "temperature": evaluation["calibration"]["temperature"]["mean"],
        **_worth(evaluation["prevalence"]),
        "guarantee": evaluation["selective"]["guarantee"],
        "independent": min(evaluation["selective"]["independent"]),
        "of_training": evaluation["accuracy_of_training"],
        "floors": _shown(evaluation["floors"], evaluation["classes"]),
        "decisions": _shown(evaluation["decisions"], evaluation["classes"]),
        "file": f"{first.results.name}/{evaluation['dataset']}/evaluation/{first.path.name}",
        "splits": f"{first.results.name}/{evaluation['dataset']}/splits/",
    }


def _shown(rows: list[dict[str, Any]], classes: list[str]) -> list[dict[str, Any]]:
    """The rows of the classes that a page shows: of stained and unstained the former, else all."""
    shown = [name for name in classes if name == "stained"] or classes
    return [row for row in rows if row["class"] in shown]


def _worth(classes: list[dict[str, Any]]) -> dict[str, Any]:
    """Predictive values by the share of the class; of two classes the first says all, none are there if untested."""
    shown = classes[:1] if len(classes) == 2 else classes
    rows = zip(*(one["predictive_values"] for one in shown), strict=False)
    other = f"“{classes[1]['class']}”" if len(classes) == 2 else "any other class"
    return {
        "worth": [(row[0]["prevalence"], list(row)) for row in rows],
        "worth_of": [(one["class"], other) for one in shown],
    }


def _protocol(outcome: Outcome) -> dict[str, Any]:
    """Accuracy under a protocol, and the share of its test part that is not new (mean over the seeds)."""
    evaluation = outcome.evaluation
    protocol = evaluation["protocol"]
    reports = [read_json(outcome.folder / "splits" / f"{protocol}-{seed}.leakage.json") for seed in evaluation["seeds"]]
    return {
        "name": PROTOCOLS[protocol],
        "accuracy": evaluation["accuracy"],
        "leaked": float(np.mean([report["any"]["test_share"] for report in reports])),
        "relations": [
            (
                counts["means"],
                float(np.mean([report["relations"][name]["test_share"] for report in reports])),
                counts["known"],
            )
            for name, counts in reports[0]["relations"].items()
        ],
    }
