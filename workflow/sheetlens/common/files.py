"""Products are written whole or not at all."""

import errno
import fcntl
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common.errors import UserError

ROW_GROUP = 8192  # of a table that stand together in a Parquet file: what a reader has in memory at once
BROKEN_ZIP = (  # what zipfile raises for a broken archive, beside OSError; a bad name or offset is a ValueError
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError, OverflowError
)  # fmt: skip
TOLD = (errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EIO, errno.EROFS)  # faults that libraries tell in words
FULL = 2**20  # a disk with fewer bytes free is full: torch does not say so in words


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the final name when the block succeeds.

    A fault removes the temporary file. A kill leaves it, and the next run writes over it. Its permissions are those
    that the umask gives, whatever the writing library makes them.
    Raises OSError with its number for a fault of the disk, such as ENOSPC, whatever the library made of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        part.touch()
        mode = part.stat().st_mode
        yield part
        if part.stat().st_mode != mode:
            with suppress(OSError):  # some network disks know no permissions
                part.chmod(mode)
        part.replace(path)
    except BaseException as error:
        code = _fault_of_the_disk(error, path.parent)
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if code and isinstance(error, Exception):
            raise OSError(code, os.strerror(code), str(path)) from error
        raise


def _fault_of_the_disk(error: BaseException, folder: Path) -> int:
    """The number of a fault that a writing library tells in words only, or not at all; 0 for any other."""
    if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno and error.filename):
        return 0
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if told := [code for code in TOLD if os.strerror(code) in str(error)]:
        return told[0]
    with suppress(OSError):
        return errno.ENOSPC if shutil.disk_usage(folder).free < FULL else 0
    return 0


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make one sentence of whatever a library says of a file that is cut short, damaged or none of ours."""
    try:
        yield
    except (pa.ArrowException, ValueError, RecursionError, EOFError, OSError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        if isinstance(error, OSError) and (told := re.search(r"\(os error (\d+)\)", str(error))):  # safetensors' words
            raise OSError(int(told[1]), os.strerror(int(told[1])), str(path)) from error
        why = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"{path} cannot be read, it is damaged or no such file ({why}): make it anew") from None


def at_home(path: str | Path) -> Path:
    """A path whose ~ is a home folder; as it is where there is no such home, as a file's name may begin so."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object, readable and in the given order of keys."""
    with whole(path) as part:
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_object(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    """Read a JSON object; UserError where it is none, or lacks one of the `needed` keys."""
    found = read_json(path)
    with reading(path):
        if not isinstance(found, dict):
            raise ValueError("it is no object")
        if lacking := [name for name in needed if name not in found]:
            raise ValueError(f"it lacks {lacking[0]}")
        return found


def count_rows(path: Path) -> int:
    """Number of rows of a Parquet table, from its footer."""
    with reading(path):
        return int(pq.read_metadata(path).num_rows)


def read_rows(path: Path, start: int = 0, stop: int | None = None) -> Iterator[dict[str, Any]]:
    """Rows `start` to `stop` of a Parquet table one by one, with as little of it in memory as may be."""
    with reading(path), pq.ParquetFile(path) as table:
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
    with reading(path):
        if path.suffix == ".parquet":
            return pd.read_parquet(path, columns=columns)
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_others_out(file: BinaryIO, path: Path) -> None:
    """Hold an open file against other processes until it is closed; UserError where one of them holds it.

    Raises OSError where the disk cannot lock files.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another process is writing {path}: wait for it or stop it first") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of it to a file without a buffer."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
