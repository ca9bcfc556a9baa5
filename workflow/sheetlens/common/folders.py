"""Walk through a folder so that nothing in it goes unseen: links are followed, what cannot be listed is named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sheetlens.common.refusals import Reason


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or, with `refused`, a folder that could not be listed and why; `hidden` ones are only counted."""

    path: Path
    refused: Reason | None = None
    hidden: bool = False


def walk(folder: Path) -> Iterator[Found]:
    """Files below a folder, sorted by path, with the names of one folder at a time in memory.

    Links to folders are followed, but for one that leads back into a folder it lies in. Of a hidden folder only its
    name is given.
    """
    yield from _walk(folder, ())


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            yield Found(folder, Reason("folder_again"))
            return
        with os.scandir(folder) as found:
            entries = sorted((entry.name + "/" * _is_folder(entry), entry.name) for entry in found)
    except OSError as error:
        yield Found(folder, Reason("folder_unreadable", why=error.strerror or error))
        return
    for shown, name in entries:
        if name.startswith("."):
            yield Found(folder / name, hidden=True)
        elif shown.endswith("/"):
            yield from _walk(folder / name, (*above, here))
        else:
            yield Found(folder / name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False
