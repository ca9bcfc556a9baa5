"""What it means for the result that relatives of test sheets stand in other parts."""

from pathlib import Path
from typing import Any

from sheetlens.audit.finding import Finding, Inputs
from sheetlens.common import files
from sheetlens.config import Audit

STATED = {"specimen": "Barcodes", "event": "Collectors, with a number or day,"}  # what only records tell
KNOWN = 0.5  # share of sheets of which that must be known, to say that there is no relative


def audit_leakage(reports: dict[str, dict[str, Any]], protocol: str) -> Finding:
    """A note where test sheets have close relatives in training, an alarm where the protocol promises none.

    Also a note where most relatives could not be known. `reports` holds the leakage report of each split by its name
    (see `leakage.measure_leakage`).
    """
    shares = {name: report["any"]["test_share"] for name, report in reports.items()}
    worst = max(shares, key=lambda name: shares[name])
    numbers = {
        "test_share": shares,
        "relations": {
            name: {relation: counts["test_sheets"] for relation, counts in report["relations"].items()}
            for name, report in reports.items()
        },
    }
    known = {name: reports[worst]["relations"][name]["known"] for name in STATED}
    numbers["known"] = known
    unknown = tell_unknown(known)
    if not shares[worst]:
        sentence = "No test sheet has a picture, specimen or collecting event in common with training or validation."
        if min(known.values()) < KNOWN:
            advice = "Join specimen records (`records` of the data set), so that relatives are found, and run again."
            return Finding("leakage", "note", sentence + unknown, advice, numbers)
        return Finding("leakage", "ok", sentence + unknown, "Nothing to do.", numbers)
    sentence = (
        f"Up to {100 * shares[worst]:.1f} % of the test sheets have a close relative in training or validation"
        f" (same specimen, picture or collecting event).{unknown}"
    )
    if protocol == "random":
        advice = "The accuracy is that of sheets whose relatives are known; for new ones read the protocol 'grouped'."
        return Finding("leakage", "note", sentence, advice, numbers)
    advice = f"The protocol '{protocol}' promises none: the split is at fault, do not use the result."
    return Finding("leakage", "alarm", sentence, advice, numbers)


def tell_unknown(known: dict[str, float]) -> str:
    """Which relatives could not be found, as records do not tell of every sheet; "" where they do.

    `known` is the share of sheets (0 to 1) of which each relation could be known (see `groups.comparable`).
    """
    return "".join(
        f" {words} are known of {100 * known[name]:.0f} % of the sheets: relatives among the others cannot be found."
        for name, words in STATED.items()
        if known[name] < 0.995
    )


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Say what straddles the parts of each split of a protocol, from the leakage `reports`; write the finding."""
    found = {path.name.removesuffix(".leakage.json"): files.read_json(path) for path in inputs["reports"]}
    protocol = next(iter(found.values()))["protocol"]
    audit_leakage(found, protocol).write(output, inputs["reports"])
