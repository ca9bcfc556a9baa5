"""Read photographs of sheets and bring them to 256x256 RGB.

The policy, in one place: decode JPEG at the reduced scale that still leaves twice the target on both
axes, then one antialiased bicubic resize over the exact fractional box, then colour, then orientation.
"""

import functools
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

SIZE = 256  # pixels on a side, Tables 1 and 2
POLICY = "draft2-bicubic-1"  # name and version of the policy above; other pixels need another version
FORMATS = ("JPEG", "PNG", "TIFF")
SHOWN_FORMATS = (*FORMATS, "GIF", "BMP", "WEBP")  # refused ones too; decoded by Pillow without other programs
OVERSAMPLING = 2  # reduced decoding leaves this many times the target: 48 dB or better
PAPER = (255, 255, 255)  # behind transparency, and beside a letterboxed sheet
ORIENTATIONS = {  # value of the EXIF tag -> what makes the picture upright (EXIF 2.3, table 6)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
EXIF_ORIENTATION = 0x0112


class RefusedImageError(Exception):
    """A file that cannot become a row of the image set; the message is the reason."""


@dataclass(frozen=True)
class Sheet:
    """One sheet as read.

    `pixels` is uint8, shape (3, 256, 256), RGB. Width and height are the original's, upright, in pixels.
    """

    pixels: np.ndarray
    width: int
    height: int
    format: str
    mode: str


def read_sheet(data: bytes, fit: str = "squash") -> Sheet:
    """Decode the bytes of a photograph and bring it to 256x256 sRGB.

    `fit` is "squash" (stretch to the square, as the paper did) or "letterbox" (keep the shape).
    Raises RefusedImageError, with the reason, for anything that is not a whole JPEG, PNG or TIFF picture.
    """
    if not data:
        raise RefusedImageError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken EXIF and the like: the pixels decide
            return _read(data, fit)
    except UnidentifiedImageError:
        raise RefusedImageError("not a JPEG, PNG or TIFF image") from None
    except Image.DecompressionBombError:
        raise RefusedImageError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise RefusedImageError(f"broken image: {error}") from None


def _read(data: bytes, fit: str) -> Sheet:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height, mode = *image.size, image.mode
    shape = (SIZE, SIZE)
    if fit == "letterbox":
        longest = max(width, height)
        shape = (max(1, round(SIZE * width / longest)), max(1, round(SIZE * height / longest)))
    # draft() rounds the decoded size up and returns the exact part of it that is the picture; resizing
    # the whole instead would shift the sheet by a fraction of a pixel (8-12 dB).
    draft = image.draft(None, (min(width, OVERSAMPLING * shape[0]), min(height, OVERSAMPLING * shape[1])))
    box = draft[1] if draft else (0, 0, width, height)
    small = _resizable(image).resize(shape, Image.Resampling.BICUBIC, box=box)
    upright = _finished(small, image)
    if image.getexif().get(EXIF_ORIENTATION) in (5, 6, 7, 8):
        width, height = height, width
    if upright.size != (SIZE, SIZE):
        upright = ImageOps.pad(upright, (SIZE, SIZE), color=PAPER)
    pixels = np.ascontiguousarray(np.asarray(upright).transpose(2, 0, 1))
    return Sheet(pixels, width, height, image.format or "", mode)


def open_photograph(path: Path, longest: int) -> Image.Image:
    """Open a photograph to be looked at: upright, sRGB, at most `longest` pixels on its longer side.

    Raises OSError or RefusedImageError for a file that is no whole picture.
    """
    with Image.open(path, formats=SHOWN_FORMATS) as image:
        image.draft(None, (longest, longest))  # a large JPEG is decoded at a fraction of its size
        small = _resizable(image).copy()
        small.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return _finished(small, image)


def _finished(small: Image.Image, original: Image.Image) -> Image.Image:
    """Give a resized picture the colours and the orientation that the original asks for."""
    upright = _to_srgb(small, original.info.get("icc_profile"))
    turn = ORIENTATIONS.get(original.getexif().get(EXIF_ORIENTATION, 1))
    return upright if turn is None else upright.transpose(turn)


def _resizable(image: Image.Image) -> Image.Image:
    """Decode into a mode that can be resampled: no palette, no transparency, 8 bits."""
    image.load()
    if image.mode in ("I", "F"):
        raise RefusedImageError("32-bit pixels: save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (*PAPER, 255)), layer).convert("RGB")
    if image.mode in ("1", "P", "PA"):
        return image.convert("RGB")
    return image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Apply an embedded colour profile; a profile that is broken or of another mode is left aside."""
    if profile:
        try:
            converted = ImageCms.applyTransform(image, _transform(profile, image.mode))
            return converted or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image.convert("RGB")


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
