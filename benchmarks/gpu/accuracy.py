"""Whether Table 1 gets as accurate here as on the CPU, on drawn stained and unstained sheets.

For each seed the sheets are split anew and the network is trained as in `train_accuracy.py`: on the device at hand, and
in float32 on the CPU. The means over the seeds should differ by no more than the CPU's standard deviation.
"""

import os
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import Scale
from benchmarks.recipe import split_as_the_demo
from benchmarks.train_accuracy import SHARES, run_ours
from sheetlens.common import files
from sheetlens.demo.sheets import write_sheets
from sheetlens.prepare.resize import RefusedImageError, read_sheet

NETWORK, CPU = "table1", ("cpu", "float32")


def measure(scale: Scale) -> Iterator[Facts]:
    """Accuracy of each seed here and on the CPU, as they are known; then both means and the CPU's spread."""
    workers = max(1, (os.cpu_count() or 1) // 2)  # a training takes two threads
    found: dict[str, list[float]] = {"here": [], "cpu": []}
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        folder = Path(name)
        splits = draw_image_set(folder, scale, pool)
        shared, epochs = (folder, NETWORK), scale.accuracy_epochs
        there = [pool.submit(run_ours, *shared, split, *CPU, seed, epochs) for seed, split in splits.items()]
        for (seed, split), one in zip(splits.items(), there, strict=True):
            found["here"].append(run_ours(*shared, split, "auto", "auto", seed, epochs))
            found["cpu"].append(one.result())
            yield {"seed": seed} | {where: values[-1] for where, values in found.items()}
    means = {where: statistics.mean(values) for where, values in found.items()}
    spread = statistics.stdev(found["cpu"])
    yield {
        "network": NETWORK,
        "accuracy": means["here"],
        "spread": statistics.stdev(found["here"]),
        "accuracy_cpu": means["cpu"],
        "spread_cpu": spread,
        "within_spread": abs(means["here"] - means["cpu"]) <= spread,
    }


def draw_image_set(folder: Path, scale: Scale, pool: Executor) -> dict[int, Path]:
    """Draw sheets into an image set with `index.parquet` and `pixels.npy`; the file of the split for each seed."""
    truth = write_sheets(folder / "sheets", "stain", scale.drawn, 1, False, os.cpu_count() or 1)
    rows, pixels = [], []
    read = pool.map(read_pixels, [folder / "sheets" / name for name in truth["file"]], chunksize=8)
    for name, label, sheet in zip(truth["file"], truth["true_label"], read, strict=True):
        if sheet is not None:
            rows.append({"image_id": name, "specimen_id": name, "label": label, "row": len(rows)})
            pixels.append(sheet)
    np.save(folder / "pixels.npy", np.stack(pixels))
    table = pd.DataFrame(rows)
    files.write_table(folder / "index.parquet", table)
    splits = {seed: folder / f"{seed}.tsv" for seed in scale.seeds}
    for seed, path in splits.items():
        files.write_table(path, split_as_the_demo(table, SHARES, seed))
    return splits


def read_pixels(path: Path) -> np.ndarray | None:
    """A sheet, uint8, shape (3, 256, 256); None for one that was drawn to be refused."""
    try:
        return read_sheet(path.read_bytes()).pixels
    except RefusedImageError:
        return None
