"""The photographs of a labelling, in the random order that makes honest parts, read in the background."""

import hashlib
import io
import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Limits
from sheetlens.label.store import Kept, Store
from sheetlens.predict.input_list import write_list
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import SIZE
from sheetlens.prepare.shards import in_order
from sheetlens.review.decisions import Entry, name_on_pages, standing

BACKBONE = "features"  # the built-in one (sheetlens.config.networks)
READERS, AHEAD, BATCH = 2, 4, 32
KEY = 16  # hexadecimal digits that stand for a sheet in addresses
log = logging.getLogger(__name__)


class Sheets:
    """All photographs of a folder or table; `table` has image_id, specimen_id, path, key and stamp, in random order.

    The order is that of a hash of the labelling's identity and the image_id: the same for ever, whatever is labelled,
    so that its beginning is a random sample. `features` is float16, shape (n, d), with rows of zeros where `known` is
    still False; `unreadable` are rows whose files turned out to be no photographs.
    """

    def __init__(self, source: Path, folder: Path, run: str, limits: Limits, entries: Iterable[Entry]) -> None:
        """List the photographs into the labelling's folder and take up what was read before.

        Raises UserError where there are none, and where most of `entries`, the decisions made so far, are on others:
        the list that they rest on is then left as it was.
        """
        with _listing(source, folder / "list.parquet") as listed:
            self._arrange(source, folder, run, listed)
            self._compare(entries, folder)
            self.store = Store(folder / "sheets.sqlite", BACKBONE)
        self.known = np.zeros(len(self.table), bool)
        self.features: NDArray[np.float16] = np.zeros((len(self.table), 0), np.float16)
        self.unreadable: set[int] = set()
        self.version = 0  # counts what was read
        self._limits, self._stop, self._changed = limits, threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._take_up()

    def _arrange(self, source: Path, folder: Path, run: str, listed: pd.DataFrame) -> None:
        """Put the photographs that are there in their order; UserError where two have one name."""
        self.refused = listed[listed["status"] != "ok"]
        table = listed[listed["status"] == "ok"].copy()
        table["stamp"] = table["size"] + "|" + table["changed"]
        shown = name_on_pages(run, folder)
        table["key"] = [_digest(f"{shown}/{name}")[:KEY] for name in table["image_id"]]
        order = np.argsort([_digest(f"random/{run}/{name}") for name in table["image_id"]], kind="stable")
        columns = ["image_id", "specimen_id", "path", "key", "stamp"]
        self.table = table.iloc[order][columns].reset_index(drop=True)
        if twice := sorted(set(self.table["image_id"][self.table["image_id"].duplicated()])):
            raise UserError(
                f"{source} gives {len(twice):,} names to more than one photograph ({', '.join(twice[:3])}): make each"
                " image_id name one"
            )
        self.row = dict(zip(self.table["key"], range(len(self.table)), strict=True))
        self.row_of = dict(zip(self.table["image_id"], range(len(self.table)), strict=True))

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.table)

    def bytes_of(self, row: int) -> int:
        """How large a photograph's file is."""
        return int(str(self.table["stamp"].iloc[row]).partition("|")[0] or 0)

    def _compare(self, entries: Iterable[Entry], folder: Path) -> None:
        """Say of whose last decisions the photographs are others now; UserError where these were never labelled."""
        last = {name: list(given.values())[-1] for name, given in standing(entries).items()}
        gone = [name for name in last if name not in self.row_of]
        sized = {name: entry["bytes"] for name, entry in last.items() if name in self.row_of and "bytes" in entry}
        other = [name for name, size in sized.items() if size != self.bytes_of(self.row_of[name])]
        if 2 * len(other) > len(sized) or len(gone) == len(last) > 0:
            raise UserError(
                f"{folder} holds the labels of {len(last):,} other photographs: give those, or another --output"
            )
        if other:
            log.warning("%d labelled photographs have changed, such as %s: look at them again", len(other), other[0])
        if gone:
            log.warning("%d labels are left out, their photographs are not there, such as %s", len(gone), gone[0])

    def start(self) -> None:
        """Read the photographs in the background."""
        self._thread = threading.Thread(target=self._read_all, name="reading", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading; what was read stays."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=30)
        self.store.close()

    def read(self) -> tuple[NDArray[np.float16], NDArray[np.bool_], int]:
        """Features, which rows have them, and the version, as they are now."""
        with self._changed:
            return self.features, self.known.copy(), self.version

    def _take_up(self) -> None:
        stamps = self.store.stamps()
        now = dict(zip(self.table["image_id"], self.table["stamp"], strict=True))
        for image_id, features in self.store.features().items():
            if stamps[image_id] == now.get(image_id):
                self._note(self.row_of[image_id], features)
        for image_id in self.store.reasons():
            if stamps[image_id] == now.get(image_id):
                self.unreadable.add(self.row_of[image_id])

    def _note(self, row: int, features: NDArray[np.float16] | NDArray[np.float32]) -> None:
        if not self.features.shape[1]:
            self.features = np.zeros((len(self.table), len(features)), np.float16)
        self.features[row], self.known[row] = features, True
        self.version += 1

    def _read_all(self) -> None:
        try:
            stamps = self.store.stamps()
            rows: list[Any] = [
                row for row in self.table.to_dict("records") if stamps.get(row["image_id"]) != row["stamp"]
            ]
            if not rows:
                return
            from sheetlens.features.extraction import FeatureReader  # takes seconds to import

            reader = FeatureReader()
            with Readers(READERS, "squash", self._limits) as readers, ThreadPoolExecutor(READERS) as pool:
                waiting = in_order(pool, lambda row: (row, _look(readers, row)), self._until_stopped(rows), AHEAD)
                while some := list(islice(waiting, BATCH)):
                    self._keep(reader, some)
        except UserError as error:
            log.error("%s; the photographs are read no further, labelling goes on in random order", error)
        except Exception:
            log.exception("the photographs are read no further; labelling goes on in random order")

    def _until_stopped(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if self._stop.is_set():
                return
            yield row

    def _keep(self, reader: Any, some: list[tuple[dict[str, Any], Any]]) -> None:
        if self.features.shape[1] not in (0, reader.size):
            raise self.store.damaged(f"features of length {self.features.shape[1]}, not {reader.size}")
        readable = [(row, reading) for row, reading in some if reading.pixels]
        kept = [_refused(row, reading) for row, reading in some if not reading.pixels]
        found = np.empty((0, reader.size), np.float32)
        if readable:
            pixels = np.stack([_pixels(reading.pixels) for _, reading in readable])
            found = reader.read(pixels)
            for (row, _), picture, features in zip(readable, pixels, found, strict=True):
                kept.append(Kept(row["image_id"], row["stamp"], "", _jpeg(picture), features.astype(np.float16)))
        self.store.add(kept)
        with self._changed:
            for (row, _), features in zip(readable, found, strict=True):
                self._note(self.row_of[row["image_id"]], features)
            self.unreadable |= {self.row_of[row["image_id"]] for row, reading in some if not reading.pixels}
            self.version += 1


@contextmanager
def _listing(source: Path, place: Path) -> Iterator[pd.DataFrame]:
    """The list of the photographs, which takes its place when nothing in the block refuses it."""
    new = place.with_name(f".{place.name}")  # hidden: where photographs and labels share a folder it is none of them
    try:
        write_list(source, new)
        yield files.read_table(new)
        new.replace(place)
    finally:
        new.unlink(missing_ok=True)


def _refused(row: dict[str, Any], reading: Any) -> Kept:
    reason = str(reading.facts.get("reason") or "it could not be read")
    return Kept(row["image_id"], row["stamp"], reason, b"", np.empty(0, np.float16))


def _look(readers: Readers, row: dict[str, Any]) -> Any:
    return readers.read({"image_id": row["image_id"], "path": row["path"], "sha256": ""})


def _pixels(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(3, SIZE, SIZE)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
