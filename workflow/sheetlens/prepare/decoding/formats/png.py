"""Whether a PNG holds all of its rows: Pillow hands out one whose data end early as if the others were black."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from sheetlens.prepare.decoding.formats.deflate import inflated

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type (PNG, table 11.1)
# First column and row of each pass of an interlaced PNG and the steps between them (PNG, section 8.2).
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_rows(data: bytes, image: Image.Image) -> None:
    """Raise OSError where the data of a decoded PNG end before its last row does."""
    chunks = list(_chunks(data))
    *_, header = (body for kind, body in chunks if kind == b"IHDR")  # the last is Pillow's
    interlaced = header[12:13] > b"\0"
    # A row that was not filled is exactly 0: the data are counted only where the last one is, or where rows mix.
    if not interlaced and np.asarray(image.crop((0, image.height - 1, *image.size))).any():
        return
    size = _size(header, *image.size)
    if inflated(b"".join(body for kind, body in chunks if kind == b"IDAT"), size) < size:
        raise OSError("image file is truncated: it has too few rows")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to the end of the first picture's data."""
    at, before = 8, b""
    while at + 8 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 8 + int.from_bytes(data[at : at + 4], "big")
        if before == b"IDAT" != kind:
            return
        yield kind, data[at + 8 : end]
        at, before = end + 4, kind


def _size(header: bytes, width: int, height: int) -> int:
    """Bytes of all rows: each pass has a byte before each of its rows."""
    bits = header[8] * CHANNELS[header[9]]
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in PASSES]
    passes = sizes if header[12] else [(width, height)]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in passes if columns > 0 and rows > 0)
