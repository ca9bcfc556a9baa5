"""Source `folder`: photographs in a folder of yours, one sub-folder per class, at any depth below it."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import FolderSource
from sheetlens.fetch.listing import listing

PARTS = 3  # training, validation, test: a class needs a sheet for each


def fetch(
    settings: FolderSource, progress: Callable[[int, int], None] = lambda done, total: None, labelled: bool = True
) -> pd.DataFrame:
    """List every file below the folder; the files stay where they are and are never changed.

    The label is the name of the sub-folder, the image_id the path below the folder, the specimen_id the
    file name without its ending. A file outside the class folders is listed as refused. With `labelled=False`
    sub-folders are no classes: every label stays empty, for specimen records to fill.
    Raises UserError when the folder cannot serve (see `check`).
    """
    folder = check(settings, labelled)
    found = list(_walk(folder))
    records = []
    for number, path in enumerate(found, start=1):
        records.append(_record(folder, path, labelled))
        progress(number, len(found))
    return listing(records)


def check(settings: FolderSource, labelled: bool = True) -> Path:
    """Return the folder if it has two classes or more with enough files; raise UserError otherwise.

    With `labelled=False` it only has to be there.
    """
    folder = Path(settings.path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"the folder '{folder}' does not exist: give the folder that holds one sub-folder per class"
            " (a relative path starts at the project's folder)"
        )
    if not labelled:
        return folder
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if len(classes) < 2:
        have = f"only one, '{classes[0].name}'" if classes else "none"
        raise UserError(
            f"the folder '{folder}' needs two sub-folders or more, one per class, and has {have}:"
            " sort the photographs into one sub-folder per class"
        )
    for child in classes:
        count = sum(1 for _ in _walk(child))
        if count < PARTS:
            raise UserError(
                f"class '{child.name}' in '{folder}' has {count} file{'s' * (count != 1)}, fewer than the"
                f" {PARTS} parts (training, validation, test): add photographs or take the folder out"
            )
    return folder


def fingerprint(settings: FolderSource) -> str:
    """A short digest of names, sizes and times of all files, so that a changed folder is noticed."""
    return digest(check(settings, labelled=False))


def digest(folder: Path) -> str:
    """The same of any folder; a link that leads nowhere counts as itself."""
    found = hashlib.sha256()
    for path in _walk(folder):
        status = path.stat() if path.exists() else path.lstat()
        found.update(os.fsencode(path) + f"|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return found.hexdigest()[:16]


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _record(folder: Path, path: Path, labelled: bool) -> dict[str, Any]:
    inside = path.relative_to(folder)
    label = inside.parts[0] if labelled and len(inside.parts) > 1 else ""
    record = {
        "image_id": inside.as_posix(),
        "specimen_id": path.stem,
        "label": label,
        "path": path.as_posix(),
        "route": "folder",
    }
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        shown = {key: value.encode("utf-8", "backslashreplace").decode() for key, value in record.items()}
        return shown | {"status": "refused", "reason": "the file name is not UTF-8: rename it"}
    if labelled and not label:
        return record | {"status": "refused", "reason": "not in a class folder"}
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write into it
            return record | {"status": "refused", "reason": "not a file but a pipe or device"}
        return record | {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    except OSError as error:
        return record | {"status": "refused", "reason": f"cannot be read: {error.strerror}"}
