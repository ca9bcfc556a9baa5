"""Read the image set: all sheets of a data set in one array on disk (or several), as memory maps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ShardedPack:
    """An image set in several files: reads like an array of shape (N, 3, 256, 256) along its first axis."""

    files: tuple[NDArray[np.uint8], ...]
    starts: NDArray[np.int64]  # the row with which each file begins

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, 3, 256, 256)."""
        return (len(self), *self.files[0].shape[1:])

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.starts[-1]) + len(self.files[-1])

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """One row as a view of its file, or several (slice, mask or numbers) as a copy."""
        if isinstance(rows, (int, np.integer)):
            place = range(len(self))[rows]
            number = int(np.searchsorted(self.starts, place, side="right")) - 1
            return self.files[number][place - int(self.starts[number])]
        rows = np.arange(len(self))[rows]
        return gather(self, rows, np.empty((len(rows), *self.shape[1:]), np.uint8))


def open_pack(path: Path) -> NDArray[np.uint8]:
    """Open an image set without reading it: a memory map, uint8, shape (N, 3, 256, 256).

    Copy on write, so that `torch.from_numpy` takes it without a copy while nothing can reach the file.
    """
    return np.load(path, mmap_mode="c")


def open_shards(folder: Path) -> ShardedPack:
    """Open an image set of the size of a collection, a folder of .npy files, without reading it.

    Raises FileNotFoundError where there are none.
    """
    # As plain arrays: picking a row of a np.memmap costs a tenth of copying it.
    files = tuple(np.asarray(open_pack(file)) for file in sorted(folder.glob("*.npy")))
    if not files:
        raise FileNotFoundError(f"no .npy files in {folder}")
    return ShardedPack(files, np.cumsum([0, *map(len, files[:-1])]))


def gather(pack: NDArray[np.uint8] | ShardedPack, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copy rows of an image set, in any order, into `out`, and return it: the one copy a batch needs.

    `rows` int64, shape (n,); `out` uint8, C order, shape (n, 3, 256, 256), to be used again for the next batch (new
    memory for each batch takes several times as long); for a torch tensor `tensor.numpy()` is the same memory.
    Raises IndexError for rows that are not there.
    """
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(pack):
        raise IndexError(f"rows must lie between 0 and {len(pack) - 1}")
    if not isinstance(pack, ShardedPack):
        return np.take(pack, rows, axis=0, out=out, mode="clip")  # clip: the other modes buffer `out`
    numbers = np.searchsorted(pack.starts, rows, side="right") - 1
    places = rows - pack.starts[numbers]
    for row, (number, place) in enumerate(zip(numbers.tolist(), places.tolist(), strict=True)):
        out[row] = pack.files[number][place]
    return out
