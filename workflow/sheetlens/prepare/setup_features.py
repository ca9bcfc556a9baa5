"""Set-up features: what a photograph tells about the camera, the light and the software that made it.

A network can learn them in place of the plant; the audits look for that. All are read from the header or
from the picture as the network sees it, 256x256, so that they cost next to nothing.
"""

import functools
import hashlib
import io
import math
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

STRIP = 4  # pixels of 256 that count as the border
PAPER_QUANTILES = (0.70, 0.95)  # quantiles of lightness between which the paper lies: no plant, no blown-out spots
TEXT = 80  # longest text kept of a header
SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
LUMINANCE = np.array(  # ITU-T T.81, table K.1
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
     51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
     120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip


def header_features(original: Image.Image, exif: Image.Exif) -> dict[str, Any]:
    """What the header tells: JPEG tables and quality, camera, date, software, colour profile.

    `jpeg_quality` is that of the Independent JPEG Group's tables nearest to the file's (1 to 100), NaN for
    other formats; `jpeg_tables` the first 16 digits of the SHA-256 of all tables; texts are "" where unknown.
    """
    tables = getattr(original, "quantization", None) or {}
    bytes_of_tables = b"".join(np.asarray(tables[key], "<u2").tobytes() for key in sorted(tables))
    sampled = bool(tables) and getattr(original, "layers", 0) == 3
    return {
        "jpeg_quality": _quality(bytes_of_tables[:128]) if tables else math.nan,
        "jpeg_tables": hashlib.sha256(bytes_of_tables).hexdigest()[:16] if tables else "",
        "subsampling": SUBSAMPLING.get(JpegImagePlugin.get_sampling(original), "other") if sampled else "",
        "exif_make": _text(exif.get(ExifTags.Base.Make)),
        "exif_model": _text(exif.get(ExifTags.Base.Model)),
        "exif_datetime": _text(
            exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        ),
        "exif_software": _text(exif.get(ExifTags.Base.Software)),
        "icc": profile_name(original.info.get("icc_profile") or b""),
    }


def picture_features(picture: Image.Image) -> dict[str, float]:
    """What an upright 256x256 RGB picture of the whole photograph tells.

    border_red, _green, _blue: median of the outermost pixels (0 to 255). sharpness: variance of the
    Laplacian of lightness (squared grey levels). balance_red, balance_blue: mean of the paper relative to green.
    """
    pixels, grey = np.asarray(picture), picture.convert("L")
    inner = np.s_[STRIP:-STRIP]
    edges = (pixels[:STRIP], pixels[-STRIP:], pixels[inner, :STRIP], pixels[inner, -STRIP:])
    border = np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), axis=0)
    light = np.asarray(grey).astype(np.int16)
    laplacian = 4 * light[1:-1, 1:-1] - light[:-2, 1:-1] - light[2:, 1:-1] - light[1:-1, :-2] - light[1:-1, 2:]
    share = np.cumsum(grey.histogram()) / light.size
    darkest, lightest = (int(np.searchsorted(share, quantile)) for quantile in PAPER_QUANTILES)
    paper = grey.point([255 * (darkest <= level <= lightest) for level in range(256)])
    red, green, blue = np.reshape(picture.histogram(paper), (3, 256)) @ np.arange(256)
    return {
        **dict(zip(("border_red", "border_green", "border_blue"), border.tolist(), strict=True)),
        "sharpness": round(float(laplacian.astype(np.float32).var(dtype=np.float64)), 3),
        "balance_red": round(float(red / max(green, 1)), 4),
        "balance_blue": round(float(blue / max(green, 1)), 4),
    }


@functools.lru_cache(maxsize=256)
def profile_name(profile: bytes) -> str:
    """The description of a colour profile, "" without one, "unreadable" for a broken one."""
    if not profile:
        return ""
    try:
        return _text(ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "unreadable"


@functools.lru_cache(maxsize=256)
def _quality(table: bytes) -> float:
    """The quality whose table (jcparam.c of libjpeg) is nearest to a luminance table in natural order."""
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables = np.clip((LUMINANCE * scale[:, None] + 50) // 100, 1, 255)
    distance = np.abs(tables - np.frombuffer(table, "<u2").astype(int)).sum(axis=1)
    return float(qualities[distance.argmin()])


def _text(value: Any) -> str:
    """A header's text in one line of printable characters."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    printable = "".join(letter if letter.isprintable() else " " for letter in str(value or ""))
    return " ".join(printable.split())[:TEXT]
