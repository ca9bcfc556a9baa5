"""Decode photographs: at the smallest scale that is enough, with damage noticed, hostile headers stopped.

JPEG goes through simplejpeg because it passes on the warnings of libjpeg-turbo: Pillow hands out a sheet
with a torn or grey lower half, bad blocks or shifted colours without a word. Everything else is Pillow's.
"""

import io
import math
import re
import struct
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP")
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
OTHERS = {  # how other files begin -> what they are
    rb"GIF8": "a GIF picture",
    rb"BM": "a BMP picture",
    rb"8BPS": "a Photoshop file",
    rb"%PDF": "a PDF document",
    rb"PK\x03\x04": "a ZIP archive",
    rb"\x1f\x8b": "a gzip archive",
    rb"....ftyp": "a HEIC, AVIF or video file",
    rb"\s*(<\?xml[^>]*>\s*)?<svg": "an SVG drawing",
    rb"\s*<(!doctype|html|head|body)": "a web page",
}
JPEG_COLOURS = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # Pillow's mode -> simplejpeg's colours
# What libjpeg-turbo says when picture data are lost; its other warnings are about form.
DAMAGE = re.compile("premature end|bad huffman|instead of rst|extraneous bytes|corrupt jpeg", re.IGNORECASE)
# What a broken header becomes in Pillow's decoders, where numbers turn out to be fractions, lists or nothing.
STUMBLES = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, struct.error)
PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


class RefusedImageError(Exception):
    """A file that cannot become a row of the image set; the message is the reason."""


@dataclass
class Decoded:
    """A decoded photograph, in the colours and the orientation of its file.

    `box` is the exact part of `image` that is the picture (left, top, right, bottom, fractions of pixels).
    Each pixel of `image` is a mean of `averaged` x `averaged` pixels of the picture.
    """

    image: Image.Image
    box: tuple[float, float, float, float]
    averaged: int = 1
    notes: list[str] = field(default_factory=list)


def open_original(data: bytes, megapixels: int = MEGAPIXELS) -> Image.Image:
    """Read the header only. Raises RefusedImageError for anything that is no picture of a usable size."""
    if len(data) < 16:
        raise RefusedImageError(f"the file has only {len(data)} bytes" if data else "the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        what = next((f", but {what}" for start, what in OTHERS.items() if re.match(start, data, re.DOTALL | re.I)), "")
        raise RefusedImageError(f"not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture{what}") from None
    except Image.DecompressionBombError:
        raise RefusedImageError(f"too large: more than {megapixels} megapixels") from None
    width, height = image.size
    if width * height > megapixels * 10**6:
        raise RefusedImageError(f"too large: {width}x{height} pixels, more than {megapixels} megapixels")
    if min(width, height) < LEAST:
        raise RefusedImageError(f"too small: {width}x{height} pixels, less than {LEAST} on a side")
    if max(width, height) > ASPECT * min(width, height):
        raise RefusedImageError(f"too long and narrow: {width}x{height} pixels, more than {ASPECT} to 1")
    if image.format != "TIFF" and getattr(image, "is_animated", False) and image.format != "MPO":
        raise RefusedImageError("an animation: give one picture")
    return image


def decode(data: bytes, original: Image.Image, least: tuple[int, int]) -> Decoded:
    """Decode an opened original to `least` (width, height) pixels or more, as few as the format can.

    The result has 8 bits, no palette, and can be resampled. Raises RefusedImageError for damaged data.
    """
    decoders = {"JPEG": _decode_jpeg, "MPO": _decode_jpeg, "JPEG2000": _decode_jpeg2000}
    try:
        return decoders.get(original.format or "", _decode_whole)(data, original, least)
    except MemoryError:
        raise RefusedImageError("needs more memory than one file may take") from None
    except STUMBLES as error:
        if "truncated" in str(error):
            raise RefusedImageError("truncated: the file ends before the picture does") from None
        raise RefusedImageError(f"damaged: {error}") from None


def wrong_ending(name: str, original: Image.Image) -> bool:
    """Whether a file name claims another format than the file has."""
    ending = name.lower()[name.rfind(".") :] if "." in name else ""
    known = ENDINGS["JPEG" if original.format == "MPO" else original.format or ""]
    return ending in {one for endings in (*ENDINGS.values(), (".gif", ".bmp")) for one in endings} - set(known)


def _decode_jpeg(data: bytes, original: Image.Image, least: tuple[int, int]) -> Decoded:
    """Decode 1, 1/2, 1/4 or 1/8 of the size (what any libjpeg does alike), strictly."""
    width, height = original.size
    most = min(width // least[0], height // least[1])
    factor = max(power for power in (1, 2, 4, 8) if power <= max(1, most))
    reduced = {
        "colorspace": JPEG_COLOURS[original.mode],
        "min_factor": factor,
        "min_width": math.ceil(width / factor),
        "min_height": math.ceil(height / factor),
    }
    notes = []
    try:
        pixels = simplejpeg.decode_jpeg(data, **reduced)
    except ValueError as error:
        if "Premature end of JPEG file" in str(error):
            raise RefusedImageError("truncated: the file ends before the picture does") from None
        if DAMAGE.search(str(error)) and not _is_padding(str(error), data):
            raise RefusedImageError(f"damaged: {error}") from None
        notes.append(f"odd JPEG: {error}")
        pixels = simplejpeg.decode_jpeg(data, **reduced, strict=False)
    if original.mode == "L":
        pixels = pixels[:, :, 0]
    if original.mode == "CMYK" and "adobe" in original.info:
        pixels = 255 - pixels  # Adobe's programs store ink the other way round, and say so by their marker
    image = Image.fromarray(pixels, original.mode)
    return Decoded(image, (0, 0, width / factor, height / factor), factor, notes)


def _is_padding(message: str, data: bytes) -> bool:
    """Whether the bytes that libjpeg-turbo found too many are only filling before the end."""
    count = PADDING.search(message)
    end = data.rfind(b"\xff\xd9")
    return count is not None and not data[end - int(count[1]) : end].strip(b"\0\xff")


def _decode_jpeg2000(data: bytes, original: Image.Image, least: tuple[int, int]) -> Decoded:
    """Decode 1/2, 1/4, ... of the size by leaving wavelet levels out."""
    width, height = original.size
    levels = 0
    while levels < _wavelet_levels(data) and min(width // least[0], height // least[1]) >= 2 ** (levels + 1):
        levels += 1
    original.reduce = levels  # type: ignore[method-assign,assignment]
    decoded = _decode_whole(data, original, least)
    # The low band samples at pixels 0, 2^n, ...: its grid begins half a pixel before the picture's.
    shift, (right, bottom) = (1 - 0.5**levels) / 2, decoded.image.size
    decoded.box = (shift, shift, min(width / 2**levels + shift, right), min(height / 2**levels + shift, bottom))
    return decoded


def _wavelet_levels(data: bytes) -> int:
    """Levels in the first coding style of a JPEG 2000 codestream (ISO 15444-1, A.6.1)."""
    start = data.find(b"\xff\x52")
    return min(data[start + 9], 32) if start >= 0 else 0


def _decode_whole(data: bytes, original: Image.Image, least: tuple[int, int]) -> Decoded:
    original.load()
    image, notes = original, []
    if image.mode in ("I", "F"):
        raise RefusedImageError("32-bit pixels: save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        image, notes = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)), ["16 bits made 8"]
    elif image.mode in ("P", "PA", "LA", "La", "RGBa") or (image.mode != "RGBA" and image.has_transparency_data):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    return Decoded(image, (0, 0, *image.size), notes=notes)
