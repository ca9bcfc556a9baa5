"""Read originals in processes of their own, so that no file can take the run down or stall it.

Threads would scale as well, since decoding lets go of the interpreter. But a thread cannot be stopped, and a
decoder that crashes ends all of them. A process can be given limits by the system, and when it dies its file
is refused with the reason and the next process goes on. `Readers` is the near side, `serve` the far side;
between them go JSON lines and pixels, nothing that a hostile file could make the near side execute.
"""

import hashlib
import json
import os
import queue
import resource
import select
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.prepare.resize import OVERSAMPLING, SIZE, RefusedImageError, Sheet, read_sheet

if TYPE_CHECKING:  # a reading process does without the config's libraries
    from sheetlens.config import Limits

ROW = 3 * SIZE * SIZE  # bytes of a row of the image set
PATIENCE = 10  # times the limit of processor time, on the clock: for decoders that sleep, and busy machines
TRIES = 2  # a reader that somebody else ends costs no sheet
PIPE = 2**20  # bytes that fit into a pipe: a row of pixels and more
WORKING = 150  # megabytes of the interpreter and its libraries, beside what a file may take


@dataclass(frozen=True)
class Reading:
    """What became of one original: facts with status and reason, and the pixels of an accepted one."""

    facts: dict[str, Any]
    pixels: bytes = b""


class Readers:
    """A pool of reading processes, safe to call from several threads at once."""

    def __init__(self, workers: int, fit: str, limits: "Limits") -> None:
        """Start the processes; as a context manager, the pool ends them.

        Raises UserError for a `fit` that is not known: it would end every process at its first file.
        """
        if fit not in OVERSAMPLING:
            raise UserError(f"sheets cannot be fitted by '{fit}': use one of {', '.join(OVERSAMPLING)}")
        command = [sys.executable, "-m", "sheetlens.prepare.decoder_processes", fit]
        self._command = [*command, *map(str, (limits.megapixels, limits.megabytes, limits.seconds))]
        self._limits = limits
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        for _ in range(workers):
            self._idle.put(self._start())

    def read(self, record: dict[str, Any], data: bytes | None = None) -> Reading:
        """Read the original of a listing's row, from its path or from `data`, and wait for it.

        The facts hold image_id, sha256, bytes, status ("ok" or "refused"), reason and, of what could be read,
        what `Sheet` tells. Never raises for a file, whatever is in it.
        """
        request = {key: record[key] for key in ("image_id", "path", "sha256")}
        message = json.dumps(request | {"length": -1 if data is None else len(data)}).encode() + b"\n" + (data or b"")
        for _ in range(TRIES):
            reason, reading = self._ask(message)
            if reading:
                return reading
            if "seconds" in reason:
                break
        refused = {"image_id": record["image_id"], "sha256": record["sha256"], "status": "refused", "reason": reason}
        return Reading(refused)

    def _ask(self, message: bytes) -> tuple[str, Reading | None]:
        reader = self._idle.get()
        wait = PATIENCE * self._limits.seconds
        try:
            reading = _exchange(reader, message, wait)
        except TimeoutError:
            self._replace(reader)
            return f"its decoder hung: no answer in {wait} seconds", None
        except (OSError, EOFError):  # it died
            code = self._replace(reader)
            if code == -signal.SIGXCPU:
                return f"takes more than {self._limits.seconds} seconds to decode", None
            return f"its decoder crashed ({signal.Signals(-code).name if code < 0 else code})", None
        self._idle.put(reader)
        return "", reading

    def _replace(self, reader: subprocess.Popen[bytes]) -> int:
        """Start a new process in the place of one that is dead or should be; return what the old one ended with."""
        reader.kill()
        self._all.discard(reader)
        self._idle.put(self._start())
        return reader.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "pipesize": PIPE}
        reader = subprocess.Popen(self._command, **pipes)  # type: ignore[call-overload]  # noqa: S603
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


def _exchange(reader: subprocess.Popen[bytes], message: bytes, wait: float) -> Reading:
    """Send a request and receive the answer. Raises OSError or EOFError when the reader ends, or TimeoutError."""
    assert reader.stdin and reader.stdout  # noqa: S101 - opened as pipes
    reader.stdin.write(message)
    reader.stdin.flush()
    if not select.select([reader.stdout], [], [], wait)[0]:
        raise TimeoutError
    line = reader.stdout.readline()
    facts = json.loads(line) if line.endswith(b"\n") else {"status": "ok"}
    pixels = reader.stdout.read(ROW) if facts["status"] == "ok" else b""
    if facts["status"] == "ok" and len(pixels) < ROW:
        raise EOFError
    return Reading(facts, pixels)


def read_original(request: dict[str, Any], data: bytes | None, fit: str, megapixels: int) -> Reading:
    """Read one original here and now, from its path or from its bytes."""
    facts: dict[str, Any] = {"image_id": request["image_id"], "sha256": request["sha256"]}
    try:
        data = _load(request["path"]) if data is None else data
        found = hashlib.sha256(data).hexdigest()
        if found != (request["sha256"] or found):
            raise RefusedImageError("the file changed after it was listed: run again")
        facts |= {"sha256": found, "bytes": len(data)}
        sheet = read_sheet(data, fit, request["path"], megapixels)
    except RefusedImageError as error:
        return Reading(facts | {"status": "refused", "reason": str(error)})
    except OSError as error:
        return Reading(facts | {"status": "refused", "reason": f"cannot be read: {error.strerror}"})
    except MemoryError:
        return Reading(facts | {"status": "refused", "reason": "needs more memory than one file may take"})
    pixels = sheet.pixels.tobytes()
    digest = hashlib.sha256(pixels).hexdigest()
    return Reading(facts | {"status": "ok", "reason": "", "pixels_sha256": digest} | _told(sheet), pixels)


def _told(sheet: Sheet) -> dict[str, Any]:
    facts = {name: getattr(sheet, name) for name in ("width", "height", "format", "mode", "notes")}
    return (
        facts | dict(zip(("box_left", "box_top", "box_right", "box_bottom"), sheet.box, strict=True)) | sheet.features
    )


def _load(path: str) -> bytes:
    """Read a file, and only a file: opening a pipe or a device must not wait for anybody."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedImageError("not a file but a folder, pipe or device")
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def serve(fit: str, megapixels: int, megabytes: int, seconds: int) -> None:
    """Answer requests on standard input until it closes, within the limits."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the near side decides, and its end closes our input
    Image.MAX_IMAGE_PIXELS = None  # ours is checked instead
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere it does not count what large arrays lie in, and macOS may refuse to set it
        resource.setrlimit(resource.RLIMIT_DATA, ((megabytes + WORKING) * 2**20,) * 2)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["length"]) if request["length"] >= 0 else None
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed = int(used.ru_utime + used.ru_stime) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))
        reading = read_original(request, data, fit, megapixels)
        sys.stdout.buffer.write(json.dumps(reading.facts).encode() + b"\n" + reading.pixels)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(sys.argv[1], *map(int, sys.argv[2:]))
