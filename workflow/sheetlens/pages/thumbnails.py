"""Pictures for pages that load nothing: as data URIs, refused files included as far as they open."""

import base64
import io
import threading
import warnings
from pathlib import Path

from PIL import Image, ImageFile

from sheetlens.prepare.resize import open_photograph

UNSAFE = ("too large", "needs more memory", "takes more", "its decoder", "not a file")  # how reasons not to look begin
_lenient = threading.Lock()  # Pillow's leniency is one for all threads


def embed_picture(picture: Image.Image) -> str:
    """Turn a picture into a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80, optimize=True)
    return data_uri("jpeg", buffer.getvalue())


def embed_refused(path: Path, reason: str, longest: int) -> str:
    """A refused file as a data URI as far as it can be shown, else ""."""
    picture = open_refused(path, reason, longest)
    return embed_picture(picture) if picture else ""


def open_refused(path: Path, reason: str, longest: int) -> Image.Image | None:
    """A refused file as far as it can be shown, a torn one with what is left of it.

    Files that were refused for what decoding them costs are left alone.
    """
    if reason.startswith(UNSAFE):
        return None
    with _lenient:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return open_photograph(path, longest)
        except Exception:  # a refused file can fail in any way; its reason stands beside it
            return None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


def data_uri(kind: str, content: bytes) -> str:
    """Bytes of an image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
