"""Photographs to be looked at, and files to be checked: what a process of its own does beside reading sheets."""

import io
import math
import warnings

from PIL import Image, ImageFile

from sheetlens.common.refusals import Reason
from sheetlens.prepare.decoding.decode import (
    MEGAPIXELS,
    ORIENTATION,
    STUMBLES,
    RefusedImageError,
    decode,
    load,
    open_original,
)
from sheetlens.prepare.decoding.formats.jpeg2000 import decode_jpeg2000
from sheetlens.prepare.resize import read_exif, still_to_turn, to_srgb, upright

WHOLE_JPEG2000 = 9 * 10**7  # pixels: OpenJPEG takes 16 bytes for each, and a reader may take 2 GB
TORN_FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP")  # refused files too; decoded without other programs


def show_photograph(data: bytes, longest: int, megapixels: int = MEGAPIXELS, torn: bool = False) -> Image.Image:
    """A photograph to be looked at: upright, sRGB, at most `longest` pixels on its longer side.

    With `torn` a damaged one is shown with what is left of it, and other formats as far as Pillow opens them.
    Raises RefusedImageError for what cannot be shown. Not to be called from two threads at once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ImageFile.LOAD_TRUNCATED_IMAGES = torn
        try:
            return _torn(data, longest, megapixels) if torn else _whole(data, longest, megapixels)
        except MemoryError:
            raise RefusedImageError(Reason("memory")) from None
        except (*STUMBLES, Image.DecompressionBombError) as error:
            raise RefusedImageError(Reason("damaged", what=error)) from None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


def _whole(data: bytes, longest: int, megapixels: int) -> Image.Image:
    original = open_original(data, megapixels)
    width, height = original.image.size
    scale = min(1, longest / max(width, height))
    shape = (max(1, round(scale * width)), max(1, round(scale * height)))
    decoded = decode(original, shape)
    small = decoded.image.resize(shape, Image.Resampling.LANCZOS, box=decoded.box, reducing_gap=2.0)
    profile = original.image.info.get("icc_profile")
    return upright(to_srgb(small, profile), still_to_turn(original, read_exif(original.image)[0]))


def _torn(data: bytes, longest: int, megapixels: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=TORN_FORMATS) as image:
        if image.width * image.height > megapixels * 10**6:
            raise RefusedImageError(Reason("too_large", what="", megapixels=megapixels))
        image.draft(None, (longest, longest))  # a large JPEG is decoded at a fraction of its size
        image.load()
        small = image.convert("RGBA") if image.has_transparency_data or image.mode == "P" else image.copy()
        small.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return upright(to_srgb(small, image.info.get("icc_profile")), read_exif(image)[0].get(ORIENTATION, 1))


def check_whole(data: bytes, megapixels: int = MEGAPIXELS) -> None:
    """Decode a file once, at the lowest resolution that reads every byte of it.

    Raises RefusedImageError for what is no picture, too large, or breaks off. Whether the picture is fit for an
    image set is not asked here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken EXIF and the like: the pixels decide
        try:
            original = open_original(data, megapixels)
            original.image.draft("L", (1, 1))
            if original.image.format == "JPEG2000" and math.prod(original.image.size) > WHOLE_JPEG2000:
                decode_jpeg2000(original, (512, 512))
            else:
                load(original)
        except MemoryError:
            raise RefusedImageError(Reason("memory")) from None
        except STUMBLES as error:
            raise RefusedImageError(Reason("broken_image", what=error)) from None
