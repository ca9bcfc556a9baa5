"""The labels as a table, which `folder: {path: ..., labels: labels.csv}` and `make own` read."""

import csv
from pathlib import Path

from sheetlens.common.errors import UserError
from sheetlens.common.files import whole
from sheetlens.common.tables import safe_cell
from sheetlens.label.session import Session
from sheetlens.review.decisions import NAME, how_chosen, read_contents, standing

COLUMNS = ("image_id", "label", "reviewer", "time", "chosen")
LABELS = "labels.csv"
# What a run of `predict` and a study have: their decisions can be exported only beside their own list.
OTHERS = ("predictions.parquet", "manifest.parquet", "images/index.parquet")
OURS = ("sheets.sqlite", "classes.json")  # one of which every labelling has that has a list


def check_output(folder: Path) -> None:
    """Raise UserError for a folder in which labelling would write over what something else made there."""
    if found := _others(folder):
        raise UserError(
            f"{folder} is the folder of another command (it holds {found}), whose list of sheets would be lost: give"
            " another --output"
        )
    labels = folder / LABELS
    if labels.is_file() and not _is_bare(labels) and not read_contents(folder / NAME).entries:
        raise UserError(
            f"{folder} holds a {LABELS} that no decisions here made, and it would be lost: move it away, or give"
            " another --output"
        )


def _others(folder: Path) -> str:
    """What in a folder another command wrote, or ""; a list alone may be that of `explain`, or of a run under way."""
    listed = not any((folder / name).exists() for name in OURS)
    return next((name for name in (*OTHERS, *["list.parquet"] * listed) if (folder / name).exists()), "")


def _is_bare(labels: Path) -> bool:
    """Whether a table is empty, or is ours from before the first decision: nothing of it can be lost."""
    header = ",".join(f'"{name}"' for name in COLUMNS) + "\n"
    with labels.open("rb") as file:
        return file.read(len(header) + 1) in (b"", header.encode())


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
