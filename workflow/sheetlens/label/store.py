"""What is known of the photographs of a labelling: a small picture and the features of each, in one file.

A SQLite database beside the labels. What was read before a kill stays; a photograph that changed is read again.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sheetlens.common.errors import DAMAGE, UserError, kind_of, sentence_for

SCHEMA = """
create table if not exists sheet
    (image_id text primary key, stamp text, reason text, picture blob, features blob) without rowid;
create table if not exists fact (name text primary key, value text);
"""


class Kept(NamedTuple):
    """A photograph as it was read: the picture as JPEG, and float16 features; or the reason why it was refused."""

    image_id: str
    stamp: str  # size and time of the file
    reason: str
    picture: bytes
    features: NDArray[np.float16]


class Store:
    """The database, for any number of threads. It belongs to one backbone: features of two are never mixed."""

    def __init__(self, path: Path, backbone: str) -> None:
        """Open or begin it; features that another backbone read are forgotten.

        Raises UserError, as every use does, for what is no such database or cannot be read or written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no file: move it away")
        self._path, self._lock = path, threading.Lock()
        path.touch()  # with the permissions of the umask: SQLite lets nobody but the owner write a new file
        try:
            self._base = sqlite3.connect(path, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._fault(error) from None
        with self._asking() as base:
            base.execute("pragma journal_mode=wal")
            base.executescript(SCHEMA)
            known = base.execute("select value from fact where name = 'backbone'").fetchone()
            if known and known[0] != backbone:
                base.execute("delete from sheet")
            base.execute("insert or replace into fact values ('backbone', ?)", (backbone,))
            base.execute("select image_id, stamp, reason, picture, features from sheet limit 1")

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        """The database, for one thread at a time."""
        try:
            with self._lock, self._base:
                yield self._base
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise self._fault(error) from None

    def _fault(self, error: Exception) -> UserError:
        damaged = isinstance(error, sqlite3.Error) and kind_of(error) in DAMAGE
        if not damaged and (sentence := sentence_for(error)):
            return UserError(f"{self._path}: {sentence}")
        return self.damaged(str(error))

    def damaged(self, why: str) -> UserError:
        """What to say where it holds what no labelling writes."""
        name = self._path.name
        return UserError(
            f"{self._path} is damaged, or none of a labelling ({why}): delete it, with {name}-wal and {name}-shm if"
            " they are there; the photographs are then read again, and no label is lost"
        )

    def stamps(self) -> dict[str, str]:
        """Stamp of each photograph that was read, by image_id."""
        with self._asking() as base:
            return dict(base.execute("select image_id, stamp from sheet"))

    def features(self) -> dict[str, NDArray[np.float16]]:
        """Features of each photograph that has some, by image_id; all have equally many."""
        with self._asking() as base:
            rows = base.execute("select image_id, features from sheet where reason = ''").fetchall()
            found = {image_id: np.frombuffer(blob, np.float16) for image_id, blob in rows}
            if len({len(features) for features in found.values()}) > 1:
                raise ValueError("features of several lengths")
        return found

    def reasons(self) -> dict[str, str]:
        """Why photographs were refused, by image_id."""
        with self._asking() as base:
            return dict(base.execute("select image_id, reason from sheet where reason != ''"))

    def picture(self, image_id: str) -> bytes | None:
        """The small picture of a photograph, JPEG; None where there is none yet."""
        with self._asking() as base:
            row = base.execute("select picture from sheet where image_id = ?", (image_id,)).fetchone()
        return row[0] if row and isinstance(row[0], bytes) else None

    def add(self, rows: list[Kept]) -> None:
        """Keep what was read of some photographs."""
        with self._asking() as base:
            base.executemany(
                "insert or replace into sheet values (?, ?, ?, ?, ?)",
                [(row.image_id, row.stamp, row.reason, row.picture, row.features.tobytes()) for row in rows],
            )

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._base.close()
