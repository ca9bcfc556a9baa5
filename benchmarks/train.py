"""The training engine against a plain torch loop and Keras on the CPU, interleaved in one run.

The same JPEGs, the same batch, Adam, both networks of the paper. Each contender is a process of its own
that trains two epochs and reads the sheets twice, the second time on the clock, loading of images included; start-up
is not. The peers are in `train_peers.py` and run in a Python that has torch, torchvision and tensorflow-cpu: set
PEER_PYTHON. Ratios are medians over the rounds of ours over the peer's sheets a second.

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

import numpy as np
import torch
from PIL import Image

from sheetlens.config import Network, Train
from sheetlens.config.networks import INPUT_SIZE
from sheetlens.train.batches import Part
from sheetlens.train.checkpoint import Progress, StopHandler
from sheetlens.train.device import Device, choose_device
from sheetlens.train.networks import TABLES, build_network, for_training
from sheetlens.train.optimisation import make_optimiser
from sheetlens.train.training import _train_epoch, predict_logits

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
NORMALISATION = {"mean": [0.5] * 3, "std": [0.25] * 3}
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
    ours = [name for name in PRECISIONS if name == "fp32" or choose_device("cpu").bfloat16]  # not emulated
    with tempfile.TemporaryDirectory() as name:
        folder, pack = Path(name) / "sheets", Path(name) / "pixels.npy"
        make_sheets(folder, sheets)
        np.save(pack, read_pixels(folder))
        for _ in range(rounds):
            for network in TABLES:
                for who in ("reference", *ours, "keras"):
                    own = [sys.executable, __file__, "--ours", network, who, str(pack), "--batch", str(batch)]
                    theirs = [*PEERS, who, network, str(folder), str(batch), str(RATE)]
                    rates = contend(own if who in PRECISIONS else theirs)
                    results.setdefault((network, who), []).append(rates)
    print(f"{'sheets/s, medians':24}{'training':>10}{'reading':>10}")
    for (network, who), rates in results.items():
        train, inference = (statistics.median(rate[key] for rate in rates) for key in ("train", "inference"))
        print(f"{network} {who:17}{train:10.1f}{inference:10.1f}")
    facts = {}
    for network in TABLES:
        for peer in ("reference", "keras"):
            for precision in ours:
                pairs = list(zip(results[network, precision], results[network, peer], strict=True))
                for key, prefix in (("train", ""), ("inference", "inference_")):
                    ratio = statistics.median(own[key] / theirs[key] for own, theirs in pairs)
                    facts[f"{prefix}ratio_{peer}_{network}_{precision}"] = ratio
    return facts


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=int, default=320, help="Sheets to train on and to read.")
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
    facts = compare(asked.sheets, asked.batch, asked.rounds)
    rounded = {key: round(value, 3) for key, value in facts.items()}
    print(json.dumps({"benchmark": "train", **rounded}))


if __name__ == "__main__":
    main()
