"""Read originals as they arrive, so that they need not stay: `fetch` hands each one over and drops it."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from sheetlens.common.files import ROW_GROUP
from sheetlens.config import Images
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.shards import Shard, belongs, finished_shards, read_journal


class Intake:
    """Takes originals in any order and from several threads, into shards of 8,192 that a kill does not undo.

    The image set made of the shards has the same bytes as one made of originals on disk.
    """

    def __init__(self, folder: Path, images: Images, workers: int) -> None:
        """Go on in `folder`; what another policy or fit left there is dropped."""
        self._folder, self._images = folder, images
        for stem in finished_shards(folder):
            if not belongs(stem, images.fit):
                for ending in (".jsonl", ".pixels"):
                    stem.with_name(stem.name + ending).unlink(missing_ok=True)
        self._lock = threading.Lock()
        self._shard = self._open()
        self._readers = Readers(workers, images.fit, images.limits)

    def take(self, record: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        """Read the bytes of a listing's row (image_id, path, sha256 or ""); return what became of them.

        When it returns, the original is no longer needed. Never raises for what is in a file.
        """
        reading = self._readers.read(dict(record), data)
        with self._lock:
            self._shard.append(reading)
            if len(self._shard) >= ROW_GROUP:
                self._shard.finish()
                self._shard = self._open()
        return reading.facts

    def lacking(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Those rows of a listing whose originals have not been taken yet."""
        taken = dict(self._shard.known)
        for stem in finished_shards(self._folder):
            taken |= {facts["image_id"]: facts["sha256"] for facts in read_journal(stem)}
        return (row for row in rows if taken.get(row["image_id"]) != row["sha256"])

    def finish(self) -> None:
        """Finish the last shard; the image set can be put together then."""
        with self._lock:
            self._shard.finish()

    def _open(self) -> Shard:
        numbers = [int(stem.name) for stem in finished_shards(self._folder)]
        return Shard(self._folder / f"{max(numbers, default=-1) + 1:05}", self._images.fit)

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *fault: object) -> None:
        """End the readers and close the files; what was taken stays for the next run."""
        self._readers.__exit__(*fault)
        self._shard.close()
