"""Corrections: what reviewers decided on the sheets of a data set, applied to its labels."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError
from sheetlens.common.tables import plain_cell, read_rows

COLUMNS = ("image_id", "barcode", "label_before", "label_after", "decision", "reviewer", "time", "reason")
DECISIONS = ("accepted", "changed", "unsure", "disagreement")
CORRECTED = ("label_before", "corrected_by", "corrected_at")  # columns of a manifest with corrections
NEEDED = ("image_id", "label_before", "label_after", "decision", "reviewer", "time")


def read_corrections(path: Path) -> dict[str, dict[str, str]]:
    """Read a table of corrections: image_id -> its row; rows of one image_id that agree count once.

    Raises UserError for a table without the columns, an unknown decision, and lines that contradict one another.
    """
    found: dict[str, dict[str, str]] = {}
    for row in read_rows(path, {name: name for name in NEEDED}):
        row = {name: plain_cell(value) for name, value in row.items()}
        image_id = row["image_id"]
        if row["decision"] not in DECISIONS or (row["decision"] in ("accepted", "changed")) != bool(row["label_after"]):
            raise UserError(
                f"the decision '{row['decision']}' with the label '{row['label_after']}' for '{image_id}' in {path} is"
                f" none: decisions are {', '.join(DECISIONS)}, and the first two have a label_after"
            )
        before = found.setdefault(image_id, row)
        if any(before[name] != row[name] for name in ("decision", "label_after")):
            raise UserError(f"two lines of {path} contradict each other about '{image_id}': keep one of them")
    return found


class Corrector:
    """Applies corrections to the rows of a listing, and checks that every one of them found its sheet."""

    def __init__(self, path: Path, leave_out_unsure: bool) -> None:
        """Read the table; raises UserError as `read_corrections` does."""
        self._path, self._leave_out = path, leave_out_unsure
        self._known = read_corrections(path)

    def check(self, rows: Iterable[dict[str, Any]]) -> None:
        """Raise UserError where a correction names a sheet or a label that the listing does not have."""
        labels, ids = set(), set()
        for row in rows:
            labels.add(row["label"])
            ids.add(row["image_id"])
        for image_id, row in self._known.items():
            if image_id not in ids:
                raise UserError(
                    f"{self._path} corrects '{image_id}', which the data set does not have: it belongs to another one"
                )
            if (label := row["label_after"]) and label not in labels:
                known = ", ".join(sorted(labels - {""}))
                raise UserError(
                    f"{self._path} gives '{image_id}' the label '{label}', which the data set does not have: {known}"
                )

    def apply(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Each row with its label corrected, and label_before, corrected_by and corrected_at beside it."""
        for row in rows:
            found = self._known.get(row["image_id"], {})
            row = row | dict.fromkeys(CORRECTED, "")
            if found.get("decision") in ("accepted", "changed") and found["label_after"] != row["label"]:
                row |= {"label_before": row["label"], "label": found["label_after"]}
                row |= {"corrected_by": found["reviewer"], "corrected_at": found["time"]}
            elif found.get("decision") == "unsure" and self._leave_out and row["status"] == "ok":
                row |= {"status": "refused", "reason": f"left out: {found['reviewer']} could not tell its class"}
            yield row
