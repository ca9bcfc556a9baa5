"""Whether a file is what it was fetched for."""

import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sheetlens.fetch.errors import RefusedError

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "JPEG2000", "GIF", "BMP")  # decoded by Pillow without other programs


class BrokenImageError(ValueError):
    """A file that is no whole image; perhaps it is one the next time."""


def check_image(path: Path) -> None:
    """Decode an image once, at the lowest resolution that reads every byte of it.

    Raises BrokenImageError, or RefusedError for one that would unpack to too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken EXIF and the like: the pixels decide
            with Image.open(path, formats=FORMATS) as image:
                image.draft("L", (1, 1))
                image.load()
    except Image.DecompressionBombError:
        raise RefusedError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels") from None
    except UnidentifiedImageError:
        raise BrokenImageError("no image that can be read") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise BrokenImageError(f"broken image: {error}") from None
