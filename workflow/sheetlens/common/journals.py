"""Journals: files that only grow, line by line. They are opened, recovered and added to here and nowhere else.

A kill or a full disk leaves at most the beginning of a last line. What a computation wrote is computed again, so that
its torn end is cut off. What people wrote is not: nothing of it is cut off without a copy beside it.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from sheetlens.common import files
from sheetlens.common.errors import UserError

FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class MovedError(UserError, OSError):
    """A journal is not where it was: what is added would be written where nobody looks for it."""


class GrowingFile:
    """A file that only grows, held against other processes until it is closed; `end` is where its last line ends.

    `lasting`: each addition is on the disk before it is confirmed, and what is cut off is kept beside it.
    """

    def __init__(self, path: Path, lasting: bool = False) -> None:
        """Open or begin it. UserError for what is no file, for a link, and where another process writes it."""
        if lasting:
            refuse_links(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.end, self._lasting = path, 0, lasting
        self._file = _open(path)
        try:
            files.keep_others_out(self._file, path)
            if lasting:
                if os.fstat(self._file.fileno()).st_nlink > 1:
                    raise UserError(
                        f"{path} has a second name (a hard link), where all that is decided here would stand as well:"
                        " put a copy of it in its place"
                    )
                _sync_folder(path.parent)  # else a file that has just begun may be gone after a power cut
        except BaseException:
            self._file.close()
            raise

    def size(self) -> int:
        """Bytes in the file, whoever wrote them."""
        return os.fstat(self._file.fileno()).st_size

    def read_from(self, start: int) -> bytes:
        """What stands there from a byte on."""
        self._file.seek(start)
        return self._file.read()

    def lines(self) -> Iterator[bytes]:
        """Each line from the beginning of the file on, up to the first that is not whole (a power cut leaves zeros)."""
        self._file.seek(0)
        with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
            yield from takewhile(_is_object, lines)

    def append(self, data: bytes) -> None:
        """Add whole lines; when this returns a kill cannot undo them, nor a power cut those of a lasting journal.

        Raises OSError where they could not be written (nothing of them stays), and MovedError where somebody has put
        another file in the journal's place or cut it.
        """
        self.check_place()
        try:
            files.write_all(self._file, data)
            if self._lasting:
                os.fsync(self._file.fileno())
            self.check_place()
        except OSError:
            with suppress(OSError):  # the disk may be gone: what stays is recovered before the next addition
                os.ftruncate(self._file.fileno(), self.end)
            raise
        self.end += len(data)

    def cut(self, end: int) -> Path | None:
        """Cut off what stands behind `end`; where the journal is lasting return the copy beside it."""
        torn, copy = self.read_from(end) if self._lasting else b"", None
        if torn:
            copy = _write_beside(self.path, torn)
        os.ftruncate(self._file.fileno(), end)
        self.end = end
        return copy

    def close(self) -> None:
        """Close it and let others in."""
        self._file.close()

    def check_place(self) -> None:
        """Raise MovedError where the file is not, or no longer whole, where it was opened."""
        mine = os.fstat(self._file.fileno())
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino) or mine.st_size < self.end:
            raise MovedError(
                f"{self.path} was moved away, replaced or cut by another program: put it back, or start again"
            )


def recover(journal: GrowingFile, head: bytes, batch: int = 1) -> int:
    """Make a computation's journal whole: lines that belong to `head`, its first line; return how many follow it.

    Lines count by whole batches. A torn end is cut off, and a journal with another head is begun anew.
    """
    end = position = done = 0
    for number, line in enumerate(journal.lines()):
        if number == 0 and line != head:
            break
        position += len(line)
        if number % batch == 0:
            end, done = position, number
    journal.cut(end)
    if not end:
        journal.append(head)
    return done


def _is_object(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}\n")


def refuse_links(path: Path) -> None:
    """Raise UserError where a file, or its folder, is a link: it may lead to where something else is kept."""
    for place in (path.parent, path):
        if place.is_symlink():
            raise UserError(_linked(place))


def _linked(path: Path) -> str:
    return f"{path} is a link: put the file or folder itself in its place, so that it cannot be lost"


def _open(path: Path) -> BinaryIO:
    try:
        file = os.fdopen(os.open(path, FLAGS, 0o666), "r+b", buffering=0)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(_linked(path)) from None
        if error.errno in (errno.EISDIR, errno.ENXIO):
            raise UserError(f"{path} is no file: move it away") from None
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UserError(f"{path} is no file: move it away")
    return file


def _write_beside(path: Path, data: bytes) -> Path:
    """Keep bytes in a new file beside a journal, on the disk when this returns."""
    for number in range(1, 10_000):
        copy = path.with_name(f"{path.name}.cut-{number}")
        with suppress(FileExistsError), copy.open("xb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                copy.unlink()
                raise
            _sync_folder(path.parent)
            return copy
    raise UserError(f"there are 9,999 copies of torn ends beside {path}: move them away")


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; some network disks cannot, and need not."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(place)
    finally:
        os.close(place)
