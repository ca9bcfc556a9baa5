"""Reading an image set: random order, one core, from the page cache; opening one of 1.2 million rows.

The first epoch maps the pages of a file that stands in the page cache, later ones find them mapped. The large set is
made of sparse files, 147 of 8,192 rows, with a real index. The last line is a JSON object.
"""

import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sheetlens.common.files import ROWS, read_table, write_table
from sheetlens.prepare.assemble import INDEX
from sheetlens.prepare.image_set import gather, open_pack, open_shards
from sheetlens.prepare.resize import SIZE

IMAGES, BATCH, EPOCHS, LARGE = 4000, 64, 4, 1_200_000
SHAPE = (3, SIZE, SIZE)


def write_array(path: Path, rows: int, sparse: bool = False) -> None:
    """Write rows of noise, or a file of that size with nothing in it."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *SHAPE)}
        np.lib.format.write_array_header_1_0(file, header)
        if sparse:
            file.truncate(file.tell() + rows * int(np.prod(SHAPE)))
        else:
            noise = np.random.default_rng(0).integers(0, 255, (64, *SHAPE), np.uint8)
            for start in range(0, rows, 64):
                file.write(noise[: rows - start].tobytes())


def epoch(pack: object, order: np.ndarray, out: np.ndarray) -> float:
    """Images a second over one epoch in the given order."""
    start = time.perf_counter()
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        gather(pack, rows, out[: len(rows)])  # type: ignore[arg-type]
    return len(order) / (time.perf_counter() - start)


def measure(opener: object, path: Path) -> tuple[float, float]:
    """Images a second in the first epoch (median of five openings) and in later ones (median)."""
    random, first, later = np.random.default_rng(0), [], []
    out = torch.zeros((BATCH, *SHAPE), dtype=torch.uint8).numpy()
    for _ in range(5):
        pack = opener(path)  # type: ignore[operator]
        rates = [epoch(pack, random.permutation(len(pack)), out) for _ in range(EPOCHS)]
        first.append(rates[0])
        later += rates[1:]
    return statistics.median(first), statistics.median(later)


def copy_limit(path: Path) -> float:
    """Images a second that plain copies in file order reach once mapped: the machine's limit (median)."""
    pack, out, rates = open_pack(path), np.zeros((BATCH, *SHAPE), np.uint8), []
    for _ in range(2 * EPOCHS):
        start = time.perf_counter()
        for first in range(0, len(pack) - BATCH, BATCH):
            np.copyto(out, pack[first : first + BATCH])
        rates.append(len(pack) / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def open_large(folder: Path) -> list[float]:
    """Seconds to open a set of 1.2 million rows: its pixels, and names and labels from its index."""
    (folder / "pixels").mkdir()
    for number, start in enumerate(range(0, LARGE, ROWS)):
        write_array(folder / f"pixels/{number:05}.npy", min(ROWS, LARGE - start), sparse=True)
    numbers = pd.Series(np.arange(LARGE)).astype(str).str.zfill(8)
    digits = numbers * 8
    index = pd.DataFrame({name: digits if "sha256" in name else numbers for name in INDEX})
    write_table(folder / "index.parquet", index.assign(label="a", row=np.arange(LARGE)))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        pack = open_shards(folder / "pixels")
        table = read_table(folder / "index.parquet", ["image_id", "label"])
        assert len(pack) == len(table) == LARGE  # noqa: S101
        assert not pack[LARGE - 1].any()  # noqa: S101
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Measure, print a table and the JSON object."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_array(folder / "one.npy", IMAGES)
        (folder / "many").mkdir()
        for number in range(8):
            write_array(folder / f"many/{number}.npy", IMAGES // 8)
        one, many = measure(open_pack, folder / "one.npy"), measure(open_shards, folder / "many")
        copied = copy_limit(folder / "one.npy")
        seconds = statistics.median(open_large(folder))
    print(f"{platform.platform()}, {os.cpu_count()} cores, {IMAGES} images")
    print(f"{'images a second':24}{'first epoch':>12}{'later':>10}")
    for title, rates in (("one file", one), ("several files", many)):
        print(f"{title:24}{rates[0]:12.0f}{rates[1]:10.0f}")
    print(f"{'plain copies, in order':24}{'':12}{copied:10.0f}")
    print(f"{'wanted':24}{20000:12}{80000:10}")
    print(f"opening {LARGE:,} rows: {seconds:.2f} s (limit 1 s)")
    facts = {
        "benchmark": "pack",
        "ratio_first": one[0] / 20000,
        "ratio_later": one[1] / 80000,
        "ratio_first_sharded": many[0] / 20000,
        "ratio_later_sharded": many[1] / 80000,
        "ratio_copy": one[1] / copied,
        "seconds_to_open": seconds,
    }
    print(json.dumps({key: value if isinstance(value, str) else round(value, 3) for key, value in facts.items()}))


if __name__ == "__main__":
    main()
