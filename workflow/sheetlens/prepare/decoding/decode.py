"""Decode photographs: at the smallest scale that is enough, with damage noticed, hostile headers stopped.

What is peculiar to a format stands in `prepare/decoding/formats/`; what is none of them is named for what it is.
"""

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError

from sheetlens.common.refusals import Reason
from sheetlens.prepare.decoding.formats import camera_raw, file_types, png, tiff
from sheetlens.prepare.decoding.formats.decoded import Decoded, Original, RefusedImageError
from sheetlens.prepare.decoding.formats.jpeg import decode_jpeg
from sheetlens.prepare.decoding.formats.jpeg2000 import decode_jpeg2000

__all__ = ["Decoded", "Original", "RefusedImageError", "check_size", "decode", "open_original", "wrong_ending"]

FORMATS = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP")
SHORTEST = 16  # bytes of a file that can be a picture
MEGAPIXELS = 180  # default limit; the largest cameras of collections make 151
LEAST = 128  # pixels on the shorter side: half of what the networks see
ASPECT = 4  # longer side over shorter side; sheets have 1.5, open folders 1.3, rulers and labels more
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "TIFF": (".tif", ".tiff"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf", ".jpc"),
    "WEBP": (".webp",),
}
ORIENTATION = 0x0112  # tag of TIFF and EXIF
XMP = ("xmp", "XML:com.adobe.xmp")  # where Pillow keeps it
# What a broken header becomes in Pillow's decoders, where numbers turn out to be fractions, lists or nothing.
STUMBLES = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error)


def open_original(data: bytes, megapixels: int = MEGAPIXELS) -> Original:
    """Read the header only. Raises RefusedImageError for what is no picture, or one of more than `megapixels`."""
    if len(data) < SHORTEST:
        raise RefusedImageError(Reason("few_bytes", bytes=len(data)) if data else Reason("empty"))
    try:
        original = _open(data, megapixels)
    except Image.DecompressionBombError:
        raise RefusedImageError(Reason("too_large", what="", megapixels=megapixels)) from None
    width, height = original.image.size
    if width * height > megapixels * 10**6:
        raise RefusedImageError(Reason("too_large", what=f"{width}x{height} pixels, ", megapixels=megapixels))
    forget_xmp(original.image)
    return original


def _open(data: bytes, megapixels: int) -> Original:
    directories = tiff.read_directories(data)
    if kind := file_types.name_raw(data) or tiff.raw_kind(directories):
        return camera_raw.open_raw(data, kind, megapixels)
    return _open_tiff(data, directories) if directories else _open_other(data)


def forget_xmp(image: Image.Image) -> None:
    """Let Pillow not turn a sheet by what XMP says alone: browsers and libvips follow EXIF only."""
    for key in XMP:
        image.info.pop(key, None)


def check_size(original: Original) -> None:
    """Refuse what has no usable size or shape, or several pictures."""
    image = original.image
    width, height = image.size
    if min(width, height) < LEAST:
        raise RefusedImageError(Reason("too_small", width=width, height=height, least=LEAST))
    if max(width, height) > ASPECT * min(width, height):
        raise RefusedImageError(Reason("too_narrow", width=width, height=height, aspect=ASPECT))
    if original.format != "TIFF" and getattr(image, "is_animated", False) and image.format != "MPO":
        raise RefusedImageError(Reason("animation"))


def _open_tiff(data: bytes, directories: list[tiff.Directory]) -> Original:
    page, notes = tiff.choose_page(directories)
    if page is not directories[0]:
        data = tiff.begin_with(data, page)
    try:
        image = tiff.open_page(data, page)
    except UnidentifiedImageError:
        raise RefusedImageError(Reason("unread_tiff", what=tiff.describe(page))) from None
    turned = image.tag_v2.get(ORIENTATION, 1)  # type: ignore[attr-defined]
    return Original(data, image, "TIFF", notes, turned if isinstance(turned, int) else 1)


def _open_other(data: bytes) -> Original:
    if odd := file_types.odd_jpeg(data):
        raise RefusedImageError(Reason("unread_jpeg", what=odd))
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        what = file_types.name_other(data)
        raise RefusedImageError(Reason("not_a_picture", what=f", but {what}" if what else "")) from None
    return Original(data, image, "JPEG" if image.format == "MPO" else image.format or "")


def decode(original: Original, least: tuple[int, int]) -> Decoded:
    """Decode an opened original to `least` (width, height) pixels or more, as few as the format can.

    The result has 8 bits, no palette, and can be resampled. Raises RefusedImageError for damaged data.
    """
    decoders: dict[str, Callable[[Original, tuple[int, int]], Decoded]]
    decoders = {"JPEG": decode_jpeg, "MPO": decode_jpeg, "JPEG2000": decode_jpeg2000, "TIFF": _decode_tiff}
    try:
        decoded = decoders.get(original.image.format or "", _decode_whole)(original, least)
        return _with_eight_bits(decoded)
    except MemoryError:
        raise RefusedImageError(Reason("memory")) from None
    except STUMBLES as error:
        if "truncated" in str(error):
            raise RefusedImageError(Reason("truncated")) from None
        raise RefusedImageError(Reason("damaged", what=error)) from None


def wrong_ending(name: str, original: Original) -> bool:
    """Whether a file name claims another format than the file has."""
    ending = name.lower()[name.rfind(".") :] if "." in name else ""
    known = ENDINGS.get(original.format, (ending,))
    return ending in {one for endings in (*ENDINGS.values(), (".gif", ".bmp")) for one in endings} - set(known)


def load(original: Original) -> None:
    """Decode all of it; OSError, or another of STUMBLES, where something of it is not there."""
    original.image.load()
    if original.format == "PNG":
        png.check_rows(original.data, original.image)


def _decode_whole(original: Original, least: tuple[int, int]) -> Decoded:
    load(original)
    return Decoded(original.image, (0, 0, *original.image.size))


def _decode_tiff(original: Original, least: tuple[int, int]) -> Decoded:
    (directory, *_), image = tiff.read_directories(original.data), original.image
    try:
        image.load()
    except STUMBLES:
        if directory.compression in tiff.ORDINARY:
            raise
        raise RefusedImageError(Reason("unread_tiff", what=tiff.describe(directory))) from None
    tiff.check_pieces(original.data, directory)
    notes = []
    if original.orientation == 1 and (rows := tiff.blank_tail(image, directory)):
        notes.append(f"the last {rows} of {image.height} rows are exactly 0: perhaps the file was cut short")
    if image.mode.startswith("I;16"):
        deep = np.asarray(image)
        if directory.bits < 16:
            deep = deep << (16 - directory.bits)
        if directory.photometric == 0:
            deep = ~deep
        image = Image.fromarray((deep >> 8).astype(np.uint8))
        notes.append(f"{directory.bits} bits made 8")
    return Decoded(image, (0, 0, *image.size), notes=notes)


def _with_eight_bits(decoded: Decoded) -> Decoded:
    image = decoded.image
    if image.mode in ("I", "F"):
        raise RefusedImageError(Reason("bits"))
    if image.mode.startswith("I;16"):
        decoded.image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        decoded.notes.append("16 bits made 8")
    elif image.mode in ("P", "PA", "LA", "La", "RGBa") or (image.mode != "RGBA" and image.has_transparency_data):
        decoded.image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode == "1":
        decoded.image = image.convert("L")
    return decoded
