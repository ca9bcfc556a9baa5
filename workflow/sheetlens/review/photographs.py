"""The photographs of a review's sheets, as a page shows them."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.pages.thumbnails import open_refused
from sheetlens.prepare.decoding.decode import RefusedImageError
from sheetlens.prepare.decoding.decoder_processes import shared_readers
from sheetlens.prepare.image_set import open_image_set
from sheetlens.review.queue import Queue

PICTURE_PIXELS = 1600  # on the longer side of a picture, at first
CLOSE_UP_PIXELS = 4800  # and when it is looked at closely


def read_picture(queue: Queue, place: int, longest: int = PICTURE_PIXELS) -> Image.Image:
    """A sheet's photograph, RGB, its longer side `longest` at most; from the image set where there is no file.

    Of a refused file, what is left of it. Raises OSError or RefusedImageError where there is nothing to show.
    """
    sheet, path = queue.sheets.iloc[place], queue.photograph(place)
    pack = queue.folder / "images/pixels.npy"
    if path:
        refused = "refused" in sheet["reasons"]
        code = sheet.get("reason_code") or ""
        image = (
            open_refused(path, code, longest, queue.limits)
            if refused
            else shared_readers(queue.limits).show(path, longest)
        )
    elif sheet["row"] >= 0 and pack.is_file():
        image = Image.fromarray(prepared(pack, sheet["row"]).transpose(1, 2, 0))
    else:
        raise OSError(f"the photograph is not there any more: {sheet['path']}")
    if image is None:
        raise RefusedImageError(sheet["reason"])
    return image.convert("RGB")


def prepared(pack: Path, row: int) -> NDArray[np.uint8]:
    """A sheet as the image set has it, uint8, shape (3, 256, 256); OSError where that is damaged."""
    try:
        return np.array(open_image_set(pack)[row])
    except (UserError, IndexError) as error:
        raise OSError(f"{pack} is damaged ({error}): let the workflow make it again") from None


def to_jpeg(picture: Image.Image) -> bytes:
    """A picture as it is sent."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
