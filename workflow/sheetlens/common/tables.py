"""Tables that people bring (CSV, TSV, Parquet), row by row under our names of the columns; cells for people."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common.errors import UserError

BATCH = 10_000  # rows of a Parquet file in memory at a time
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell (OWASP, CSV injection)


def read_rows(
    path: Path, columns: Mapping[str, str], needed: tuple[str, ...] | None = None
) -> Iterator[dict[str, str]]:
    """Yield each row as text: our name of a column -> its value, "" where there is none.

    `columns` maps our names to the table's, whose case does not count; `needed` are those of ours that must
    be there (default: all). A row with more cells than the table has columns has the key `refused`, which says
    so. Raises UserError for a table that cannot be read or lacks a column.
    """
    path = path.expanduser()
    try:
        rows = _parquet(path) if path.suffix == ".parquet" else _text(path)
        header = next(rows)
        known = {name.strip().casefold(): name for name in reversed(header)}
        places = {ours: known[theirs.casefold()] for ours, theirs in columns.items() if theirs.casefold() in known}
        if lacking := [columns[ours] for ours in (columns if needed is None else needed) if ours not in places]:
            raise UserError(f"the table {path} has no column '{lacking[0]}'; its columns are {', '.join(header)}")
        for row in rows:
            found = {ours: _value(row.get(theirs)) for ours, theirs in places.items()}
            yield found | {"refused": "the row has more cells than the table has columns"} if None in row else found
    except (OSError, csv.Error, pa.ArrowException, ValueError, StopIteration) as error:  # ValueError: no UTF-8
        raise UserError(f"the table {path} cannot be read: {error or 'it is empty'}") from None


def _text(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t")
        if rows.fieldnames:
            yield list(rows.fieldnames)
            yield from rows


def _parquet(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        yield file.schema_arrow.names
        for batch in file.iter_batches(BATCH):
            yield from batch.to_pylist()


def safe_cell(value: Any) -> Any:
    """A value of a table for people: text that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.lstrip("'").startswith(FORMULA) else value


def plain_cell(value: str) -> str:
    """What `safe_cell` was given."""
    return value[1:] if value.startswith("'") and value.lstrip("'").startswith(FORMULA) else value


def class_names(columns: Iterable[Any]) -> list[str]:
    """The classes that a table of predictions has a column `probability_{class}` for."""
    return [str(name).removeprefix("probability_") for name in columns if str(name).startswith("probability_")]


def _value(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()
