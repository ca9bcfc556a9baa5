"""Camera raw files: read by LibRaw where it is installed (the extra `raw`), named for what they are where it is not."""

import io
import math

from PIL import Image

from sheetlens.common.refusals import Reason
from sheetlens.prepare.decoding.formats.decoded import Original, RefusedImageError

FULL = 0.9  # share of the sensor's width from which an embedded JPEG counts as the photograph itself
TURNS = {3: 3, 5: 8, 6: 6}  # LibRaw's `flip` -> EXIF orientation


def open_raw(data: bytes, kind: str, megapixels: int) -> Original:
    """The JPEG of full size that a camera put into its raw file, else what LibRaw develops.

    Raises RefusedImageError where LibRaw is not installed, cannot read the file, or it is too large.
    """
    try:
        import rawpy
    except ImportError:
        raise RefusedImageError(Reason("camera_raw", what=kind)) from None
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            width, height = raw.sizes.width, raw.sizes.height
            if width * height > megapixels * 10**6:
                what = f"{width}x{height} pixels, "
                raise RefusedImageError(Reason("too_large", what=what, megapixels=megapixels))
            orientation = TURNS.get(raw.sizes.flip, 1)
            if embedded := _embedded(raw, math.ceil(FULL * width)):
                image = Image.open(io.BytesIO(embedded), formats=("JPEG",))
                notes = [f"the camera's own JPEG in a raw file ({kind})"]
                return Original(embedded, image, "RAW", notes, orientation)
            pixels = raw.postprocess(use_camera_wb=True, user_flip=0, output_bps=8)
    except rawpy.LibRawError as error:
        raise RefusedImageError(Reason("odd_raw", what=kind, why=_said(error))) from None
    return Original(data, Image.fromarray(pixels), "RAW", [f"developed from a raw file ({kind})"], orientation)


def _embedded(raw, width: int) -> bytes:  # type: ignore[no-untyped-def] # rawpy has no types
    """The embedded JPEG, if it is that wide; else b""."""
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return b""
    if thumbnail.format != rawpy.ThumbFormat.JPEG:
        return b""
    with Image.open(io.BytesIO(thumbnail.data), formats=("JPEG",)) as image:
        return bytes(thumbnail.data) if max(image.size) >= width else b""


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
