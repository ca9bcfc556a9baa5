"""Cover parts of a sheet that no network should read: the edge, the label's corner, what surrounds the sheet."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sheetlens.prepare.crop import find_sheet

GREY = 127  # what covers: neither paper nor table, and nothing at all to a network that was trained on (value - 127)
EDGE = 8  # pixels of 256 of the border strip: the ring that the audits read, and what resizing blends into it
CORNER = (0.72, 0.52)  # the label's corner begins at this share of height and width (lower right)
REGIONS = {  # name in the config -> what it is for people
    "border": "the border strip",
    "label": "the label's corner",
    "surround": "what surrounds the sheet: table, ruler, colour bar",
}


def covered(pixels: NDArray[np.uint8], regions: Iterable[str]) -> NDArray[np.uint8]:
    """A copy of a sheet, uint8, shape (3, height, width), with the regions (of REGIONS) covered in GREY."""
    return np.where(find_regions(pixels, regions), np.uint8(GREY), pixels)


def alone(pixels: NDArray[np.uint8], regions: Iterable[str]) -> NDArray[np.uint8]:
    """A copy of a sheet of which nothing but the regions is left."""
    return np.where(find_regions(pixels, regions), pixels, np.uint8(GREY))


def find_regions(pixels: NDArray[np.uint8], regions: Iterable[str]) -> NDArray[np.bool_]:
    """Where the regions lie, bool, shape (height, width). Raises KeyError for one that is not known."""
    found = np.zeros(pixels.shape[1:], bool)
    for region in regions:
        found |= FIND[region](pixels)
    return found


def _border(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found = np.ones(pixels.shape[1:], bool)
    found[EDGE:-EDGE, EDGE:-EDGE] = False
    return found


def _label(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    height, width = pixels.shape[1:]
    found = np.zeros((height, width), bool)
    found[int(CORNER[0] * height) :, int(CORNER[1] * width) :] = True
    return found


def _surround(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    height, width = pixels.shape[1:]
    left, top, right, bottom = find_sheet(Image.fromarray(pixels.transpose(1, 2, 0)))
    found = np.ones((height, width), bool)
    found[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = False
    return found


FIND = {"border": _border, "label": _label, "surround": _surround}
