"""Tables that people bring (CSV, TSV, Parquet), row by row under our names of the columns; cells for people."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common.errors import UserError

BATCH = 10_000  # rows of a Parquet file in memory at a time
# What makes a spreadsheet compute a cell (OWASP, CSV injection), full-width and small forms included: at the beginning,
# or behind what begins a new cell or line for another program, with anything before it that is not seen.
_SIGN = r"[=+\-@\u207a\u207c\u208a\u208c\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
_BREAK = r"\t\n\v\f\r;\x85\u2028\u2029"  # not in _UNSEEN, so that a text of breaks alone takes no square of its length
_UNSEEN = (
    r"[\x00-\x08\x0e-\x20\x7f-\x84\x86-\xa0\xad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff\"']*"
)
FORMULA = re.compile(rf"(?:^|(?<=[{_BREAK}]))(?={_UNSEEN}{_SIGN})|^(?='*[\x00\t\n\r])")
_GUARDED = re.compile(f"(?:{FORMULA.pattern})'")


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
    """A value of a table for people: text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return FORMULA.sub("'", value) if isinstance(value, str) else value


def plain_cell(value: str) -> str:
    """What `safe_cell` was given."""
    return _GUARDED.sub("", value)


def class_names(columns: Iterable[Any]) -> list[str]:
    """The classes that a table of predictions has a column `probability_{class}` for."""
    return [str(name).removeprefix("probability_") for name in columns if str(name).startswith("probability_")]


def _value(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()
