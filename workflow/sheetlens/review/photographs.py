"""The photographs of a review's sheets, as a page shows them."""

import io

from PIL import Image

from sheetlens.pages.thumbnails import open_refused
from sheetlens.prepare.decode import RefusedImageError
from sheetlens.prepare.decoder_processes import shared_readers
from sheetlens.prepare.image_set import open_pack
from sheetlens.review.queue import Queue

LONGEST, LARGE = 1600, 4800  # pixels on the longer side of a picture, at first and when it is looked at closely


def read_picture(queue: Queue, place: int, longest: int = LONGEST) -> Image.Image:
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
        image = Image.fromarray(open_pack(pack)[sheet["row"]].transpose(1, 2, 0))
    else:
        raise OSError(f"the photograph is not there any more: {sheet['path']}")
    if image is None:
        raise RefusedImageError(sheet["reason"])
    return image.convert("RGB")


def to_jpeg(picture: Image.Image) -> bytes:
    """A picture as it is sent."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
