"""The labels as a table, which `folder: {path: ..., labels: labels.csv}` and `make own` read."""

import csv
from pathlib import Path

from sheetlens.common.files import whole
from sheetlens.common.tables import safe_cell
from sheetlens.label.session import Session
from sheetlens.review.decisions import how_chosen, standing

COLUMNS = ("image_id", "label", "reviewer", "time", "chosen")


def write_labels(session: Session, output: Path) -> int:
    """Write COLUMNS (.csv), sorted by image_id, a row for each sheet with a class; return how many there are.

    Sheets that reviewers are unsure of or give different classes are left out. `chosen` says how the sheet came:
    "random" for the random sample, from which alone test sheets may be drawn, else "suggested", "doubted" or "picked".
    """
    labels, sample = session.labels(), session.random_rows()
    given = standing(session.journal.entries)
    rows = []
    for row, label in labels.items():
        image_id = session.sheets.table["image_id"].iloc[row]
        entries = list(given[image_id].values())
        how = "random" if row < sample else how_chosen(entries[0])
        names = "; ".join(sorted(entry["reviewer"] for entry in entries))
        time = max(entry["time"] for entry in entries)
        rows.append((image_id, label, names, time, "suggested" if how == "random" and row >= sample else how))
    with whole(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(COLUMNS)
        writer.writerows([safe_cell(cell) for cell in row] for row in sorted(rows))
    return len(rows)
