"""Read the image set: all sheets of a data set in one array on disk, as a memory map."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sheetlens.common import files


def open_image_set(path: Path) -> NDArray[np.uint8]:
    """Open an image set without reading it: a memory map, uint8, shape (N, 3, 256, 256).

    Copy on write, so that `torch.from_numpy` takes it without a copy while nothing can reach the file.
    """
    with files.reading(path):
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="c")
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            raise ValueError(f"an array of {pixels.dtype}, shape {pixels.shape}")
        return pixels
