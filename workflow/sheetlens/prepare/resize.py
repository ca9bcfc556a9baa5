"""Read photographs of sheets and bring them to 256x256 RGB.

The policy, in one place: decode at the smallest scale that still leaves about twice the target on both axes,
then one antialiased bicubic resize over the exact fractional box, the blur of the reduced decoding taken back,
transparency weighed in and laid on white, then colour (the embedded profile, to sRGB), then orientation. Kernel
and scale were measured: the reduced decoding changes the picture less than the choice between bicubic and
Lanczos does.
"""

import functools
import io
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFilter, ImageOps

from sheetlens.common.refusals import Reason
from sheetlens.prepare.crop import find_sheet
from sheetlens.prepare.decoding.decode import (
    MEGAPIXELS,
    ORIENTATION,
    STUMBLES,
    Decoded,
    Original,
    RefusedImageError,
    check_size,
    decode,
    forget_xmp,
    open_original,
    wrong_ending,
)
from sheetlens.prepare.setup_features import header_features, picture_features

SIZE = 256  # pixels on a side, Tables 1 and 2
POLICY = "reduced-bicubic-3"  # name and version of the policy above; other pixels need another version
OVERSAMPLING = {"squash": 1.9, "letterbox": 1.9, "crop_sheet": 3}  # times the target that decoding leaves at least
SCALE = 1 << 12  # of the sharpening: a power of two, so that its floating-point sums are exact everywhere
BACKGROUND = (255, 255, 255)  # behind transparency, and beside a letterboxed sheet
BLANK, UNIFORM = 1.5, 4.0  # standard deviation of lightness (0 to 255); real sheets have 15 and more
FLAT = 0.93  # share of neighbours that are exactly alike: drawings have it, photographs have noise
ORIENTATIONS = {  # value of the EXIF tag -> what makes the picture upright (EXIF 2.3, table 6)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

__all__ = ["POLICY", "SIZE", "RefusedImageError", "Sheet", "read_sheet"]


@dataclass(frozen=True)
class Sheet:
    """One sheet as read.

    `pixels` is uint8, shape (3, 256, 256), RGB. Width and height are the original's, upright, in pixels.
    `box` is the part that was used (left, top, right, bottom, in pixels of the file as stored, before it is
    turned upright); `notes` say what was out of the ordinary; `features` are those of
    `sheetlens.prepare.setup_features`.
    """

    pixels: np.ndarray
    width: int
    height: int
    format: str
    mode: str
    box: tuple[int, int, int, int]
    notes: str = ""
    features: dict[str, Any] = field(default_factory=dict)


def read_sheet(data: bytes, fit: str = "squash", name: str = "", megapixels: int = MEGAPIXELS) -> Sheet:
    """Decode the bytes of a photograph and bring it to 256x256 sRGB.

    `fit` is "squash" (stretch to the square, as the paper did), "letterbox" (keep the shape) or "crop_sheet"
    (trim the camera's border and colour bar, then stretch). `name` only serves to note a wrong ending.
    Raises RefusedImageError, with the reason, for anything that is not a whole picture of a sheet.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken EXIF and the like: the pixels decide
        try:
            original = open_original(data, megapixels)
            check_size(original)
            return _read(original, fit, name)
        except MemoryError:
            raise RefusedImageError(Reason("memory")) from None
        except STUMBLES as error:
            raise RefusedImageError(Reason("damaged", what=error)) from None


def _read(original: Original, fit: str, name: str) -> Sheet:
    width, height, mode, notes = *original.image.size, original.image.mode, list(original.notes)
    if wrong_ending(name, original):
        notes.append("the file name's ending is another format's")
    shape = (SIZE, SIZE)
    if fit == "letterbox":
        longest = max(width, height)
        shape = (max(1, round(SIZE * width / longest)), max(1, round(SIZE * height / longest)))
    decoded = decode(original, (int(OVERSAMPLING[fit] * shape[0]), int(OVERSAMPLING[fit] * shape[1])))
    exif, remarks = read_exif(original.image)  # afterwards: Pillow would decode a PNG for it, and forget what is wrong
    notes += remarks + decoded.notes
    if decoded.image.mode == "RGBA":
        notes.append("transparency laid on white")
    profile = original.image.info.get("icc_profile")
    turn = still_to_turn(original, exif)
    squashed = to_srgb(_resized(decoded, (SIZE, SIZE), decoded.box), profile)
    whole = upright(squashed, turn)
    _check_picture(whole)
    box: tuple[float, float, float, float] = (0, 0, 1, 1)
    chosen = whole
    if fit == "crop_sheet":
        box = find_sheet(squashed)
        chosen = upright(to_srgb(_resized(decoded, shape, _part(decoded.box, box)), profile), turn)
    elif fit == "letterbox":
        narrow = upright(to_srgb(_resized(decoded, shape, decoded.box), profile), turn)
        chosen = ImageOps.pad(narrow, (SIZE, SIZE), color=BACKGROUND)
    pixels = np.ascontiguousarray(np.asarray(chosen).transpose(2, 0, 1))
    kept = tuple(round(edge * side) for edge, side in zip(box, (width, height) * 2, strict=True))
    if max(turn, original.orientation) > 1:
        notes.append(f"turned by EXIF orientation {max(turn, original.orientation)}")
    if turn in (5, 6, 7, 8):
        width, height = height, width
    features = header_features(original.image, exif) | picture_features(whole)
    return Sheet(pixels, width, height, original.format, mode, kept, "; ".join(notes), features)  # type: ignore[arg-type]


def read_exif(original: Image.Image) -> tuple[Image.Exif, list[str]]:
    """The header's EXIF, or an empty one and a note."""
    forget_xmp(original)
    try:
        exif = original.getexif()
        exif.get_ifd(ExifTags.IFD.Exif)
        return exif, []
    except Exception:  # whatever is wrong with a header, the picture may be right
        return Image.Exif(), ["EXIF cannot be read"]


def still_to_turn(original: Original, exif: Image.Exif) -> int:
    """What is still to be turned: Pillow turns a TIFF itself."""
    found = 1 if original.format == "TIFF" else exif.get(ORIENTATION, original.orientation)
    return found if found in ORIENTATIONS else 1


def _resized(decoded: Decoded, shape: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    small = decoded.image.resize(shape, Image.Resampling.BICUBIC, box=box)
    if decoded.averaged == 1:
        return small
    across, down = (box[2] - box[0]) / shape[0], (box[3] - box[1]) / shape[1]
    return small.filter(_sharpening(_blur(decoded.averaged, across), _blur(decoded.averaged, down)))


def _blur(averaged: int, step: float) -> int:
    """Half the variance that averaging added, in (steps of the result)^2 / SCALE; `step` in decoded pixels."""
    return round(SCALE * (1 - averaged**-2) / (24 * step**2))


def _sharpening(across: int, down: int) -> ImageFilter.Kernel:
    """What takes back a small blur: its share of the second differences is subtracted."""
    middle = SCALE + 2 * across + 2 * down
    return ImageFilter.Kernel((3, 3), (0, -down, 0, -across, middle, -across, 0, -down, 0), SCALE)


def _part(outer: tuple[float, float, float, float], part: tuple[float, float, float, float]) -> Any:
    """A part of a box, given as shares of its width and height (left, top, right, bottom)."""
    left, top, right, bottom = outer
    wide, high = right - left, bottom - top
    return (left + part[0] * wide, top + part[1] * high, left + part[2] * wide, top + part[3] * high)


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    turn = ORIENTATIONS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Lay transparency on white and apply the embedded profile; one that is broken is left aside."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image).convert("RGB")
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


def _check_picture(picture: Image.Image) -> None:
    """Refuse what shows no sheet: blank, nearly uniform, or drawn where a photograph was missing."""
    light = np.asarray(picture.convert("L"))
    spread = float(light.std(dtype=np.float32))
    if spread < BLANK:
        raise RefusedImageError(Reason("blank"))
    if spread < UNIFORM:
        raise RefusedImageError(Reason("uniform"))
    if (light[:, 1:] == light[:, :-1]).mean() > FLAT:
        raise RefusedImageError(Reason("drawing"))
