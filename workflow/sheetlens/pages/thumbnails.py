"""Pictures for pages that load nothing: as data URIs, refused files included as far as they open."""

import base64
import io
from pathlib import Path

from PIL import Image

from sheetlens.common.refusals import COSTLY
from sheetlens.config import LIMITS, Limits
from sheetlens.prepare.decoding.decode import RefusedImageError
from sheetlens.prepare.decoding.decoder_processes import shared_readers


def embed_picture(picture: Image.Image) -> str:
    """Turn a picture into a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80, optimize=True)
    return data_uri("jpeg", buffer.getvalue())


def embed_refused(path: Path, code: str, longest: int, limits: Limits = LIMITS) -> str:
    """A refused file as a data URI as far as it can be shown, else ""."""
    picture = open_refused(path, code, longest, limits)
    return embed_picture(picture) if picture else ""


def open_refused(path: Path, code: str, longest: int, limits: Limits) -> Image.Image | None:
    """A refused file as far as it can be shown, a torn one with what is left of it.

    It is decoded by a process with the limits, whatever its reason; `code`, of the reason, only saves the time for
    files that were refused for what decoding them costs.
    """
    if code in COSTLY:
        return None
    try:
        return shared_readers(limits).show(path, longest, torn=True)
    except RefusedImageError:
        return None


def data_uri(kind: str, content: bytes) -> str:
    """Bytes of an image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
