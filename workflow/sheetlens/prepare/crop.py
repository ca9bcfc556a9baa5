"""Find the sheet in a photograph: without the camera's border, ruler and colour bar."""

import numpy as np
from PIL import Image

OUTER = 0.25  # at most this share is trimmed on each side
NEAR = 30  # largest difference from the paper's colour that still counts as paper, in any channel (0 to 255)
BARE = 0.10  # a row or column with less paper than this lies outside: no plant covers a sheet from edge to edge


def find_sheet(picture: Image.Image) -> tuple[float, float, float, float]:
    """The box of the sheet (left, top, right, bottom), as shares of width and height.

    `picture` is a small RGB picture of the whole photograph. The sheet begins inside the innermost row or
    column, within the outer quarter on each side, that shows hardly any paper. Where border and paper are
    alike nothing is trimmed: better too much border than too little plant.
    """
    pixels = np.asarray(picture).astype(np.int16)
    height, width = pixels.shape[:2]
    centre = pixels[height // 6 : -height // 6, width // 6 : -width // 6].reshape(-1, 3)
    light = centre.sum(axis=1)
    paper = np.median(centre[light >= np.quantile(light, 0.6)], axis=0)
    near = np.abs(pixels - paper).max(axis=2) <= NEAR
    (left, right), (top, bottom) = _inside(near.mean(axis=0)), _inside(near.mean(axis=1))
    return (left, top, right, bottom)


def _inside(shares: np.ndarray) -> tuple[float, float]:
    """Where the sheet begins and ends along one side, from the share of paper in each row or column."""
    length = len(shares)
    outside = np.flatnonzero(shares < BARE)
    before, after = outside[outside < OUTER * length], outside[outside >= (1 - OUTER) * length]
    first = before.max() + 1 if len(before) else 0
    last = after.min() if len(after) else length
    return float(first / length), float(last / length)
