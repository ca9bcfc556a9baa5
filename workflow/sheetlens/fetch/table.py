"""Read a table of addresses and labels (CSV, TSV, Parquet) a few rows at a time."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.config import UrlsSource
from sheetlens.errors import UserError
from sheetlens.fetch import LISTING

OWN = {"url", "md5", *LISTING} - {"path", "source_url", "route", "status", "reason", "content_type"}
UNSAFE = re.compile(r"[^\w.-]+")
ROWS = 10_000


def rows(settings: UrlsSource) -> Iterator[dict[str, str]]:
    """The rows as text under our names of the columns; a cell without a value is "".

    A row with more cells than the table has columns gets the key `refused`.
    Raises UserError for a table that is not there, cannot be read or lacks `url` or `label`.
    """
    path = Path(settings.table).expanduser()
    try:
        yield from _renamed(settings, path, _parquet(path) if path.suffix == ".parquet" else _text(path))
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"the table {path} cannot be read: {error}") from None


def file_name(text: str) -> str:
    """Text made fit to be part of a file's name."""
    return UNSAFE.sub("_", text).lstrip(".")[:80]


def _text(path: Path) -> Iterator[dict[Any, Any]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")


def _parquet(path: Path) -> Iterator[dict[Any, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            yield from batch.to_pylist()


def _renamed(settings: UrlsSource, path: Path, found: Iterator[dict[Any, Any]]) -> Iterator[dict[str, str]]:
    names: dict[str, str] = {}
    for row in found:
        if not names:
            names = {name: settings.columns.get(name, name) for name in OWN if settings.columns.get(name, name) in row}
            lacking = [settings.columns.get(name, name) for name in ("url", "label") if name not in names]
            unknown = set(settings.columns) - OWN
            if lacking or unknown:
                have = ", ".join(str(key) for key in row if key is not None)
                wrong = f"has no column '{lacking[0]}'" if lacking else f"cannot give '{sorted(unknown)[0]}'"
                raise UserError(f"the table {path} {wrong}; its columns are {have} (see `columns` in config/README.md)")
        own = {name: "" if row.get(theirs) is None else str(row[theirs]).strip() for name, theirs in names.items()}
        yield own | ({"refused": "the row has more cells than the table has columns"} if None in row else {})
