"""What is known of the photographs of a labelling: a small picture and the features of each, in one file.

A SQLite database beside the labels. What was read before a kill stays; a photograph that changed is read again.
"""

import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
        """Open or begin it; features that another backbone read are forgotten."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, check_same_thread=False)
        self._lock = threading.Lock()
        with self._lock, self._base:
            self._base.execute("pragma journal_mode=wal")
            self._base.executescript(SCHEMA)
            known = self._base.execute("select value from fact where name = 'backbone'").fetchone()
            if known and known[0] != backbone:
                self._base.execute("delete from sheet")
            self._base.execute("insert or replace into fact values ('backbone', ?)", (backbone,))

    def stamps(self) -> dict[str, str]:
        """Stamp of each photograph that was read, by image_id."""
        with self._lock:
            return dict(self._base.execute("select image_id, stamp from sheet"))

    def features(self) -> dict[str, NDArray[np.float16]]:
        """Features of each photograph that has some, by image_id."""
        with self._lock:
            rows = self._base.execute("select image_id, features from sheet where reason = ''").fetchall()
        return {image_id: np.frombuffer(blob, np.float16) for image_id, blob in rows}

    def reasons(self) -> dict[str, str]:
        """Why photographs were refused, by image_id."""
        with self._lock:
            return dict(self._base.execute("select image_id, reason from sheet where reason != ''"))

    def picture(self, image_id: str) -> bytes | None:
        """The small picture of a photograph, JPEG; None where there is none yet."""
        with self._lock:
            row = self._base.execute("select picture from sheet where image_id = ?", (image_id,)).fetchone()
        return row[0] if row and row[0] else None

    def add(self, rows: list[Kept]) -> None:
        """Keep what was read of some photographs."""
        with self._lock, self._base:
            self._base.executemany(
                "insert or replace into sheet values (?, ?, ?, ?, ?)",
                [(row.image_id, row.stamp, row.reason, row.picture, row.features.tobytes()) for row in rows],
            )

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._base.close()
