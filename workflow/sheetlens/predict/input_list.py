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
from sheetlens.common.folders import walk
from sheetlens.common.refusals import Reason, refused

BATCH_ROWS = 8192  # written at a time
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
        while some := list(itertools.islice(waiting, BATCH_ROWS)):
            writer.write_table(pa.table({name: [row[name] for row in some] for name in COLUMNS}, schema))


def _folder(folder: Path) -> Iterator[dict[str, str]]:
    for one in walk(folder):
        if not one.hidden:
            inside = one.path.relative_to(folder).as_posix()
            yield _row(inside, one.path.stem, one.path) | (refused(one.refused) if one.refused else {})


def _table(table: Path) -> Iterator[dict[str, str]]:
    if table.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise UserError(f"{table} is neither a folder of photographs nor a table (.csv, .tsv, .parquet)")
    for found in tables.read_rows(table, {name: name for name in ("path", *KNOWN)}, ("path",), keep_shifted=True):
        path = found["path"]
        row = _row(found.get("image_id") or path, found.get("specimen_id") or Path(path).stem, Path(path))
        row["sha256"] = found.get("sha256", "")
        if said := found.get("refused"):
            row |= refused(said)
        elif found.get("status", "ok") not in ("ok", ""):
            row |= {"status": "refused", "reason": found.get("reason", "")}
        elif not path:
            row |= refused(Reason("not_fetched"))
        yield row


def _row(image_id: str, specimen_id: str, path: Path) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {"image_id": image_id, "specimen_id": specimen_id, "status": "ok"}
    row["path"] = str(path)
    try:
        os.fsencode(path).decode("utf-8")
        found = path.stat()
        row |= {"size": str(found.st_size), "changed": str(found.st_mtime_ns)}
        if not stat.S_ISREG(found.st_mode):
            row |= refused(Reason("not_a_file"))
    except UnicodeDecodeError:
        row = {key: value.encode("utf-8", "backslashreplace").decode() for key, value in row.items()}
        row |= refused(Reason("name_not_utf8"))
    except (OSError, ValueError) as error:
        row |= refused(Reason("unreadable", why=getattr(error, "strerror", None) or error))
    return row
