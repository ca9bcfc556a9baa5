"""Time and memory of training each backbone whole, at its best batch.

`python -m benchmarks.backbones [--largest 1024]`: the batch is doubled until it does not fit, or to `--largest`; each
backbone and batch in a process of its own, with sheets drawn at random on the device and the engine's own step, median
of STEPS after one to warm up. Beside them Table 1 of the paper: `ratio_...` is the backbone's best rate over that of
Table 1. Memory is what torch had allocated on a GPU at most, on the CPU that of the whole process. The last line is a
JSON object.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import torch
from benchmarks.train import begin, wait

from sheetlens.config import Network, Train
from sheetlens.config.networks import INPUT_SIZE, Backbone
from sheetlens.train.batches import descend, lacks_memory
from sheetlens.train.device import choose_device
from sheetlens.train.networks import for_training

SMALLEST, STEPS = 8, 5


def measure(name: str, batch: int) -> tuple[float, float] | None:
    """Sheets a second and GB of one training; None where the batch does not fit."""
    device, settings = choose_device("auto", "auto"), Train(batch_size=batch)
    network = name if name == "table1" else Network.model_validate({"backbone": name})
    images = torch.randint(0, 256, (batch, 3, INPUT_SIZE, INPUT_SIZE), dtype=torch.uint8, device=device.name)
    labels, seconds = torch.arange(batch, device=device.name) % 2, []
    try:
        with tempfile.TemporaryDirectory() as folder:
            state = begin(network, settings, STEPS + 1, device, Path(folder))
            network_at_work = for_training(state.network).train()
            for _ in range(STEPS + 1):
                wait(device.name)
                start = time.perf_counter()
                descend(state, network_at_work, images, labels, batch, None, device)
                state.optimiser.step()
                wait(device.name)
                seconds.append(time.perf_counter() - start)
    except (RuntimeError, MemoryError) as error:
        if lacks_memory(error):
            return None
        raise
    on_gpu = device.name == "cuda"
    memory = torch.cuda.max_memory_allocated() if on_gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return batch / statistics.median(seconds[1:]), memory / 1e9


def best(name: str, largest: int) -> dict[str, float]:
    """The batch with the highest rate, and a printed row for each."""
    found, batch = {"rate": 0.0}, SMALLEST
    while batch <= largest:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            measured = process.submit(measure, name, batch).result()
        if measured is None:
            print(f"{name:20}{batch:6} does not fit", flush=True)
            break
        rate, memory = measured
        print(f"{name:20}{batch:6}{rate:10.1f}{memory:8.2f}", flush=True)
        if rate > found["rate"]:
            found = {"batch": batch, "rate": rate, "gigabytes": memory}
        batch *= 2
    return found


def main() -> None:
    """Measure all, print the table and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1024, help="Sheets in the largest batch.")
    largest = parser.parse_args().largest
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{platform.platform()}, {os.cpu_count()} cores, {gpu}, torch {torch.__version__}")
    print(f"{'network':20}{'batch':>6}{'sheets/s':>10}{'GB':>8}")
    found = {name: best(name, largest) for name in ("table1", *get_args(Backbone))}
    facts: dict[str, str | float] = {"benchmark": "backbones"}
    for name, one in found.items():
        facts |= {f"{key}_{name}": round(value, 3) for key, value in one.items()}
        facts[f"ratio_{name}"] = round(one["rate"] / found["table1"]["rate"], 3)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
