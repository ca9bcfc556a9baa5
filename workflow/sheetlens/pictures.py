"""Pictures for pages that load nothing: as data URIs, refused files included as far as they open."""

import base64
import io
import warnings
from pathlib import Path

from PIL import Image, ImageFile

from sheetlens.images import open_photograph

UNSAFE = ("too large", "needs more memory", "takes more", "its decoder", "not a file")  # how reasons not to look begin


def embed_picture(picture: Image.Image) -> str:
    """Turn a picture into a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80, optimize=True)
    return data_uri("jpeg", buffer.getvalue())


def embed_refused(path: Path, reason: str, longest: int) -> str:
    """A refused file as a data URI as far as it can be shown, torn ones with what is left of them; else "".

    Files that were refused for what decoding them costs are left alone.
    """
    if reason.startswith(UNSAFE):
        return ""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return embed_picture(open_photograph(path, longest))
    except Exception:  # a refused file can fail in any way; its reason stands beside it
        return ""
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def data_uri(kind: str, content: bytes) -> str:
    """Bytes of an image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
