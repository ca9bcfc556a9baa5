"""What the search for duplicates and the leakage report mean for the result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.audit.finding import Finding
from sheetlens.common import files

STATED = {"specimen": "Barcodes are", "event": "Collectors, with a number or day, are"}  # what only records tell
KNOWN = 0.5  # share of sheets of which that must be known, to say that there is no relative


def audit_duplicates(pairs: pd.DataFrame, sheets: int) -> Finding:
    """Alarm for the same picture under two classes, a note for any other twins.

    `pairs` has first, second, kind and labels_differ, one row for each pair.
    """
    kinds = pairs["kind"].value_counts().sort_index()
    contrary = pairs[pairs["labels_differ"].astype(bool)]
    numbers = {
        "sheets": sheets,
        "pairs": {str(kind): int(count) for kind, count in kinds.items()},
        "labels_differ": len(contrary),
        "contrary": contrary[["first", "second"]].to_numpy().tolist(),
    }
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    if len(contrary):
        return Finding(
            "duplicates",
            "alarm",
            f"{len(contrary)} {'pair of pictures shows' if len(contrary) == 1 else 'pairs of pictures show'}"
            f" the same sheet under two classes (of all pairs: {counted}).",
            "At least one label of each pair is wrong: look at them first, correct at the source, run again.",
            numbers,
        )
    if len(pairs):
        return Finding(
            "duplicates",
            "note",
            f"Some pictures show the same sheet: {counted} pairs.",
            "Take out one of each pair, or read the numbers of the protocol 'grouped', which keeps them together.",
            numbers,
        )
    return Finding("duplicates", "ok", "No two pictures show the same sheet.", "Nothing to do.", numbers)


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
    unknown = "".join(
        f" {words} known of {100 * known[name]:.0f} % of the sheets: relatives among the others cannot be found."
        for name, words in STATED.items()
        if known[name] < 0.995
    )
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


def write_duplicates(duplicates: Path, index: Path, output: Path) -> None:
    """Say what the pairs of duplicates mean; write the finding."""
    audit_duplicates(files.read_table(duplicates), len(files.read_table(index))).write(output, [duplicates])


def write_leakage(protocol: str, output: Path, reports: Sequence[Path]) -> None:
    """Say what straddles the parts of each split, from its leakage report; write the finding."""
    found = {path.name.removesuffix(".leakage.json"): files.read_json(path) for path in reports}
    audit_leakage(found, protocol).write(output, reports)
