"""Products are written whole or not at all."""

import errno
import fcntl
import hashlib
import json
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow.parquet as pq

from sheetlens.common.errors import UserError

ROW_GROUP = 8192  # of a table that stand together in a Parquet file: what a reader has in memory at once
BROKEN_ZIP = (  # what zipfile raises for a broken archive, beside OSError; a bad name or offset is a ValueError
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError, OverflowError
)  # fmt: skip
FULL = 2**20  # a disk with fewer bytes free is full: torch does not say so in words


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the final name when the block succeeds.

    A fault removes the temporary file. A kill leaves it, and the next run writes over it.
    Raises OSError with ENOSPC for a full disk, whatever the writing library made of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except BaseException as error:
        full = "No space left" in str(error) or shutil.disk_usage(path.parent).free < FULL
        part.unlink(missing_ok=True)
        if full and isinstance(error, Exception):
            raise OSError(errno.ENOSPC, "no space left", str(path)) from error
        raise


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object, readable and in the given order of keys."""
    with whole(path) as part:
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def count_rows(path: Path) -> int:
    """Number of rows of a Parquet table, from its footer."""
    return int(pq.read_metadata(path).num_rows)


def read_rows(path: Path, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
    """Rows `start` to `stop` of a Parquet table one by one, with as little of it in memory as may be."""
    with pq.ParquetFile(path) as table:
        number = 0
        for group in range(table.num_row_groups):
            size = table.metadata.row_group(group).num_rows
            if number + size > start and (stop is None or number < stop):
                for batch in table.iter_batches(ROW_GROUP // 8, row_groups=[group]):
                    for row in batch.to_pylist():
                        if number >= start and (stop is None or number < stop):
                            yield row
                        number += 1
            else:
                number += size


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, CSV or TSV, by the file's ending; same table, same bytes."""
    with whole(path) as part:
        if path.suffix == ".parquet":
            table.to_parquet(part, index=False, row_group_size=ROW_GROUP)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            table.to_csv(part, index=False, sep=separator, lineterminator="\n")


def read_table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table written by `write_table`; empty text stays empty text. `columns` spares Parquet the others."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path, columns=columns)
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_others_out(file: BinaryIO, path: Path) -> None:
    """Hold an open file against other processes until it is closed; UserError where one of them holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another process is writing {path}: wait for it or stop it first") from None


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of it to a file without a buffer."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
