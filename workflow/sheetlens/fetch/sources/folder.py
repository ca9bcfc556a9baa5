"""Source `folder`: photographs in a folder of yours, one sub-folder per class, or with a table of their labels."""

import hashlib
import logging
import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.folders import Found, walk
from sheetlens.common.refusals import Reason, refused
from sheetlens.common.tables import plain_cell, read_rows
from sheetlens.config import FolderSource
from sheetlens.fetch.listing import listing

log = logging.getLogger(__name__)
PARTS = 3  # training, validation, test: a class needs a sheet for each


def fetch(
    settings: FolderSource, progress: Callable[[int, int], None] = lambda done, total: None, labelled: bool = True
) -> pd.DataFrame:
    """List every file below the folder; the files stay where they are and are never changed.

    The label is the name of the sub-folder, the image_id the path below the folder, the specimen_id the
    file name without its ending. A file outside the class folders is listed as refused. With `labelled=False`
    sub-folders are no classes: every label stays empty, for specimen records to fill. With a table of labels they come
    from there, with what it says of how each sheet was chosen, and a file that it does not name is refused.
    Raises UserError when the folder cannot serve (see `check`), and for labels of files that are not there.
    """
    folder = check(settings, labelled)
    labels = read_labels(files.at_home(settings.labels)) if settings.labels else None
    labelled = labelled and labels is None
    found = [one for one in walk(folder) if not one.hidden]
    records = []
    for number, one in enumerate(found, start=1):
        record = _record(folder, one, labelled)
        records.append(record if labels is None else _with_label(record, labels))
        progress(number, len(found))
    if labels:
        raise UserError(
            f"{settings.labels} labels '{next(iter(labels))}' and {len(labels) - 1} more, which are not in {folder}:"
            " give the folder that was labelled"
        )
    return listing(records)


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """Read a table of labels: image_id -> its label and how the sheet was chosen ("" where the table does not say).

    Raises UserError for a table without the columns or labels, and for two labels of one image_id.
    """
    found: dict[str, dict[str, str]] = {}
    for row in read_rows(path, {name: name for name in ("image_id", "label", "chosen")}, needed=("image_id", "label")):
        image_id, label = plain_cell(row["image_id"]), plain_cell(row["label"])
        if not label:
            continue
        if found.setdefault(image_id, {"label": label, "chosen": row.get("chosen", "")})["label"] != label:
            raise UserError(f"{path} gives '{image_id}' two labels: keep one of them")
    if not found:
        raise UserError(f"{path} has no labels: label some sheets first (sheetlens label)")
    return found


def _with_label(record: dict[str, Any], labels: dict[str, dict[str, str]]) -> dict[str, Any]:
    known = labels.pop(record["image_id"], None)
    if known:
        return record | known
    return record if record.get("status") == "refused" else record | refused(Reason("not_labelled"))


def count(settings: FolderSource) -> tuple[int, int]:
    """Files on disk, counted by themselves, and hidden files and folders that are left alone."""
    found = Counter(one.hidden for one in walk(files.at_home(settings.path)))
    return found[False], found[True]


def check(settings: FolderSource, labelled: bool = True) -> Path:
    """Return the folder if it has two classes or more with enough files; raise UserError otherwise.

    With `labelled=False` it only has to be there.
    """
    folder = files.at_home(settings.path)
    if not folder.is_dir():
        raise UserError(
            f"the folder '{folder}' does not exist: give the folder that holds one sub-folder per class"
            " (a relative path starts at the project's folder)"
        )
    if settings.labels and not files.at_home(settings.labels).is_file():
        raise UserError(f"the table of labels '{settings.labels}' is not there (a relative path starts at the project)")
    if not labelled or settings.labels:
        return folder
    try:
        classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError as error:
        raise UserError(f"the folder '{folder}' cannot be listed: {error.strerror}") from None
    if len(classes) < 2:
        have = f"only one, '{classes[0].name}'" if classes else "none"
        raise UserError(
            f"the folder '{folder}' needs two sub-folders or more, one per class, and has {have}:"
            " sort the photographs into one sub-folder per class"
        )
    for child in classes:
        inside = [one for one in walk(child) if not one.hidden]
        if unlisted := next((one for one in inside if one.refused), None):
            log.warning("%s: %s", unlisted.path, unlisted.refused)
        if (files_in := sum(not one.refused for one in inside)) < PARTS:
            raise UserError(
                f"class '{child.name}' in '{folder}' has {files_in} file{'s' * (files_in != 1)}, fewer than the"
                f" {PARTS} parts (training, validation, test): add photographs or take the folder out"
            )
    return folder


def fingerprint(settings: FolderSource) -> str:
    """A short digest of names, sizes and times of all files, so that a changed folder is noticed."""
    return digest(check(settings, labelled=False))


def digest(folder: Path) -> str:
    """The same of any folder; a link that leads nowhere counts as itself."""
    found = hashlib.sha256()
    for one in walk(folder):
        try:
            status = one.path.stat() if one.path.exists() else one.path.lstat()
        except OSError:  # gone meanwhile, or in a folder that can be listed and not entered
            found.update(os.fsencode(one.path))
            continue
        if not one.hidden:
            found.update(os.fsencode(one.path) + f"|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return found.hexdigest()[:16]


def _record(folder: Path, one: Found, labelled: bool) -> dict[str, Any]:
    path = one.path
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
        return shown | refused(Reason("name_not_utf8"))
    if one.refused:
        return record | refused(one.refused)
    if labelled and not label:
        dead = path.is_symlink() and not path.exists()  # a class on a disk that is not connected is no stray file
        return record | refused(Reason("dead_link" if dead else "no_class"))
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for somebody to write into it
            return record | refused(Reason("not_a_file"))
        return record | {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    except OSError as error:
        return record | refused(Reason("unreadable", why=error.strerror))
