"""What the decoders of all formats give, and how they refuse."""

from dataclasses import dataclass, field

from PIL import Image

from sheetlens.common.refusals import RefusedFileError


class RefusedImageError(RefusedFileError):
    """A file that cannot become a row of the image set; the message is the reason."""


@dataclass
class Original:
    """An opened photograph, not decoded yet: `image` has read its header only.

    `data` are the bytes to decode from, which are not always the file's own: a TIFF may begin with a thumbnail, and
    a camera raw file holds a JPEG. `orientation` is the EXIF value that makes it upright, as far as `image` does
    not do so by itself.
    """

    data: bytes
    image: Image.Image
    format: str
    notes: list[str] = field(default_factory=list)
    orientation: int = 1


@dataclass
class Decoded:
    """A decoded photograph, in the colours and the orientation of its file.

    `box` is the exact part of `image` that is the picture (left, top, right, bottom, fractions of pixels).
    Each pixel of `image` is a mean of `averaged` x `averaged` pixels of the picture.
    """

    image: Image.Image
    box: tuple[float, float, float, float]
    averaged: int = 1
    notes: list[str] = field(default_factory=list)
