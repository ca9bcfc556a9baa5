"""Lay one picture of a sheet over another and measure how well they agree in detail."""

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from sheetlens.duplicates.signatures import shrink

STEPS = {32: 12, 64: 6, 128: 4}  # side in pixels -> rounds of alignment, from coarse to fine
BLUR = 4.0  # pixels at the finest side: what is wider is layout and light, which different sheets share
MARGIN = 6  # pixels at the finest side, left out of the comparison
FARTHEST = 0.25  # of half a side, in stretch, turn and shift: beyond, the alignment has gone astray
BLANK = 0.1  # grey levels of detail: with less, only noise would be compared


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of fine detail, -1 to 1, of two brightnesses, float32, shape (256, 256), once aligned.

    The second is moved by the affine map (and the gain and offset) that brings it closest to the first in
    least squares, found by Gauss-Newton steps from coarse to fine (Lucas & Kanade 1981, IJCAI: 674-679).
    Turning by a degree, shifting by a hundredth and other light or compression leave more than
    0.9 for the same sheet; different sheets of one layout stay below 0.65. 0 where no alignment is found.
    """
    matrix, shift = np.eye(2), np.zeros(2)
    for side, steps in STEPS.items():
        target, moving = shrink(first, side), shrink(second, side)
        for _ in range(steps):
            matrix, shift = _improved(target, moving, matrix, shift)
        if np.abs(matrix - np.eye(2)).max() > FARTHEST or np.abs(shift).max() > FARTHEST:
            return 0.0
    moved = _move(moving, matrix, shift, outside=np.nan)
    covered = np.isfinite(moved)
    inner = np.zeros_like(covered)
    inner[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    details = [picture - gaussian_filter(picture, BLUR) for picture in (target, np.where(covered, moved, target))]
    one, other = (detail[covered & inner] for detail in details)
    if min(one.std(), other.std()) < BLANK:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _improved(
    target: np.ndarray, moving: np.ndarray, matrix: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One Gauss-Newton step of the map (in halves of a side), jointly with gain and offset."""
    down, right = _grid(len(target))
    moved, *slopes = (_move(picture, matrix, shift) for picture in (moving, *np.gradient(moving)))
    slopes = [slope * len(target) / 2 for slope in slopes]
    columns = [slope * place for slope in slopes for place in (down, right, 1)] + [-target, -np.ones_like(target)]
    # The outermost pixels have no slope that could be trusted.
    system = np.stack(columns, axis=-1)[2:-2, 2:-2].reshape(-1, len(columns))
    change = np.linalg.lstsq(system.T @ system, -system.T @ moved[2:-2, 2:-2].ravel(), rcond=None)[0]
    return matrix + change[[0, 1, 3, 4]].reshape(2, 2), shift + change[[2, 5]]


def _move(picture: np.ndarray, matrix: np.ndarray, shift: np.ndarray, outside: float | None = None) -> np.ndarray:
    """Read a picture at the mapped places; beyond its edge the edge goes on, or `outside` stands."""
    half = len(picture) / 2
    centre = np.full(2, half - 0.5)
    offset = centre + half * shift - matrix @ centre
    mode = "nearest" if outside is None else "constant"
    return affine_transform(picture, matrix, offset, order=1, mode=mode, cval=outside or 0.0)


def _grid(side: int) -> np.ndarray:
    """Places of the pixels, down and right, from -1 to 1: shape (2, side, side)."""
    return (np.indices((side, side)) + 0.5) / (side / 2) - 1
