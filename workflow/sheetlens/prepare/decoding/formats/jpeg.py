"""Decode JPEGs strictly, at a fraction of their size.

JPEG goes through simplejpeg because it passes on the warnings of libjpeg-turbo: Pillow hands out a sheet
with a torn or grey lower half, bad blocks or shifted colours without a word.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from sheetlens.common.refusals import Reason
from sheetlens.prepare.decoding.formats.decoded import Decoded, Original, RefusedImageError

COLOURS = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # Pillow's mode -> simplejpeg's colours
# What libjpeg-turbo says of form alone. It says no more of a JPEG than the first thing, so that what hides behind must
# be asked for without it; whatever it says then is damage: bad codes as well as markers it cannot go on after.
SCANS = "Invalid SOS parameters for sequential JPEG"
TRANSFORM = "Unknown Adobe color transform code"
NEEDLESS = {"unknown JFIF revision number": 0xE0, "bad ICC marker": 0xE2}  # words on a segment that does without
STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
SCAN = range(0xD0, 0xDA)  # markers within the picture data, and that of their end
END, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
FRAMES, ADOBE = (0xC0, 0xC1, 0xC2), 0xEE  # markers of the frame, whose tenth byte counts its colours, and of Adobe
SEQUENTIAL = b"\0\x3f\0"  # first and last coefficient and their bits in a scan of a sequential JPEG (T.81, B.2.3)
# Bytes of text and of padding. Of 100 bytes of picture data, 38 are among them: it is told apart from 8 bytes on.
PLAIN = bytes([*range(32, 127), 9, 10, 13, 0, 0xFF])
NOTHING = np.empty((0, 0, 0), np.uint8)
PADDING, LEAST_TEXT, MOSTLY = b"\0\xff", 8, 0.95


def decode_jpeg(original: Original, least: tuple[int, int]) -> Decoded:
    """Decode 1, 1/2, 1/4 or 1/8 of the size (what any libjpeg does alike), strictly."""
    width, height = original.image.size
    most = min(width // least[0], height // least[1])
    factor = max(power for power in (1, 2, 4, 8) if power <= max(1, most))
    reduced = {
        "colorspace": COLOURS[original.image.mode],
        "min_factor": factor,
        "min_width": math.ceil(width / factor),
        "min_height": math.ceil(height / factor),
    }
    pixels, said = decode_sound(original.data, reduced)
    if original.image.mode == "L":
        pixels = pixels[:, :, 0]
    if original.image.mode == "CMYK" and "adobe" in original.image.info:
        pixels = 255 - pixels  # Adobe's programs store ink the other way round, and say so by their marker
    image = Image.fromarray(pixels, original.image.mode)
    return Decoded(image, (0, 0, width / factor, height / factor), factor, [f"odd JPEG: {said}"] if said else [])


def decode_sound(data: bytes, reduced: dict[str, Any]) -> tuple[np.ndarray, str]:
    """The pixels of a JPEG, and what the decoder said of its form, "" for nothing; refused if it is damaged."""
    found, said = _decode(data, reduced)
    if not said:
        return found, ""
    sound = without_strays(data, said, lambda cleaned: _decode(cleaned, reduced)[1])
    found, remaining = _decode(sound, reduced) if sound is not data else (found, said)
    if "Premature end of JPEG file" in remaining:
        raise RefusedImageError(Reason("truncated"))
    if remaining:
        raise RefusedImageError(Reason("damaged", what=remaining))
    return found, said


def _decode(data: bytes, reduced: dict[str, Any]) -> tuple[np.ndarray, str]:
    """What a strict decoder makes of the data, and what it says of them; no pixels if it says anything."""
    try:
        return simplejpeg.decode_jpeg(data, **reduced), ""
    except ValueError as error:
        return NOTHING, str(error)


def without_strays(data: bytes, said: str, complaint: Callable[[bytes], str]) -> bytes:
    """The same JPEG without what is odd in its form alone.

    These are segments with odd settings, bytes that belong to nothing, and odd settings of its scans. `said` is what
    the decoder said, `complaint` asks it again. Before the end only what is plainly text or padding is taken out: other
    bytes there are picture data left over, because a damaged picture had its blocks too early.
    """
    for words, marker in NEEDLESS.items():
        if words in said:
            data = _tidy_header(data, marker)
            said = complaint(data)
    if TRANSFORM in said:
        data = _known_transform(data)
        said = complaint(data)
    found = STRAY.search(said)
    if found and int(found[2], 16) not in SCAN:
        data = _tidy_header(data)
        said = complaint(data)
    if said == SCANS:
        data = _sequential(data)
        said = complaint(data)
    found = STRAY.search(said)
    if found and int(found[2], 16) == 0xD9:
        end = data.find(END, _header_end(data))
        tail = data[end - int(found[1]) : end]
        if _is_plain(tail):
            return data[: end - len(tail)] + data[end:]
    return data


def _is_plain(tail: bytes) -> bool:
    many = len(tail) >= LEAST_TEXT and sum(byte in PLAIN for byte in tail) >= MOSTLY * len(tail)
    return many or not tail.strip(PADDING)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each segment from the first after the mark of beginning to that of the first scan."""
    at = 2
    while (start := data.find(b"\xff", at)) >= 0 and start + 4 <= len(data):
        kind = data[start + 1]
        if kind in (0x00, 0xFF):
            at = start + 1
            continue
        at = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        yield start, at
        if kind == 0xDA:
            return


def _header_end(data: bytes) -> int:
    return max((end for _, end in _segments(data)), default=2)


def _tidy_header(data: bytes, without: int = -1) -> bytes:
    """The JPEG with nothing between the segments of its header, and none of those `without` which it will do."""
    segments = list(_segments(data))
    kept = (data[start:end] for start, end in segments if data[start + 1] != without)
    return data[:2] + b"".join(kept) + data[segments[-1][1] :] if segments else data


def _known_transform(data: bytes) -> bytes:
    """The JPEG with the colour transform that libjpeg takes for an unknown one: YCCK of four colours, else YCbCr."""
    whole, segments = bytearray(data), list(_segments(data))
    colours = next((data[start + 9] for start, _ in segments if data[start + 1] in FRAMES), 3)
    for start, end in segments:
        if data[start + 1] == ADOBE:
            whole[end - 1] = 2 if colours == 4 else 1
    return bytes(whole)


def _sequential(data: bytes) -> bytes:
    """The JPEG with the settings in each scan that a sequential one has: libjpeg takes no others into account."""
    whole, at = bytearray(data), max((start for start, _ in _segments(data)), default=0)
    while (at := data.find(START_OF_SCAN, at)) >= 0:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        whole[at - len(SEQUENTIAL) : at] = SEQUENTIAL
    return bytes(whole)
