"""Ways to look at a sheet, so that a turned, mirrored, bordered or cropped copy is seen like its original.

The sheet is cut out of the photograph where its edge is found, turned so that its ink lies where that of any of the
eight ways to lay it does, and looked at whole and somewhat from nearer, as a copy that was cropped shows it. Beside
these views stands the photograph as it is.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from sheetlens.duplicates.signatures import COARSE, brightness, shrink
from sheetlens.prepare.crop import find_sheet

INSETS = (0.0, 0.05, 0.1)  # shares cut off on each side
TRIMMED = 0.02  # a found edge nearer than this to the photograph's is its own
FINE = 64  # pixels on a side, on which ink is found
BLUR = 2.0  # pixels: what is wider is light and paper
DARKEST = 0.98  # quantile of the ink that counts as full
MARGIN = 5  # pixels at the edge that are no sheet, perhaps
UNSURE = 0.01  # of half a side: a centre of the ink as near to an axis as this may lie on either side of it
DOWN, ACROSS, TRANSPOSED = 1, 2, 4  # how a view is turned: flipped upside down, left to right, after transposing


@dataclass(frozen=True)
class View:
    """A way to look at a sheet: the photograph as it is, or cut out (`boxed`), then turned, then from nearer."""

    boxed: bool = False
    turned: int = 0
    inset: float = 0.0


def find_views(sheet: np.ndarray) -> tuple[list[View], np.ndarray]:
    """The views of a sheet, uint8, shape (3, 256, 256), and how it looks small: float32, shape (views, COARSE, COARSE).

    There are more views where it is not clear how the ink lies.
    """
    picture = _cut_out(sheet)
    views, small = [View()], [shrink(brightness(sheet), COARSE)]
    for inset in INSETS:
        near = _stretch(picture, _inner(picture, inset), FINE, Image.Resampling.BOX)
        for turned in _orientations(near):
            views.append(View(True, turned, inset))
            small.append(_turn(shrink(near, COARSE), turned))
    return views, np.stack(small)


def look(sheet: np.ndarray, view: View) -> np.ndarray:
    """Brightness of a sheet, uint8, shape (3, side, side), in a view: float32, shape (side, side)."""
    if not view.boxed:
        return brightness(sheet)
    picture = _cut_out(sheet)
    nearer = _stretch(picture, _inner(picture, view.inset), len(picture), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(_turn(nearer, view.turned))


def _turn(picture: np.ndarray, turned: int) -> np.ndarray:
    if turned & TRANSPOSED:
        picture = picture.T
    if turned & DOWN:
        picture = picture[::-1]
    return picture[:, ::-1] if turned & ACROSS else picture


def _inner(picture: np.ndarray, inset: float) -> tuple[float, float, float, float]:
    """The box inside of an edge of this share of the side."""
    side = len(picture)
    return inset * side, inset * side, (1 - inset) * side, (1 - inset) * side


def _cut_out(sheet: np.ndarray) -> np.ndarray:
    """Brightness of the sheet without what lies around it, stretched to the size of the photograph."""
    side = sheet.shape[1]
    left, top, right, bottom = find_sheet(Image.fromarray(sheet.transpose(1, 2, 0)).reduce(2))
    whole = brightness(sheet)
    if max(left, top, 1 - right, 1 - bottom) < TRIMMED:
        return whole
    return _stretch(whole, (left * side, top * side, right * side, bottom * side), side, Image.Resampling.BILINEAR)


def _stretch(
    picture: np.ndarray, box: tuple[float, float, float, float], side: int, method: Image.Resampling
) -> np.ndarray:
    """A part of a square picture (left, top, right, bottom) at another size."""
    return np.asarray(Image.fromarray(picture).resize((side, side), method, box))


def _orientations(fine: np.ndarray) -> list[int]:
    """How to turn a picture of FINE pixels so that its ink lies to the lower right, more right than below."""
    ink = np.abs(fine - gaussian_filter(fine, BLUR))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    ink = np.minimum(ink, np.quantile(ink, DARKEST))
    places = (np.arange(len(ink)) - (len(ink) - 1) / 2) / (FINE / 2)
    total = ink.sum() + np.finfo(np.float32).eps
    down, right = float(ink.sum(axis=1) @ places / total), float(ink.sum(axis=0) @ places / total)
    found = []
    for transposed in _either(abs(right) - abs(down), TRANSPOSED):
        below, beside = (right, down) if transposed else (down, right)
        found += [
            transposed | flipped | across for flipped in _either(below, DOWN) for across in _either(beside, ACROSS)
        ]
    return found


def _either(value: float, turned: int) -> list[int]:
    """Leave what is above 0, turn what is below, both where that is unsure."""
    if abs(value) < UNSURE:
        return [0, turned]
    return [0] if value > 0 else [turned]
