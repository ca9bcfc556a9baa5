"""Time and memory of training each backbone whole, at its best batch.

Larger and larger batches until one does not fit or is slower, with sheets drawn at random on the device and the
engine's own step, median of the steps after one to warm up. Beside them Table 1 of the paper. Memory is what torch had
allocated on the GPU at most.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.whole import wait
from benchmarks.train import begin
from sheetlens.config import Network, Train
from sheetlens.config.networks import INPUT_SIZE, TORCHVISION
from sheetlens.train.batches import descend, lacks_memory
from sheetlens.train.device import Device, choose_device
from sheetlens.train.networks import for_training


def measure(scale: Scale) -> Iterator[Facts]:
    """The batch with the highest rate of each network, its sheets a second and GB."""
    device = choose_device("auto", "auto")
    for name in ("table1", *TORCHVISION[: scale.backbones]):
        tried: list[Facts] = []
        for batch in scale.batches:
            one = try_batch(name, batch, scale.steps, device)
            print(f"{name} {batch}: {one or 'does not fit'}", file=sys.stderr)
            if one is None:
                break
            tried.append({"network": name, "batch": batch} | one)
            if one["sheets_per_second"] < max(some["sheets_per_second"] for some in tried):
                break
        if not tried:
            raise SystemExit(f"{name} does not fit into memory with {scale.batches[0]} sheets")
        yield max(tried, key=lambda one: one["sheets_per_second"])


def try_batch(name: str, batch: int, steps: int, device: Device) -> Facts | None:
    """Sheets a second and GB of a training with one batch; None where it does not fit."""
    if device.name == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        seconds = time_steps(name, batch, steps, device)
    except (RuntimeError, MemoryError) as error:
        if lacks_memory(error):
            return None
        raise
    memory = torch.cuda.max_memory_allocated() / 1e9 if device.name == "cuda" else None
    return {"sheets_per_second": batch / statistics.median(seconds), "gigabytes": memory}


def time_steps(name: str, batch: int, steps: int, device: Device) -> list[float]:
    """Seconds of each step after the first."""
    network = name if name == "table1" else Network.model_validate({"backbone": name})
    images = torch.randint(0, 256, (batch, 3, INPUT_SIZE, INPUT_SIZE), dtype=torch.uint8, device=device.name)
    labels, seconds = torch.arange(batch, device=device.name) % 2, []
    with tempfile.TemporaryDirectory() as folder:
        state = begin(network, Train(batch_size=batch), steps + 1, device, Path(folder))
        at_work = for_training(state.network).train()
        for _ in range(steps + 1):
            wait(device.name)
            start = time.perf_counter()
            descend(state, at_work, images, labels, batch, None, device)
            state.optimiser.step()
            wait(device.name)
            seconds.append(time.perf_counter() - start)
    return seconds[1:]
