"""The far side of `decoder_processes`: a process that decodes what it is asked for, within limits of the system."""

import hashlib
import io
import json
import math
import os
import resource
import signal
import stat
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image

from sheetlens.common.refusals import Reason, refused
from sheetlens.prepare.decoding.decode import FORMATS
from sheetlens.prepare.decoding.formats.jpeg2000 import wavelet_levels
from sheetlens.prepare.decoding.viewing import check_whole, show_photograph
from sheetlens.prepare.resize import RefusedImageError, Sheet, read_sheet

WORKING = 150  # megabytes of the interpreter and its libraries, beside what a file may take
LARGE = 200  # megabytes from which on the near side is asked first whether there is room
PER_PIXEL = 4  # bytes, as Pillow keeps colours
HEADER = 2**16  # bytes, in which JPEG 2000 says how it is coded


@dataclass(frozen=True)
class Reading:
    """What became of one original: facts with status and reason, and the pixels of an accepted one."""

    facts: dict[str, Any]
    pixels: bytes = b""


def read_original(request: dict[str, Any], data: bytes, fit: str, megapixels: int) -> Reading:
    """Read one original here and now, from its bytes."""
    found = hashlib.sha256(data).hexdigest()
    facts: dict[str, Any] = {"image_id": request["image_id"], "sha256": found, "bytes": len(data)}
    if found != (request["sha256"] or found):
        return Reading(facts | {"sha256": request["sha256"]} | refused(Reason("changed")))
    try:
        sheet = read_sheet(data, fit, request["path"], megapixels)
    except RefusedImageError as error:
        return Reading(facts | refused(error.reason))
    pixels = sheet.pixels.tobytes()
    facts |= {"status": "ok", "reason": "", "reason_code": "", "pixels_sha256": hashlib.sha256(pixels).hexdigest()}
    return Reading(facts | _told(sheet), pixels)


def _told(sheet: Sheet) -> dict[str, Any]:
    facts = {name: getattr(sheet, name) for name in ("width", "height", "format", "mode", "notes")}
    return (
        facts | dict(zip(("box_left", "box_top", "box_right", "box_bottom"), sheet.box, strict=True)) | sheet.features
    )


def _show(request: dict[str, Any], data: bytes, megapixels: int) -> Reading:
    picture = show_photograph(data, request["longest"], megapixels, request["torn"])
    return Reading({"status": "ok", "size": picture.size}, picture.tobytes())


def _check(data: bytes, megapixels: int) -> Reading:
    check_whole(data, megapixels)
    return Reading({"status": "ok"})


def _answer(request: dict[str, Any], data: bytes | None, fit: str, megapixels: int) -> Reading:
    """Do what is asked for; whatever is wrong with the file is told."""
    try:
        if data is None:
            data = _load(request["path"])
        else:
            _reserve(megabytes_needed(io.BytesIO(data), len(data)))
        if request["task"] == "show":
            return _show(request, data, megapixels)
        return _check(data, megapixels) if request["task"] == "check" else read_original(request, data, fit, megapixels)
    except RefusedImageError as error:
        reason = error.reason
    except OSError as error:
        reason = Reason("unreadable", why=error.strerror)
    except MemoryError:
        reason = Reason("memory")
    return Reading({"image_id": request.get("image_id"), "sha256": request.get("sha256")} | refused(reason))


def _load(path: str) -> bytes:
    """Read a file, and only a file: opening a pipe or a device must not wait for anybody."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedImageError(Reason("not_a_file"))
    with os.fdopen(descriptor, "rb") as file:
        _reserve(megabytes_needed(file, os.fstat(descriptor).st_size))
        file.seek(0)
        return file.read()


def megabytes_needed(file: BinaryIO, size: int) -> int:
    """What decoding a file will take about, from its header and its size in bytes."""
    try:
        image = Image.open(file, formats=FORMATS)
        needed = math.prod(image.size) * _bytes_per_pixel(image, file)
    except Exception:  # nothing is known of it, such as of a camera raw file: compressed, and three colours
        needed = PER_PIXEL * size
    return (size + needed) // 10**6


def _bytes_per_pixel(image: Image.Image, file: BinaryIO) -> int:
    """What a decoder holds for each pixel."""
    if image.format in ("JPEG", "MPO"):  # decoded at a fraction of its size, but for coefficients that come in scans
        return 2 * len(image.getbands()) if image.info.get("progressive") else 0
    if image.format == "JPEG2000":  # as well, where it has wavelet levels to leave out; else whole numbers
        file.seek(0)
        return PER_PIXEL if wavelet_levels(file.read(HEADER)) else 16
    return 12 if ";16" in f"{image.mode} {getattr(image, 'tile', '')}" else PER_PIXEL


def _reserve(megabytes: int) -> None:
    """Wait until the near side has room for a large file; it answers with a line."""
    if megabytes > LARGE:
        _send({"needs": megabytes})
        sys.stdin.buffer.readline()


def _send(answer: dict[str, Any], pixels: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
    sys.stdout.buffer.flush()


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
        allowed = int(used.ru_utime + used.ru_stime) + 1 + min(seconds, request["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))
        reading = _answer(request, data, fit, megapixels)
        _send({"facts": reading.facts, "length": len(reading.pixels)}, reading.pixels)


if __name__ == "__main__":
    serve(sys.argv[1], *map(int, sys.argv[2:]))
