"""Both networks of the paper trained whole, with validation, on sheets drawn at random on the device.

In one way: compiled or not, deterministic or not. The share of the floor that the bytes of the layers set (two passes
over activations, see `bytes_per_sheet`) is taken at the bandwidth of a copy on the same device. What a first epoch on
two batches takes, with compiling, stands beside it.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import Scale
from benchmarks.train import begin
from sheetlens.config import Train
from sheetlens.config.networks import INPUT_SIZE
from sheetlens.train.batches import Part
from sheetlens.train.checkpoint import StopHandler
from sheetlens.train.device import choose_device
from sheetlens.train.networks import HIDDEN, TABLES
from sheetlens.train.training import _run_epochs, at_work


def measure(scale: Scale, compile: bool, deterministic: bool) -> Iterator[Facts]:  # noqa: A002
    """Seconds to start and of the training, sheets a second, share of the bytes floor and GB, for each network."""
    way = {"compile": compile, "deterministic": deterministic}
    for network in scale.compiled if compile else scale.sheets:
        yield {"network": network} | way | train(network, scale.sheets[network], scale.epochs, scale.batch, way)


def train(network: str, sheets: tuple[int, int], epochs: int, batch: int, way: dict[str, bool]) -> Facts:
    """Train one network on so many sheets and validate it on so many."""
    settings = Train(epochs=epochs, patience=epochs, batch_size=batch, **way)
    device = choose_device("auto", "auto", deterministic=settings.deterministic)
    if device.name == "cuda":
        torch.cuda.reset_peak_memory_stats()
    count = sum(sheets)
    pixels = torch.randint(0, 256, (count, 3, INPUT_SIZE, INPUT_SIZE), dtype=torch.uint8, device=device.name)
    rows = torch.arange(count, device=device.name)
    training, validation = (Part(pixels, some, some % 2) for some in rows.split(sheets))
    some_batches = batch + sheets[0] % batch  # a whole one, and the last
    few = Part(pixels, training.rows[:some_batches], training.labels[:some_batches])
    start_up, seconds = 0.0, 0.0
    with tempfile.TemporaryDirectory() as name:
        state = begin(network, settings, (epochs + 1) * (sheets[0] // batch + 1), device, Path(name))
        net = at_work(state, settings)
        with StopHandler(state) as watch:
            for some, asked in ((few, settings.model_copy(update={"epochs": 1})), (training, settings)):
                start_up, start = seconds, time.perf_counter()
                held_out = few if some is few else validation
                if not _run_epochs(state, net, some, held_out, asked, device, watch):
                    raise SystemExit(f"batches of {batch} sheets do not fit into the memory of this device")
                wait(device.name)
                seconds = time.perf_counter() - start
                state.epoch, state.history = 1, []
    memory = torch.cuda.max_memory_allocated() / 1e9 if device.name == "cuda" else None
    floor = sheets[0] * epochs * bytes_per_sheet(network, batch) / bandwidth(device.name)
    return {
        "batch": batch,
        "precision": device.precision,
        "seconds_to_start": start_up,
        "seconds": seconds,
        "sheets_per_second": sheets[0] * epochs / seconds,
        "share_of_floor": floor / seconds,
        "gigabytes": memory,
    }


def bytes_per_sheet(network: str, batch: int) -> float:
    """Bytes that one training step moves for each sheet at least, in bfloat16, with batch normalisation in two passes.

    The output of a convolution is touched by its writing, the statistics, the normalisation with pooling, twice by
    the backward pass of the normalisation, the writing of its gradient and (but for the first) both gradients of the
    convolution; a pooled tensor six times. A weight costs 26 bytes a step (float32 master, two moments, gradient).
    """
    values, weights, size, channels = 0, 0, INPUT_SIZE, 3
    for number, (width, kernel) in enumerate(TABLES[network]):
        size = size - kernel + 1
        values += width * size * size * (6 if number == 0 else 7)
        weights += channels * width * kernel * kernel
        size, channels = size // 2, width
        values += width * size * size * 6
    weights += channels * size * size * HIDDEN
    return 2 * values + 26 * weights / batch


def bandwidth(device: str) -> float:
    """Bytes a second that a copy reads and writes; of a GPU one so large that its start does not count."""
    source = torch.empty(2**31 if device == "cuda" else 2**26, dtype=torch.uint8, device=device)
    target, seconds = torch.empty_like(source), []
    for _ in range(10):
        wait(device)
        start = time.perf_counter()
        target.copy_(source)
        wait(device)
        seconds.append(time.perf_counter() - start)
    return 2 * len(source) / min(seconds)


def wait(device: str) -> None:
    """Let the device finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
