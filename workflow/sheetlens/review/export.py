"""What came of a review as a table: one row for each sheet, for people, spreadsheets and the next run."""

import csv
from collections.abc import Iterable
from pathlib import Path

from sheetlens.common.files import whole
from sheetlens.common.tables import safe_cell
from sheetlens.prepare.corrections import COLUMNS, DECISIONS
from sheetlens.review.decisions import Entry, standing


def write_corrections(entries: Iterable[Entry], barcodes: dict[str, str], output: Path) -> dict[str, int]:
    """Write COLUMNS (.csv), sorted by image_id, and return how many sheets there are of each of DECISIONS.

    Where reviewers gave a sheet different answers its decision is "disagreement", and nothing is corrected. Text that
    a spreadsheet would take for a formula gets an apostrophe in front, which `read_corrections` takes away again.
    """
    counts = dict.fromkeys(DECISIONS, 0)
    with whole(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # names with any line break stay whole
        writer.writerow(COLUMNS)
        for image_id, given in sorted(standing(entries).items()):
            row = {"image_id": image_id, "barcode": barcodes.get(image_id, "")} | _settle(list(given.values()))
            counts[row["decision"]] += 1
            writer.writerow([safe_cell(row[column]) for column in COLUMNS])
    return counts


def _settle(given: list[Entry]) -> dict[str, str]:
    answers = {(entry["decision"], entry["label"]) for entry in given}
    first, (kind, label) = given[0], sorted(answers)[0]
    decision = "accepted" if label == first["before"] else "changed"
    if len(answers) > 1:
        decision, label = "disagreement", ""
    elif kind == "unsure":
        decision = "unsure"
    return {
        "label_before": first["before"],
        "label_after": label,
        "decision": decision,
        "reviewer": "; ".join(sorted(entry["reviewer"] for entry in given)),
        "time": max(entry["time"] for entry in given),
        "reason": "; ".join(first["reasons"]),
    }
