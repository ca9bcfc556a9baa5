"""Damaged photographs whose header is sound: refused, however little the decoders say of it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sheetlens.prepare.decoding.viewing import check_whole, show_photograph
from sheetlens.prepare.resize import RefusedImageError, read_sheet
from tests.unit.prepare.test_photographs import code
from tests.unit.prepare.test_resize import encode, sheet

SHEET = sheet(300, 450)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def jpeg() -> bytes:
    return encode(SHEET, "JPEG", quality=90)


def spoilt(data: bytes, at: float, with_: bytes) -> bytes:
    place = int(at * len(data))
    return data[:place] + with_ + data[place + len(with_) :]


def odd_scan(data: bytes) -> bytes:
    """The JPEG with a setting of its scan that a sequential one does not have: every decoder passes over it."""
    start = data.index(b"\xff\xda")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return data[: end - 2] + b"\x3e" + data[end - 1 :]


# JPEG


@pytest.mark.parametrize("marker", [b"\xff\x47", b"\xff\xc3", b"\xff\xc4", b"\xff\xdb", b"\xff\xcb", b"\xff\xdd"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_marker_within_the_picture_is_damage(marker, progressive):
    data = spoilt(encode(SHEET, "JPEG", quality=90, progressive=progressive), 0.5, marker)
    assert code(data) in ("damaged", "truncated")
    with pytest.raises(RefusedImageError):
        show_photograph(data, 200)


def test_a_table_that_is_not_there_is_damage():
    data = encode(SHEET, "JPEG", optimize=True)  # the usual tables need not be there
    start = data.index(b"\xff\xc4")
    size = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    assert code(data[:start] + data[start + size :]) == "damaged"


def test_an_odd_setting_of_a_scan_is_noted_and_hides_no_damage():
    read = read_sheet(odd_scan(jpeg()))
    assert read.notes == "odd JPEG: Invalid SOS parameters for sequential JPEG"
    np.testing.assert_array_equal(read.pixels, read_sheet(jpeg()).pixels)
    assert code(odd_scan(spoilt(jpeg(), 0.5, b"\xff\x47"))) == "damaged"
    assert code(odd_scan(jpeg())[:-3000]) == "truncated"


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (b"\xff\xe0\x00\x10JFIF\0\x02\x01\0\0\1\0\1\0\0", "Warning: unknown JFIF revision number 2.01"),
        (b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x07", "Unknown Adobe color transform code 7"),
        (b"\xff\xe2\x00\x15ICC_PROFILE\0\x02\x01abcde", "Corrupt JPEG data: bad ICC marker"),
    ],
)
def test_an_odd_segment_of_the_header_is_noted_and_hides_no_damage(segment, words):
    """A JFIF segment has 18 bytes behind the two that begin the file."""

    def odd(data: bytes) -> bytes:
        return data[:2] + segment + (data[20:] if segment[1] != 0xE2 else data[2:])

    read = read_sheet(odd(jpeg()))
    assert read.notes == f"odd JPEG: {words}"
    np.testing.assert_array_equal(read.pixels, read_sheet(jpeg()).pixels)
    assert code(odd(spoilt(jpeg(), 0.5, b"\xff\x47"))) == "damaged"
    assert code(odd(jpeg())[:-3000]) == "truncated"


# PNG


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: list[bytes], size: tuple[int, int], depth: int, colours: int, interlaced: bool = False) -> bytes:
    """A PNG of some rows, each chunk and sum of which is right."""
    header, data = struct.pack(">IIBBBBB", *size, depth, colours, 0, 0, interlaced), zlib.compress(b"".join(rows))
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colours == 3 else b""
    parts = b"".join(chunk(b"IDAT", data[start : start + 9000]) for start in range(0, len(data), 9000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + parts + chunk(b"IEND", b"")


def rows_of(kind: str) -> tuple[list[bytes], tuple[int, int], int, int, bool]:
    pixels, grey = np.asarray(SHEET), np.asarray(SHEET.convert("L"))
    layers = {"rgb": pixels, "grey": grey, "palette": grey, "deep": pixels.astype(">u2") * 257, "bits": grey}
    if kind == "interlaced":
        rows = [row for x, y, right, down in PASSES for row in pixels[y::down, x::right]]
    else:
        rows = [np.packbits(row > 127) for row in grey] if kind == "bits" else list(layers[kind])
    depth = {"deep": 16, "bits": 1}.get(kind, 8)
    colours = {"grey": 0, "bits": 0, "palette": 3}.get(kind, 2)
    return [b"\0" + row.tobytes() for row in rows], SHEET.size, depth, colours, kind == "interlaced"


@pytest.mark.parametrize("kind", ["rgb", "grey", "palette", "deep", "bits", "interlaced"])
def test_a_png_with_too_few_rows_is_truncated(kind):
    rows, *rest = rows_of(kind)
    whole = png(rows, *rest)
    check_whole(whole)
    show_photograph(whole, 100)
    for share in (0, 0.5, 0.9, 0.99):
        short = png(rows[: int(share * len(rows))], *rest)
        assert code(short) == "truncated"
        with pytest.raises(RefusedImageError, match="truncated"):
            check_whole(short)
        with pytest.raises(RefusedImageError, match="truncated"):
            show_photograph(short, 100)
    assert code(png(rows[:-1], *rest)) == "truncated"


def test_a_png_that_ends_black_is_whole():
    pixels = np.asarray(SHEET).copy()
    pixels[-100:] = 0
    assert read_sheet(encode(Image.fromarray(pixels))).notes == ""
    assert read_sheet(png([b"\0" + row.tobytes() for row in pixels], SHEET.size, 8, 2)).notes == ""


# TIFF


@pytest.mark.parametrize("compression", ["jpeg", "tiff_adobe_deflate", "tiff_deflate"])
def test_damage_within_a_strip_is_refused(compression):
    buffer = io.BytesIO()
    SHEET.save(buffer, "TIFF", compression=compression)
    assert read_sheet(buffer.getvalue()).notes == ""
    assert code(spoilt(buffer.getvalue(), 0.5, bytes(40))) == "damaged"


def test_a_tiff_without_its_directory_is_cut_short():
    data = encode(SHEET, "TIFF", compression="tiff_lzw")
    with pytest.raises(RefusedImageError, match="a TIFF that is cut short"):
        read_sheet(data[: len(data) // 2])
