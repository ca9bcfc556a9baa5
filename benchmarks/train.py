"""The training engine against a plain torch loop and Keras, interleaved in one run, and at a data set's size.

On the CPU: the same JPEGs, the same batch, Adam, both networks of the paper. Each contender is a process of its own
that trains two epochs and reads the sheets twice, the second time on the clock, loading of images included; start-up
is not. The peers are in `train_peers.py` and run in a Python that has torch, torchvision and tensorflow-cpu: set
PEER_PYTHON. Ratios are medians over the rounds of ours over the peer's sheets a second.

With `--whole`: 20 epochs with validation of each network on as many sheets as in the paper (fewer with `--sheets`),
on the GPU where there is one, pixels drawn on the device; the share of the floor that the bytes of the layers set
(two passes over activations, see `bytes_per_sheet`) at the bandwidth of a copy on the same device; and the ratio to
the reference loop, which reads JPEGs, there. What a first epoch on two batches takes, with compiling, stands beside it.

The last line is a JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sheetlens.config import Network, Train
from sheetlens.config.networks import INPUT_SIZE
from sheetlens.train.batches import Part
from sheetlens.train.checkpoint import Progress, StopHandler
from sheetlens.train.device import Device, choose_device
from sheetlens.train.networks import HIDDEN, TABLES, build_network, for_training
from sheetlens.train.optimisation import make_optimiser
from sheetlens.train.training import _run_epochs, _train_epoch, at_work, predict_logits

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
NORMALISATION = {"mean": [0.5] * 3, "std": [0.25] * 3}
PAPER = {"table1": (10_888, 3_111), "table2": (12_872, 3_678)}  # sheets to train on and to validate with
EPOCHS = 20
BATCH = 64
RATE = 1e-4  # what the config has by default
PEERS = [os.environ.get("PEER_PYTHON", sys.executable), str(Path(__file__).with_name("train_peers.py"))]


def make_sheets(folder: Path, count: int) -> None:
    """Write JPEGs of textured noise in two classes that differ in tone."""
    random = np.random.default_rng(0)
    for number in range(count):
        name = ("dark", "light")[number % 2]
        coarse = random.integers(0, 120, (32, 32, 3)) + (40, 100)[number % 2]
        picture = Image.fromarray(coarse.astype(np.uint8)).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC)
        grain = random.integers(-12, 12, (INPUT_SIZE, INPUT_SIZE, 1))
        pixels = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
        (folder / name).mkdir(exist_ok=True, parents=True)
        Image.fromarray(pixels).save(folder / name / f"{number:05}.jpg", quality=90)


def read_pixels(folder: Path) -> np.ndarray:
    """The same pictures as an image set."""
    return np.stack([np.asarray(Image.open(path)).transpose(2, 0, 1) for path in sorted(folder.rglob("*.jpg"))])


def begin(network: str | Network, settings: Train, steps: int, device: Device, folder: Path, seed: int = 1) -> Progress:
    """A training before its first step, as `train_network` sets it up."""
    torch.manual_seed(seed)
    net = build_network(network, 2, settings.dropout)
    net.to(device.name, memory_format=torch.channels_last)
    optimiser, schedule = make_optimiser(net, settings.rate(str(network)), steps, settings.recipe)
    state = Progress(
        net, optimiser, schedule, folder, {"seed": seed, "classes": ["a", "b"], "normalisation": NORMALISATION}
    )
    state.loss_sum = state.loss_sum.to(device.name)
    return state


def run_ours(network: str, precision: str, pack: Path, batch: int) -> dict[str, float]:
    """Sheets a second of the engine in this process."""
    device = choose_device("cpu", PRECISIONS[precision])
    settings = Train(epochs=2, batch_size=batch)
    pixels = torch.from_numpy(np.load(pack, mmap_mode="c"))
    count = len(pixels)
    part = Part(pixels, torch.arange(count), torch.arange(count) % 2)
    rates = {}
    with tempfile.TemporaryDirectory() as name:
        state = begin(network, settings, 2 * count, device, Path(name))
        with StopHandler(state) as watch:
            for _ in range(2):
                start = time.perf_counter()
                _train_epoch(state, for_training(state.network), part, settings, device, watch)
                rates["train"] = count / (time.perf_counter() - start)
                state.epoch, state.step = state.epoch + 1, 0
    for _ in range(2):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=device.bfloat16):
            predict_logits(state.network, pixels, part.rows, NORMALISATION)
        rates["inference"] = count / (time.perf_counter() - start)
    return rates


def contend(command: list[str]) -> dict[str, float]:
    """Run a contender and read its rates."""
    run = subprocess.run(command, text=True, capture_output=True)  # noqa: S603
    if run.returncode:
        raise SystemExit(f"{run.stderr}\n{' '.join(command)} ended with {run.returncode}")
    return json.loads(run.stdout.splitlines()[-1])


def compare(sheets: int, batch: int, rounds: int) -> dict[str, float]:
    """All contenders in turn; ratios of medians' pairs."""
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, pack = Path(name) / "sheets", Path(name) / "pixels.npy"
        make_sheets(folder, sheets)
        np.save(pack, read_pixels(folder))
        for _ in range(rounds):
            for network in TABLES:
                for who in ("reference", "fp32", "bf16", "keras"):
                    ours = [sys.executable, __file__, "--ours", network, who, str(pack), "--batch", str(batch)]
                    theirs = [*PEERS, who, network, str(folder), str(batch), str(RATE)]
                    rates = contend(ours if who in PRECISIONS else theirs)
                    results.setdefault((network, who), []).append(rates)
    print(f"{'sheets/s, medians':24}{'training':>10}{'reading':>10}")
    for (network, who), rates in results.items():
        train, inference = (statistics.median(rate[key] for rate in rates) for key in ("train", "inference"))
        print(f"{network} {who:17}{train:10.1f}{inference:10.1f}")
    facts = {}
    for network in TABLES:
        for peer in ("reference", "keras"):
            for precision in PRECISIONS:
                pairs = list(zip(results[network, precision], results[network, peer], strict=True))
                for key, prefix in (("train", ""), ("inference", "inference_")):
                    ratio = statistics.median(ours[key] / theirs[key] for ours, theirs in pairs)
                    facts[f"{prefix}ratio_{peer}_{network}_{precision}"] = ratio
    return facts


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


def whole(network: str, sheets: tuple[int, int], epochs: int, batch: int, way: dict[str, bool]) -> dict[str, float]:
    """Train with validation at the size of a data set: seconds, sheets a second, share of the bytes floor, GB."""
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
                    raise SystemExit(f"batches of {batch} do not fit into memory: set a smaller --batch")
                wait(device.name)
                seconds = time.perf_counter() - start
                state.epoch, state.history = 1, []
    memory = torch.cuda.max_memory_allocated() if device.name == "cuda" else None
    floor = sheets[0] * epochs * bytes_per_sheet(network, batch) / bandwidth(device.name)
    found = {
        f"seconds_{network}": seconds,
        f"seconds_to_start_{network}": start_up,
        f"sheets_per_second_{network}": sheets[0] * epochs / seconds,
        f"share_of_floor_{network}": floor / seconds,
    }
    if memory:
        found[f"gigabytes_{network}"] = memory / 1e9
    return found


def reference(network: str, batch: int, sheets: int) -> float:
    """Sheets a second of the reference loop on this machine, on its GPU if it has one."""
    with tempfile.TemporaryDirectory() as name:
        make_sheets(Path(name), sheets)
        found = contend([*PEERS, "reference", network, name, str(batch), str(RATE)])
    if found["gpu"] != torch.cuda.is_available():
        raise SystemExit("the torch of PEER_PYTHON does not see the GPU that is here")
    return found["train"]


def show(found: dict[str, float]) -> None:
    """Print a line for each number, at once: what comes next may fail."""
    for key, value in found.items():
        print(f"{key:32}{value:10.2f}", flush=True)


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="Train at a data set's size.")
    parser.add_argument("--sheets", type=int, help="Sheets to train on.")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="With --whole.")
    parser.add_argument("--compile", action="store_true", help="With --whole: compile the network.")
    parser.add_argument("--any-order", action="store_true", help="With --whole: not deterministic.")
    parser.add_argument("--batch", type=int, default=BATCH, help="Sheets in one step.")
    parser.add_argument("--rounds", type=int, default=3, help="Rounds of the comparison.")
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, print a table and the JSON object."""
    asked = arguments()
    if asked.ours:
        network, precision, pack = asked.ours
        print(json.dumps(run_ours(network, precision, Path(pack), asked.batch)))
        return
    print(f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}, batch {asked.batch}")
    facts: dict[str, Any] = {"benchmark": "train"}
    if asked.whole:
        print(choose_device("auto", "auto").reason)
        way = {"compile": asked.compile, "deterministic": not asked.any_order}
        facts |= way
        for network, sheets in PAPER.items():
            few = (asked.sheets, max(1, asked.sheets * sheets[1] // sheets[0])) if asked.sheets else sheets
            found = whole(network, few, asked.epochs, asked.batch, way)
            show(found)
            rate = reference(network, asked.batch, min(few[0], 20 * asked.batch))
            ratio = {f"ratio_reference_{network}": found[f"sheets_per_second_{network}"] / rate}
            show(ratio)
            facts |= found | ratio
    else:
        facts |= compare(asked.sheets or 320, asked.batch, asked.rounds)
    print(json.dumps({key: value if isinstance(value, str) else round(value, 3) for key, value in facts.items()}))


if __name__ == "__main__":
    main()
