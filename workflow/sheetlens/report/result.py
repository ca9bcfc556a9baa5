"""The answer of one data set in short, at the head of the report: how accurate, and what tells whether to trust it."""

from typing import Any

import pandas as pd

from sheetlens.audit.finding import Finding, read_finding
from sheetlens.audit.leakage import tell_unknown
from sheetlens.common.files import read_json
from sheetlens.evaluate.results import Outcome
from sheetlens.pages.render import SPACE, interval, percent
from sheetlens.report.uncertainty import promise

NEW = {  # protocol -> what its test sheets are
    "random": "Split at random: relatives of a test sheet may be in the training set.",
    "grouped": "Yes: specimens, duplicates and gatherings of the test set are not in the training set.",
    "held_out_source": "Yes, and from a source that is not in the training set.",
}
AS_FAR_AS_KNOWN = {  # the same where records tell only of some sheets what they are related to
    "grouped": "As far as is known: no sheet of the test set has a known relative in the training set.",
    "held_out_source": "They are from a source that is not in the training set, and have no known relative there.",
}


def describe_result(outcomes: list[Outcome], study: str, manifest: pd.DataFrame) -> dict[str, Any]:
    """The answer of one data set: accuracy, its interval, and what tells whether to trust it.

    `trust` has rows of question, answer and the address of the page that says more, or "".
    """
    outcome, evaluation = outcomes[0], outcomes[0].evaluation
    accuracy, kept, name = evaluation["accuracy"], evaluation["kept_accuracy"], evaluation["dataset"]
    if accuracy["mean"] is None:
        return {"accuracy": "", "trust": [("Accuracy", "No sheet was tested, so nothing can be said.", "")]}
    tested, worth = min(model["n"] for model in evaluation["models"]), round(accuracy["effective"])
    alike = f", worth {worth:,} independent ones, as some are related" if worth < tested else ""
    trust = [("How many sheets were tested?", f"{tested:,} with each seed{alike}.", "#out")]
    if kept and kept["mean"] is not None:
        aside = f"{100 * evaluation['set_aside_fraction']:g}{SPACE}%"
        trust.append(
            (f"And with the {aside} least confident set aside?", f"Accuracy {percent(kept['mean'])}.", "#figure-2")
        )
    trust.append(("Can an error rate be guaranteed?", promise(evaluation), "#trust"))
    trust.append(("Were the test sheets new?", " ".join([were_new(outcome), *beside_random(outcomes)]), "#trust"))
    if found := read_findings(outcome):
        trust.append(("Do the audits raise an alarm?", sum_up(found), f"{name}/audits.html"))
    if evaluation.get("paper") and study != "demo":
        trust.append(("Is the paper reproduced?", read_json(outcome.folder / "verdict.json")["sentence"], ""))
    used = int((manifest["status"] == "ok").sum())
    trust.append(
        (
            "Which photographs were used?",
            f"{used:,} of {len(manifest):,}; the others were refused.",
            f"{name}/quality.html",
        )
    )
    return {
        "accuracy": percent(accuracy["mean"]),
        "interval": interval(accuracy["low"], accuracy["high"]),
        "trust": trust,
    }


def were_new(outcome: Outcome) -> str:
    """Whether the test sheets were new to the model; relatives that no record tells of are not taken for none."""
    protocol = outcome.evaluation["protocol"]
    if protocol not in AS_FAR_AS_KNOWN:
        return NEW[protocol]
    report = read_json(outcome.folder / "splits" / f"{protocol}-{outcome.evaluation['seeds'][0]}.leakage.json")
    unknown = tell_unknown({name: relation["known"] for name, relation in report["relations"].items()})
    return AS_FAR_AS_KNOWN[protocol] + unknown if unknown else NEW[protocol]


def beside_random(outcomes: list[Outcome]) -> list[str]:
    """How the accuracy compares with that of the paper's random split, if that is not the headline's."""
    accuracy = outcomes[0].evaluation["accuracy"]
    others = [one.evaluation["accuracy"] for one in outcomes[1:] if one.evaluation["protocol"] == "random"]
    return [
        f"Split at random, as in the paper, the accuracy is {percent(other['mean'])}:"
        f" {100 * (other['mean'] - accuracy['mean']):+.1f} points."
        for other in others
        if other["mean"] is not None
    ]


def read_findings(outcome: Outcome) -> list[Finding]:
    """What the audits of the data set found."""
    return [read_finding(path) for path in sorted((outcome.folder / "audits").glob("*.json"))]


def sum_up(findings: list[Finding]) -> str:
    """The alarms of the audits in a sentence or two."""
    alarms = [finding.sentence for finding in findings if finding.severity == "alarm"]
    notes = sum(finding.severity == "note" for finding in findings)
    noted = f"{notes} note{'s' if notes != 1 else ''} in {len(findings)} audits."
    if not alarms:
        return f"No. {noted}"
    if len(alarms) == 1:
        return f"One alarm: {alarms[0]} {noted}"
    return f"{len(alarms)} alarms. The first: {alarms[0]} {noted}"
