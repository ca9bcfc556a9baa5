"""The hash of every product, noted when a run ends: what changes behind the workflow's back is found by it.

Snakemake and its user go by the times of files; a flipped bit has none. Originals are left out: their hashes stand in
the listing, and whoever reads them compares. So are the decisions of reviewers, which no run makes. The notes lie with
the logs, because they hold times, which no two runs share.
"""

import csv
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sheetlens.common import files
from sheetlens.common.errors import UserError

DECISIONS = "review/decisions.*"  # what people decided (sheetlens.review.decisions)
END = "end of the notes"  # with their number and a hash of them: notes that were cut short must not pass for all
AS_IT_IS: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}  # names of files are bytes
NOTES, BEGAN = "logs/hashes.tsv", "logs/hashes.began"  # beside results/


class Note(NamedTuple):
    """What was noted of a product: bytes, time of its last change in nanoseconds, SHA-256."""

    size: int
    changed: int
    sha256: str


def begin(results: Path) -> None:
    """Say that products may change from now on, until `note`: a run that is killed leaves this to the next one."""
    began = results.parent / BEGAN
    if not began.exists():
        with files.whole(began) as part:  # not half of it where the disk is full
            part.write_text(f"{time.time_ns()}\n")


def note(results: Path) -> list[str]:
    """Note the products as they are; return those that changed after the last note and before `begin`.

    What is as large and as old as it was is not read again. A product that somebody changed keeps its note.
    """
    began = results.parent / BEGAN
    since = _began(began)
    known, noted, strange = _read(results), {}, []
    for name, path in _products(results):
        found, before = path.stat(), known.get(name)
        if before and before[:2] == (found.st_size, found.st_mtime_ns):
            noted[name] = before
            continue
        now = Note(found.st_size, found.st_mtime_ns, files.sha256(path))
        if before and now.sha256 != before.sha256 and now.changed < since:
            strange.append(name)
        noted[name] = before if before and name in strange else now
    rows = [[name, *map(str, values)] for name, values in noted.items()]
    with files.whole(results.parent / NOTES) as part, part.open("w", **AS_IT_IS) as file:
        writer = csv.writer(file, dialect="excel-tab")
        writer.writerows([*rows, [END, str(len(rows)), _digest(rows)]])
    began.unlink()
    return strange


def changed(results: Path) -> list[str]:
    """Products that are gone or whose bytes are not those that were noted. UserError where nothing was noted."""
    known = _read(results)
    if not known:
        raise UserError(f"{results.parent / NOTES} is not there: the first run that ends well writes it")
    return [
        name
        for name, before in known.items()
        if not (path := results / name).is_file() or files.sha256(path) != before.sha256
    ]


def all_noted(results: Path) -> bool:
    """Whether every product has, by size and time, the note that the last run made of it; reads none."""
    known = _read(results)
    found = ((known.get(name), path.stat()) for name, path in _products(results))
    return all(before and before[:2] == (now.st_size, now.st_mtime_ns) for before, now in found)


def remove(results: Path, names: list[str]) -> None:
    """Delete products, so that the next run makes them anew; a folder that is one product goes as a whole."""
    for name in names:
        path = results / name
        folders = [folder for folder in path.parents if (folder / ".snakemake_timestamp").exists()]
        if folders:
            shutil.rmtree(folders[-1])
        path.unlink(missing_ok=True)


def _began(path: Path) -> int:
    """When products might change from, in nanoseconds; where that was damaged, when it was written."""
    try:
        return int(path.read_text())
    except ValueError:
        return path.stat().st_mtime_ns


def _products(results: Path) -> Iterator[tuple[str, Path]]:
    """Names and places of all regular files: a pipe or a device has no bytes of its own, a dead link none at all."""
    for folder, subfolders, names in os.walk(results):
        subfolders[:] = sorted(name for name in subfolders if name != "originals")
        for name in sorted(names):
            path = Path(folder, name)
            ours = not name.startswith(".") and path.suffix != ".part" and not path.match(DECISIONS)
            if ours and path.is_file():
                yield path.relative_to(results).as_posix(), path


def _read(results: Path) -> dict[str, Note]:
    path = results.parent / NOTES
    if not path.exists():
        return {}
    try:
        with path.open(**AS_IT_IS) as file:
            rows = list(csv.reader(file, "excel-tab"))
        if not rows or rows.pop() != [END, str(len(rows)), _digest(rows)]:
            raise ValueError("cut short or changed")
        return {name: Note(int(size), int(when), sha256) for name, size, when, sha256 in rows}
    except (ValueError, csv.Error):
        raise UserError(
            f"{path} is cut short, damaged or from an earlier version: delete it, and the next run that ends well"
            " writes it anew"
        ) from None


def _digest(rows: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
