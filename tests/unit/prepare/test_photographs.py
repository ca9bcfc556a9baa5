"""Photographs of odd kinds: read for what they are, or refused by a sentence that names them. None goes in wrong."""

import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from sheetlens.prepare.decoding.decode import RefusedImageError
from sheetlens.prepare.decoding.formats.jpeg import without_strays
from sheetlens.prepare.resize import read_sheet
from tests.unit.prepare.test_resize import encode, psnr, reference, sheet
from tests.unit.prepare.tiffs import camera_raw, page, write_tiff

SHEET = sheet(300, 450)
PIXELS = np.asarray(SHEET)
DEEP = PIXELS.astype(np.uint16) * 257
GREY = np.asarray(SHEET.convert("L"))
THUMBNAIL = np.asarray(SHEET.resize((150, 225)))[::-1]  # upside down, to be told from the sheet


def code(data: bytes, name: str = "") -> str:
    with pytest.raises(RefusedImageError) as refused:
        read_sheet(data, name=name)
    return refused.value.reason.code


# JPEG 2000


@pytest.mark.parametrize("size", [(1945, 2918), (1001, 1503), (1031, 997), (1536, 2304)])
def test_jpeg_2000_of_any_size_is_read_at_a_fraction(size):
    picture = sheet(*size)
    read = read_sheet(encode(picture, "JPEG2000"))
    assert (read.width, read.height) == size
    assert psnr(read.pixels, reference(picture)) > 40


# PNG


def damaged_png(picture: Image.Image, at: float, **options) -> bytes:
    """A PNG with zeros in its data; the checksum of the chunk agrees, or does not."""
    data = bytearray(encode(picture, "PNG", **options))
    place = int(at * len(data))
    data[place : place + 200] = bytes(200)
    return bytes(data)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_png_with_a_damaged_block_is_refused(at, mode):
    assert code(damaged_png(SHEET.convert(mode), at)) in ("damaged", "truncated")


def test_a_png_whose_checksums_agree_with_its_damage_is_refused():
    data = encode(SHEET, "PNG")
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    body = bytearray(data[start : start + 4 + length])
    body[length // 2 : length // 2 + 500] = bytes(500)
    forged = data[:start] + bytes(body) + struct.pack(">I", zlib.crc32(body)) + data[start + 8 + length :]
    assert code(forged) in ("damaged", "truncated")


# TIFF


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_16_bits_in_planes_are_those_of_one(order):
    for planar in (True, False):
        read = read_sheet(write_tiff(page(DEEP, 2, order, planar), order=order))
        np.testing.assert_array_equal(read.pixels, reference(SHEET))


def test_cmyk_of_16_bits_in_planes_is_that_of_one():
    ink = np.asarray(SHEET.convert("CMYK")).astype(np.uint16) * 257
    one, planes = (read_sheet(write_tiff(page(ink, 5, planar=planar))).pixels for planar in (False, True))
    np.testing.assert_array_equal(one, planes)


def test_white_is_zero_is_no_negative():
    positive = read_sheet(write_tiff(page(GREY.astype(np.uint16) * 257, 1)))
    negative = read_sheet(write_tiff(page(65535 - GREY.astype(np.uint16) * 257, 0)))
    np.testing.assert_array_equal(positive.pixels, negative.pixels)
    assert psnr(positive.pixels, reference(SHEET.convert("L"))) > 45
    eight = read_sheet(write_tiff(page(255 - GREY, 0)))
    np.testing.assert_array_equal(eight.pixels, reference(SHEET.convert("L")))


def test_white_is_zero_that_cannot_be_read_is_refused():
    deep = 65535 - GREY.astype(np.uint16) * 257
    assert code(write_tiff(page(deep, 0, ">"), order=">")) == "unread_tiff"


def test_twelve_bits_are_not_nearly_black():
    twelve = GREY.astype(np.uint16) * 16
    packed = np.zeros((GREY.shape[0], GREY.shape[1] // 2, 3), np.uint8)
    first, second = twelve[:, ::2], twelve[:, 1::2]
    packed[..., 0], packed[..., 1] = first >> 4, (first & 15) << 4 | second >> 8
    packed[..., 2] = second & 255
    tags, _ = page(GREY, 1, _258=(3, 12))
    read = read_sheet(write_tiff((tags, [packed.tobytes()])))
    assert read.notes == "12 bits made 8"
    assert psnr(read.pixels, reference(SHEET.convert("L"))) > 45


@pytest.mark.parametrize(
    "data",
    [
        write_tiff(page(THUMBNAIL, 2, _254=(4, 1)), page(PIXELS, 2)),
        write_tiff(page(THUMBNAIL, 2), page(PIXELS, 2)),  # nothing says that it is one
        write_tiff(page(THUMBNAIL, 2, _255=(3, 2)), page(PIXELS, 2, _255=(3, 1))),
        write_tiff(page(THUMBNAIL, 2, _254=(4, 1)), page(PIXELS, 2, _254=(4, 0)), inner={1: 0}),
        write_tiff(page(THUMBNAIL, 2, ">", _254=(4, 1)), page(PIXELS, 2, ">"), inner={1: 0}, order=">"),
    ],
)
def test_the_thumbnail_of_a_tiff_is_not_taken_for_the_sheet(data):
    read = read_sheet(data)
    assert (read.width, read.height) == (300, 450)
    assert read.notes == "the first picture of the TIFF is a smaller one: the largest is used"
    np.testing.assert_array_equal(read.pixels, reference(SHEET))


def test_a_pyramid_below_the_sheet_changes_nothing():
    data = write_tiff(page(PIXELS, 2), page(THUMBNAIL, 2, _254=(4, 1)), inner={1: 0})
    assert read_sheet(data).notes == ""
    np.testing.assert_array_equal(read_sheet(data).pixels, reference(SHEET))


def test_of_several_pages_the_first_is_used_and_that_is_noted():
    read = read_sheet(write_tiff(page(PIXELS, 2), page(PIXELS[::-1], 2), page(THUMBNAIL, 2)))
    assert read.notes == "the first of 2 pages of the TIFF"
    np.testing.assert_array_equal(read.pixels, reference(SHEET))


@pytest.mark.parametrize("compression", [34712, 50002, 34887, 34661, 33003, 7777])
def test_odd_compressions_are_named(compression):
    tags, strips = page(PIXELS, 2, _259=(3, compression))
    with pytest.raises(RefusedImageError, match=f"compression {compression}") as refused:
        read_sheet(write_tiff((tags, strips)))
    assert refused.value.reason.code == "unread_tiff"


@pytest.mark.parametrize("deep", [False, True])
def test_rows_that_were_never_written_are_noted(deep):
    pixels = (DEEP if deep else PIXELS).copy()
    pixels[300:] = 0
    assert "the last 150 of 450 rows are exactly 0" in read_sheet(write_tiff(page(pixels, 2))).notes
    assert "exactly 0" not in read_sheet(write_tiff(page(PIXELS, 2))).notes


def test_rows_that_were_never_written_are_noted_where_zero_is_white():
    pixels = 255 - GREY
    pixels[400:] = 0
    assert "the last 50 of 450 rows are exactly 0" in read_sheet(write_tiff(page(pixels, 0))).notes


def test_a_tiff_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    for options in ({}, {"compression": "tiff_lzw"}):
        read = read_sheet(encode(SHEET, "TIFF", exif=exif, **options))
        assert (read.width, read.height, read.notes) == (450, 300, "turned by EXIF orientation 6")
        np.testing.assert_array_equal(read.pixels, reference(SHEET.rotate(-90, expand=True)))


# Camera raw files, and what else is no photograph here


def nef() -> bytes:
    preview, sensor = page(THUMBNAIL[:120, :160], 2, _254=(4, 1), _271=(2, b"NIKON CORPORATION")), page(GREY, 32803)
    return write_tiff(preview, sensor, inner={1: 0})


RAW = {
    "Nikon NEF": nef(),
    "Adobe DNG": write_tiff(page(THUMBNAIL, 2, _254=(4, 1), _50706=(1, 1, 4, 0, 0)), page(GREY, 34892), inner={1: 0}),
    "Sony ARW": write_tiff(page(PIXELS, 2, _271=(2, b"SONY")), page(GREY, 1, _259=(3, 32767)), inner={1: 0}),
    "Canon CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(400),
    "Canon CR3": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(400),
    "Olympus ORF": b"IIRO\x08\0\0\0" + bytes(400),
    "Panasonic RW2": b"IIU\0\x18\0\0\0" + bytes(400),
    "Fujifilm RAF": b"FUJIFILMCCD-RAW 0201" + bytes(400),
}


@pytest.mark.parametrize("kind", RAW)
def test_camera_raw_files_are_named_and_no_preview_is_taken_for_the_sheet(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)  # as where the extra is not installed
    with pytest.raises(RefusedImageError) as refused:
        read_sheet(RAW[kind])
    assert refused.value.reason.code == "camera_raw"
    assert str(refused.value).startswith(f"a camera raw file ({kind}): export it as TIFF or JPEG")


def test_what_libraw_cannot_read_is_named_too():
    pytest.importorskip("rawpy", reason="the extra `raw` is not installed")
    with pytest.raises(RefusedImageError, match=r"a camera raw file \(Nikon NEF\) that LibRaw cannot read"):
        read_sheet(RAW["Nikon NEF"])


@pytest.mark.parametrize("flip", [1, 6])
def test_a_camera_raw_file_is_developed(flip):
    pytest.importorskip("rawpy", reason="the extra `raw` is not installed")
    read = read_sheet(camera_raw(flip=flip))
    assert (read.format, read.width, read.height) == ("RAW", *((200, 300) if flip == 1 else (300, 200)))
    assert "developed from a raw file (Adobe DNG)" in read.notes
    light = read.pixels.mean(axis=0)
    corners = {"upper left": light[:60, :60], "upper right": light[:60, -60:], "lower left": light[-60:, :60]}
    darkest = min(corners, key=lambda name: corners[name].mean())
    assert darkest == ("upper left" if flip == 1 else "upper right")


def twelve_bit_jpeg() -> bytes:
    data = encode(SHEET, "JPEG")
    frame = data.index(b"\xff\xc0")
    return data[: frame + 4] + b"\x0c" + data[frame + 5 :]


@pytest.mark.parametrize(
    ("data", "named", "expected"),
    [
        (b"\xff\x0a" + bytes(600), "a JPEG XL picture: export it as TIFF or JPEG", "not_a_picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(600), "a JPEG XL picture: export", "not_a_picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(600), "a HEIC picture: export", "not_a_picture"),
        (b"\0\0\0\x18ftypavif\0\0\0\0" + bytes(600), "an AVIF picture: export", "not_a_picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(600), "a video file", "not_a_picture"),
        (b"8BPS\0\x01" + bytes(600), "a Photoshop file: export", "not_a_picture"),
        (b"II\xbc\x01" + bytes(600), "a JPEG XR picture: export", "not_a_picture"),
        (b"%PDF-1.7\n" + bytes(600), "a PDF document: export", "not_a_picture"),
        (b'{"error": "not found"}', "a JSON document", "not_a_picture"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page", "not_a_picture"),
        (b"Image not found on this server", "a text", "not_a_picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS", "not_a_picture"),
        (twelve_bit_jpeg(), "12 bits a colour", "unread_jpeg"),
        (encode(SHEET, "JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1), "a lossless one", "unread_jpeg"),
    ],
)
def test_other_files_are_named_for_what_they_are(data, named, expected):
    with pytest.raises(RefusedImageError) as refused:
        read_sheet(data)
    assert refused.value.reason.code == expected
    assert named in str(refused.value)


# JPEG


def strays_before(marker: bytes, count: int) -> bytes:
    data = encode(SHEET, "JPEG")
    at = data.index(marker)
    return data[:at] + b"\x01" * count + data[at:]


@pytest.mark.parametrize(
    ("marker", "count"), [(b"\xff\xdb", 4), (b"\xff\xc4", 16), (b"\xff\xda", 1), (b"\xff\xc0", 40)]
)
def test_bytes_that_belong_to_nothing_before_the_tables_lose_no_sheet(marker, count):
    read = read_sheet(strays_before(marker, count))
    assert f"{count} extraneous bytes before marker 0x{marker[1]:02x}" in read.notes
    np.testing.assert_array_equal(read.pixels, read_sheet(encode(SHEET, "JPEG")).pixels)


@pytest.mark.parametrize(
    "tail", [b"maker data " * 18, b"\0" * 500, b"DJI\0" + b" gimbal 12.5 deg\0" * 9, b"\0\0\1\0 exposure 1/125 s"]
)
def test_what_a_camera_writes_before_the_end_loses_no_sheet(tail):
    data = encode(SHEET, "JPEG")
    read = read_sheet(data[:-2] + tail + data[-2:])
    assert "0xd9" in read.notes
    np.testing.assert_array_equal(read.pixels, read_sheet(data).pixels)


def test_picture_data_left_over_before_the_end_are_damage():
    """A damaged picture often has its blocks too early; what is left over looks like data, not like text."""
    random, data, found = np.random.default_rng(0), encode(sheet(600, 900), "JPEG", quality=90), 0
    start = data.index(b"\xff\xda") + 20
    for _ in range(40):
        broken = bytearray(data)
        at = int(random.integers(start, len(data) - 200))
        broken[at : at + 64] = bytes(64)
        try:
            assert "extraneous" not in read_sheet(bytes(broken)).notes
        except RefusedImageError as error:
            found += "0xd9" in str(error)
    assert found >= 5


def test_strays_hide_no_damage_behind_them():
    data = bytearray(strays_before(b"\xff\xdb", 4))
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    assert code(bytes(data)) == "damaged"


def test_without_strays_leaves_a_sound_file_alone():
    data = encode(SHEET, "JPEG")
    assert without_strays(data, "", lambda _: "") == data


# Orientation


def with_xmp(kind: str, value: int) -> bytes:
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>{value}</tiff:Orientation></x:xmpmeta>'.encode()
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return encode(SHEET, "PNG", pnginfo=info)
    if kind == "TIFF":
        return write_tiff(page(PIXELS, 2, _700=(1, *xmp)))
    return encode(SHEET, kind, xmp=xmp)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_that_only_xmp_states_turns_no_sheet(kind):
    read = read_sheet(with_xmp(kind, 6))
    assert (read.width, read.height, read.notes) == (300, 450, "")
    assert psnr(read.pixels, reference(SHEET)) > 28
