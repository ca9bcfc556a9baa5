"""What it means for the result that pictures show the same sheet."""

from pathlib import Path

import pandas as pd

from sheetlens.audit.finding import Finding, Inputs
from sheetlens.common import files
from sheetlens.config import Audit


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


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Say what the pairs of `duplicates` among the sheets of the `index` mean; write the finding."""
    (duplicates,), (index,) = inputs["duplicates"], inputs["index"]
    audit_duplicates(files.read_table(duplicates), len(files.read_table(index))).write(output, [duplicates])
