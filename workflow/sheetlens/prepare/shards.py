"""Shards: parts of an image set that jobs write side by side, each a journal and the pixels it speaks of.

A shard under way is two files that only grow, `{stem}.jsonl.part` and `{stem}.pixels.part`. What stands in
them when a job is killed is kept, and the next run reads only the rest: a kill costs the originals in flight.
A finished shard has the names without `.part`, and its journal is sorted by image_id.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from sheetlens.common import files
from sheetlens.common.journals import GrowingFile
from sheetlens.config import Limits
from sheetlens.prepare.decoding.decoder_processes import ROW, Readers, Reading
from sheetlens.prepare.resize import POLICY

Result = TypeVar("Result")
AHEAD = 8  # originals in flight for each worker: memory stays flat however many there are


class Shard:
    """One shard: append readings, then finish. Opened again after a kill, it knows what it has."""

    def __init__(self, stem: Path, fit: str) -> None:
        """Open or begin the shard; what another policy or fit left is begun anew."""
        self.journal, self.pixels = (stem.with_name(stem.name + ending) for ending in (".jsonl", ".pixels"))
        self.known: dict[str, str] = {}  # what an earlier run read: image_id -> SHA-256 of its original
        self._count = self._accepted = 0
        self._last, self._sorted = "", True
        head = _head(fit)
        self._lines, self._rows = GrowingFile(_part(self.journal)), GrowingFile(_part(self.pixels))
        self._recover(head)

    def _recover(self, head: bytes) -> None:
        """Keep the whole lines that have their pixels, and cut off the rest."""
        saved = self._rows.size() // ROW
        lines, end = self._lines.lines(), 0
        if next(lines, b"") == head:
            end = len(head)
            for line in lines:
                facts = json.loads(line)
                if facts["status"] == "ok" and self._accepted == saved:
                    break
                self.known[facts["image_id"]] = facts["sha256"]
                self._note(facts)
                end += len(line)
        self._lines.cut(end)
        self._rows.cut(self._accepted * ROW)
        if not end:
            self._lines.append(head)

    def _note(self, facts: dict[str, Any]) -> None:
        self._count += 1
        self._accepted += facts["status"] == "ok"
        self._sorted &= facts["image_id"] > self._last
        self._last = facts["image_id"]

    def __contains__(self, record: dict[str, Any]) -> bool:
        """Whether an earlier run has read the original of a listing's row."""
        return self.known.get(record["image_id"]) == record["sha256"]

    def __len__(self) -> int:
        """Number of originals read."""
        return self._count

    def append(self, reading: Reading) -> None:
        """Add what became of an original, out of this process's hands: a kill does not undo it."""
        self._rows.append(reading.pixels)  # first, so that each line has its pixels
        self._lines.append(json.dumps(reading.facts | {"row": self._accepted}).encode() + b"\n")
        self._note(reading.facts)

    def finish(self) -> None:
        """Sort the journal and give the files their names. Of several readings of an original the last counts."""
        self.close()
        if not self._sorted:
            _sort_lines(_part(self.journal))
        _part(self.pixels).replace(self.pixels)
        _part(self.journal).replace(self.journal)

    def close(self) -> None:
        """Close the files; what was appended stays for the next run."""
        self._lines.close()
        self._rows.close()

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *fault: object) -> None:
        """Close the files, also after `finish`."""
        self.close()


def write_shard(
    listing: Path,
    part: int,
    parts: int,
    stem: Path,
    fit: str,
    limits: Limits,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Read part number `part` (from 0) of `parts` of a listing's originals into a shard, in the listing's order.

    Rows that the listing itself refuses are left to the image set's manifest.
    """
    total = files.count_rows(listing)
    start, stop = part * total // parts, (part + 1) * total // parts
    with Shard(stem, fit) as shard, Readers(workers, fit, limits) as readers, ThreadPoolExecutor(workers) as pool:
        rows = (row for row in files.read_rows(listing, start, stop) if row["status"] == "ok" and row not in shard)
        for reading in in_order(pool, readers.read, rows, AHEAD * workers):
            shard.append(reading)
            progress(len(shard), stop - start)
        shard.finish()


def read_journal(stem: Path) -> Iterator[dict[str, Any]]:
    """What became of each original of a finished shard, sorted by image_id; `row` is its place in the pixels."""
    with stem.with_name(stem.name + ".jsonl").open("rb") as lines:
        next(lines)
        yield from map(json.loads, lines)


def finished_shards(folder: Path) -> list[Path]:
    """The finished shards in a folder, without their endings, in the order of their names."""
    return [path.with_suffix("") for path in sorted(folder.glob("*.jsonl"))]


def belongs(stem: Path, fit: str) -> bool:
    """Whether a finished shard was made by the policy of today and with this fit."""
    with stem.with_name(stem.name + ".jsonl").open("rb") as lines:
        return lines.readline() == _head(fit)


def _head(fit: str) -> bytes:
    """The first line of a journal."""
    return json.dumps({"policy": POLICY, "fit": fit}).encode() + b"\n"


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Any], Result], items: Iterable[Any], ahead: int
) -> Iterator[Result]:
    """Results in the order of the items, never more than `ahead` of them under way."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _sort_lines(journal: Path) -> None:
    """Sort a journal by image_id after its first line, keeping the last line of each."""
    ordered, offsets = journal.with_suffix(".sorted"), dict[str, int]()
    with journal.open("rb") as lines, ordered.open("wb") as to:
        to.write(lines.readline())
        offset = lines.tell()
        while line := lines.readline():
            offsets[json.loads(line)["image_id"]] = offset
            offset += len(line)
        for _, offset in sorted(offsets.items()):
            lines.seek(offset)
            to.write(lines.readline())
    ordered.replace(journal)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")
