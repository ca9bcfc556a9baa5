"""Who is to be thanked for each picture, under which licence, and by which route it came."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from sheetlens.common.errors import UserError
from sheetlens.common.files import reading, whole
from sheetlens.common.tables import safe_cell

COLUMNS = (
    "image_id", "label", "specimen_id", "scientificName", "institutionCode", "catalogNumber", "licence",
    "licence_asserted", "rights_holder", "creator", "source_url", "route",
)  # fmt: skip
SHOWN = 12  # licences and rights holders named in the report
SAME = 0.05  # shares of a route in two classes that differ by no more than this are the same


def write_credits(manifest: Path, output: Path) -> None:
    """Write a credit for each picture used (.csv), in the order of the manifest, a few at a time.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    with whole(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in _used(manifest):
            writer.writerow([safe_cell(_text(row.get(column))) for column in COLUMNS])


def _used(manifest: Path, columns: tuple[str, ...] = COLUMNS) -> Iterator[dict[str, Any]]:
    with reading(manifest), pq.ParquetFile(manifest) as file:
        names = [name for name in (*columns, "status") if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=names):
            yield from (row for row in batch.to_pylist() if row["status"] == "ok")


def write_derived_dataset(manifest: Path, output: Path) -> dict[str, int]:
    """Write what GBIF asks for to give a derived dataset a DOI; return the numbers of records by data set.

    `output` (.csv, without a header) has a line for each data set of GBIF: its key and how many records (specimens, not
    pictures) are used; for those found by search, which has no DOI of its own as a download has. Raises UserError where
    no picture comes from GBIF.
    """
    records: dict[str, set[str]] = {}
    for row in _used(manifest, ("datasetKey", "specimen_id", "image_id")):
        if key := row.get("datasetKey"):
            records.setdefault(key, set()).add(row["specimen_id"] or row["image_id"])
    if not records:
        raise UserError(
            f"no picture of {manifest} comes from GBIF with the key of its data set: there is nothing to derive"
        )
    counts = {key: len(found) for key, found in sorted(records.items())}
    with whole(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(counts.items())
    return counts


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def count_licences(manifest: pd.DataFrame) -> dict[str, Any]:
    """Count the pictures used under each licence and rights holder, most first, and those nobody licensed."""
    columns = ["licence", "rights_holder", "licence_asserted"]
    used = manifest[manifest["status"] == "ok"].reindex(columns=columns, fill_value="").fillna("")
    used = used.assign(licence_asserted=used["licence_asserted"].eq(True) & used["licence"].ne(""))
    counts = used.value_counts().reset_index(name="sheets")
    counts = counts.sort_values(["sheets", "licence", "rights_holder"], ascending=[False, True, True])
    return {
        "shown": counts.head(SHOWN).to_dict("records"),
        "more": max(0, len(counts) - SHOWN),
        "sheets": len(used),
        "unasserted": int((~used["licence_asserted"]).sum()),
    }


def compare_routes(manifest: pd.DataFrame) -> list[dict[str, Any]]:
    """The share of each class that came by each route, where classes differ in it; empty where they do not.

    A server's way of making small pictures is a mark that a network can learn in place of the plant.
    """
    used = manifest[manifest["status"] == "ok"].reindex(columns=["label", "route"], fill_value="").fillna("")
    shares = pd.crosstab(used["route"], used["label"], normalize="columns")
    if shares.empty or (shares.max(axis=1) - shares.min(axis=1)).max() <= SAME:
        return []
    return [{"route": route or "not recorded", "shares": row.to_dict()} for route, row in shares.iterrows()]
