"""How fast the frozen backbone reads sheets into features, and how far what it reads is from the CPU's."""

import time
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import Scale
from sheetlens.config.networks import INPUT_SIZE
from sheetlens.features.extraction import BATCH, FeatureReader


def measure(scale: Scale) -> Iterator[Facts]:
    """Sheets a second from the computer's memory and back, and the relative difference to float32 on the CPU."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (scale.read, 3, INPUT_SIZE, INPUT_SIZE), dtype=np.uint8)
    reader = FeatureReader()
    read = reader.read(pixels[:BATCH])  # to warm up
    start = time.perf_counter()
    reader.read(pixels)
    seconds = time.perf_counter() - start
    memory = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None
    rate = {"sheets_per_second": scale.read / seconds, "batch": BATCH, "gigabytes": memory}
    there = FeatureReader(device="cpu", precision="float32").read(pixels[:BATCH])
    difference = {"difference_to_cpu": float(np.linalg.norm(read - there) / np.linalg.norm(there))}
    yield {"precision": reader.facts["precision"], "features": reader.size} | rate | difference
