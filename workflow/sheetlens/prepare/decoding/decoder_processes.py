"""Read originals in processes of their own, so that no file can take the run down or stall it.

Threads would scale as well, since decoding lets go of the interpreter. But a thread cannot be stopped, and a
decoder that crashes ends all of them. A process can be given limits by the system, and when it dies its file
is refused with the reason and the next process goes on. `Readers` is the near side, `decoder_worker` the far
side; between them go JSON lines and pixels, nothing that a hostile file could make the near side execute.
"""

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason, refused
from sheetlens.prepare.decoding.decoder_worker import Reading
from sheetlens.prepare.resize import OVERSAMPLING, SIZE, RefusedImageError

if TYPE_CHECKING:  # a decoding process does without the config's libraries
    from sheetlens.config import Limits

ROW = 3 * SIZE * SIZE  # bytes of a row of the image set
PATIENCE = 10  # times the limit of processor time, on the clock: for decoders that sleep, and busy machines
TRIES, KILLS = 2, 20  # of a file whose reader crashes; of one whose reader is killed from outside, which costs no sheet
FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
PIPE = 2**20  # bytes that fit into a pipe: a row of pixels and more
TOGETHER = 4  # processes that a program shares for single looks
GLANCE = 10  # seconds of processor time that showing a refused file may take


class Readers:
    """A pool of decoding processes, safe to call from several threads at once."""

    def __init__(self, workers: int, fit: str, limits: "Limits") -> None:
        """Take the number of processes, which start when they are needed; as a context manager, the pool ends them.

        Raises UserError for a `fit` that is not known: it would end every process at its first file.
        """
        if fit not in OVERSAMPLING:
            raise UserError(f"sheets cannot be fitted by '{fit}': use one of {', '.join(OVERSAMPLING)}")
        command = [sys.executable, "-m", "sheetlens.prepare.decoding.decoder_worker", fit]
        self._command = [*command, *map(str, (limits.megapixels, limits.megabytes, limits.seconds))]
        self._limits = limits
        self._room = Room(limits.megabytes_together)
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        for _ in range(workers):
            self._idle.put(None)

    def read(self, record: dict[str, Any], data: bytes | None = None) -> Reading:
        """Read the original of a listing's row, from its path or from `data`, and wait for it.

        The facts hold image_id, sha256, bytes, status ("ok" or "refused"), reason and, of what could be read,
        what `Sheet` tells. Never raises for a file, whatever is in it.
        """
        request = {key: record[key] for key in ("image_id", "path", "sha256")}
        return self._repeat({"task": "read", **request}, data)

    def show(self, path: Path, longest: int, torn: bool = False) -> Image.Image:
        """A photograph to be looked at, RGB, upright, at most `longest` pixels on its longer side.

        With `torn` a refused one, as far as there is something to see within GLANCE seconds.
        Raises RefusedImageError where there is nothing to show.
        """
        asked = {"task": "show", "path": os.fspath(path), "longest": longest, "torn": torn}
        reading = self._repeat(asked | ({"seconds": GLANCE} if torn else {}))
        if not reading.pixels:
            raise RefusedImageError(Reason.of(reading.facts))
        return Image.frombytes("RGB", reading.facts["size"], reading.pixels)

    def check(self, path: Path) -> None:
        """Raise RefusedImageError for a file that is no whole picture."""
        reading = self._repeat({"task": "check", "path": os.fspath(path)})
        if reading.facts["status"] != "ok":
            raise RefusedImageError(Reason.of(reading.facts))

    def _repeat(self, request: dict[str, Any], data: bytes | None = None) -> Reading:
        """Ask until a process answers; a file that costs too much, or ends every process, is refused."""
        request = {"seconds": self._limits.seconds, "length": -1 if data is None else len(data)} | request
        message = json.dumps(request).encode() + b"\n" + (data or b"")
        found, ended = self._ask(message, request["seconds"])
        tries = 1
        while ended is not None and tries < (KILLS if ended in FROM_OUTSIDE else TRIES):
            found, ended = self._ask(message, request["seconds"])
            tries += 1
        if isinstance(found, Reading):
            return found
        return Reading({"image_id": request.get("image_id"), "sha256": request.get("sha256")} | refused(found))

    def _ask(self, message: bytes, seconds: int) -> tuple[Reading | Reason, int | None]:
        """The answer of a process; and what it ended with, if another may do better."""
        reader = self._idle.get() or self._start()
        wait = PATIENCE * self._limits.seconds
        try:
            reading = _exchange(reader, message, wait, self._room)
        except TimeoutError:
            self._replace(reader)
            return Reason("hung", seconds=wait), None
        except (OSError, EOFError):  # it died
            code = self._replace(reader)
            if code == -signal.SIGXCPU:
                return Reason("slow", seconds=min(seconds, self._limits.seconds)), None
            return Reason("crashed", signal=signal.Signals(-code).name if code < 0 else code), code
        self._idle.put(reader)
        return reading, None

    def _replace(self, reader: subprocess.Popen[bytes]) -> int:
        """End a process that is dead or should be, and make its place free; return what it ended with."""
        reader.kill()
        self._all.discard(reader)
        self._idle.put(None)
        reader.communicate()
        return reader.returncode

    def _start(self) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "pipesize": PIPE}
        try:
            reader = subprocess.Popen(self._command, **pipes)  # type: ignore[call-overload]  # noqa: S603
        except OSError:
            self._idle.put(None)  # its place stays free
            raise
        self._all.add(reader)
        return reader

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *fault: object) -> None:
        """End the processes."""
        for reader in self._all:
            reader.kill()
            reader.communicate()


@lru_cache
def shared_readers(limits: "Limits") -> Readers:
    """The processes that a program shares for single files that it checks or shows; they end when it does."""
    return Readers(TOGETHER, "squash", limits)


class Room:
    """Memory for several files at a time: who needs more than is left waits; the largest go alone."""

    def __init__(self, megabytes: int) -> None:
        """Take what there is."""
        self._all = self._left = megabytes
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, megabytes: int) -> Iterator[None]:
        """Wait for room and keep it for the length of the block."""
        megabytes = min(megabytes, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= megabytes)
            self._left -= megabytes
        try:
            yield
        finally:
            with self._changed:
                self._left += megabytes
                self._changed.notify_all()


def _exchange(reader: subprocess.Popen[bytes], message: bytes, wait: float, room: Room) -> Reading:
    """Send a request and receive the answer. Raises OSError or EOFError when the process ends, or TimeoutError."""
    assert reader.stdin and reader.stdout  # noqa: S101 - opened as pipes
    reader.stdin.write(message)
    reader.stdin.flush()
    answer = _receive(reader, wait)
    if "needs" not in answer:
        return _reading(reader, answer)
    with room.hold(answer["needs"]):
        reader.stdin.write(b"\n")
        reader.stdin.flush()
        return _reading(reader, _receive(reader, wait))


def _receive(reader: subprocess.Popen[bytes], wait: float) -> dict[str, Any]:
    assert reader.stdout  # noqa: S101
    if not select.select([reader.stdout], [], [], wait)[0]:
        raise TimeoutError
    line = reader.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer: dict[str, Any] = json.loads(line)
    return answer


def _reading(reader: subprocess.Popen[bytes], answer: dict[str, Any]) -> Reading:
    assert reader.stdout  # noqa: S101
    pixels = reader.stdout.read(answer["length"])
    if len(pixels) < answer["length"]:
        raise EOFError
    return Reading(answer["facts"], pixels)
