"""What a trained model shall read: a folder of photographs or a table of them, as one list in a fixed order."""

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common import files, tables
from sheetlens.common.errors import UserError

ROWS = 8192  # written at a time
# Size and time of a file stand for its content until it is read: they say whether a list is still true.
COLUMNS = ("image_id", "specimen_id", "path", "sha256", "size", "changed", "status", "reason")
KNOWN = ("image_id", "specimen_id", "sha256", "status", "reason")  # columns of a table beside path


def write_list(source: Path, output: Path) -> None:
    """Write the list (.parquet, COLUMNS, all text) of a folder's files, or of the rows of a table.

    A folder's files come in the order of their paths, which are the image_ids; hidden ones are left out. A table
    (.csv, .tsv, .parquet, such as a listing of `fetch`) has the column `path` (relative ones start at the current
    folder) and may have those of KNOWN; its order is kept. Same files, same bytes; one row in memory at a time.
    Raises UserError for what is neither, and where there is nothing.
    """
    rows = _folder(source) if source.is_dir() else _table(source)
    first = next(rows, None)
    if first is None:
        raise UserError(f"there are no files in {source}")
    with files.whole(output) as part:
        _write(part, itertools.chain([first], rows))


def _write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema) as writer:
        waiting = iter(rows)
        while some := list(itertools.islice(waiting, ROWS)):
            writer.write_table(pa.table({name: [row[name] for row in some] for name in COLUMNS}, schema))


def _folder(folder: Path) -> Iterator[dict[str, str]]:
    for path in walk(folder):
        inside = path.relative_to(folder).as_posix()
        yield _row(inside, path.stem, path)


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted by path, with the names of one folder at a time in memory; no hidden ones."""
    with os.scandir(folder) as found:
        entries = sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False), entry.name) for entry in found)
    for shown, name in entries:
        if name.startswith("."):
            continue
        if shown.endswith("/"):
            yield from walk(folder / name)
        else:
            yield folder / name


def _table(table: Path) -> Iterator[dict[str, str]]:
    if table.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise UserError(f"{table} is neither a folder of photographs nor a table (.csv, .tsv, .parquet)")
    for found in tables.read_rows(table, {name: name for name in ("path", *KNOWN)}, needed=("path",)):
        path = found["path"]
        row = _row(found.get("image_id") or path, found.get("specimen_id") or Path(path).stem, Path(path))
        row["sha256"] = found.get("sha256", "")
        if refused := found.get("refused"):
            row |= {"status": "refused", "reason": refused}
        elif found.get("status", "ok") not in ("ok", ""):
            row |= {"status": "refused", "reason": found.get("reason", "")}
        elif not path:
            row |= {"status": "refused", "reason": "its row names no file: it was not fetched, or not kept"}
        yield row


def _row(image_id: str, specimen_id: str, path: Path) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {"image_id": image_id, "specimen_id": specimen_id, "status": "ok"}
    row["path"] = str(path)
    try:
        os.fsencode(path).decode("utf-8")
        found = path.stat()
        row |= {"size": str(found.st_size), "changed": str(found.st_mtime_ns)}
        if not stat.S_ISREG(found.st_mode):
            row |= {"status": "refused", "reason": "not a file but a folder, pipe or device"}
    except UnicodeDecodeError:
        row = {key: value.encode("utf-8", "backslashreplace").decode() for key, value in row.items()}
        row |= {"status": "refused", "reason": "the file name is not UTF-8: rename it"}
    except (OSError, ValueError) as error:
        row |= {"status": "refused", "reason": f"cannot be read: {getattr(error, 'strerror', None) or error}"}
    return row
