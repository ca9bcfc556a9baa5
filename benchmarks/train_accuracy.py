"""Accuracy of the engine in both precisions, and of its peers, on the same splits.

`python -m benchmarks.train_accuracy IMAGES:NETWORK ...`, IMAGES being the folder of an image set (of the demo, say
results/mercury/images). For each of SEEDS its sheets are split anew by SHARES; the validation part is not used. Of an
image set with more sheets than the demo has as many go to training as there, all others to the test. All
contenders train the same network on the same sheets, EPOCHS of batches as in the config: Adam, the rate of
config/demo.yaml throughout, half the values dropped, nothing else; the weights are those of the end. (After the 30
steps of larger batches and fewer epochs, what a network is worth hangs on the values dropped in its last steps.) Peers
as in `train.py`, in PEER_PYTHON. `ratio_...` is the mean accuracy over the peer's. The last line is a JSON object.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.recipe import PLAIN, SETTINGS, split_as_the_demo
from benchmarks.train import NORMALISATION, PEERS, PRECISIONS, begin, contend
from sheetlens.common import files
from sheetlens.config import Train
from sheetlens.prepare.image_set import open_image_set
from sheetlens.train.batches import Part, place
from sheetlens.train.checkpoint import StopHandler
from sheetlens.train.device import choose_device
from sheetlens.train.networks import for_training
from sheetlens.train.training import _train_epoch, predict_logits

SEEDS, SHARES = (1, 2, 3, 4, 5), (0.7, 0.1)
EPOCHS = 8
PARTS = ("train", "test")


def write_pictures(images: Path, split: Path, folder: Path) -> None:
    """The parts of a split as folders of PNGs, one sub-folder per class."""
    table, parts = files.read_table(images / "index.parquet"), files.read_table(split).set_index("image_id")["part"]
    pixels = open_image_set(images / "pixels.npy")
    for row, (name, label) in enumerate(zip(table["image_id"], table["label"], strict=True)):
        place = folder / parts[name] / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[row].transpose(1, 2, 0)).save(place / f"{row:05}.png")


def run_ours(
    images: Path, network: str, split: Path, device: str, precision: str, seed: int, epochs: int = EPOCHS
) -> float:
    """Train with the engine; the share of the other part that is named rightly."""
    where = choose_device(device, precision)
    settings = Train.model_validate(SETTINGS | {"epochs": epochs, "recipe": PLAIN})
    table, parts = files.read_table(images / "index.parquet"), files.read_table(split).set_index("image_id")["part"]
    pixels = place(torch.from_numpy(open_image_set(images / "pixels.npy")), where.name)
    numbers = {part: np.flatnonzero(parts.reindex(table["image_id"]) == part) for part in PARTS}
    rows = {part: torch.from_numpy(some).to(pixels.device) for part, some in numbers.items()}
    classes = torch.from_numpy(table["label"].astype("category").cat.codes.to_numpy(np.int64))
    labels = {part: classes[some].to(where.name) for part, some in numbers.items()}
    training = Part(pixels, rows["train"], labels["train"])
    with tempfile.TemporaryDirectory() as name:
        state = begin(network, settings, 1, where, Path(name), seed)
        with StopHandler(state) as watch:
            for _ in range(settings.epochs):
                _train_epoch(state, for_training(state.network), training, settings, where, watch)
                state.epoch, state.step = state.epoch + 1, 0
        logits = predict_logits(state.network, pixels, rows["test"], NORMALISATION)
    return (logits.argmax(1) == labels["test"]).double().mean().item()


def contenders(images: Path, network: str, seed: int, folder: Path) -> Iterator[tuple[str, float]]:
    """The accuracy of each with one split."""
    split, settings = folder / "split.tsv", Train.model_validate(SETTINGS)
    batch, rate = str(settings.batch_size), str(settings.rate(network))
    table = files.read_table(images / "index.parquet")
    files.write_table(split, split_as_the_demo(table, SHARES, seed))
    write_pictures(images, split, folder)
    for precision in PRECISIONS:
        yield precision, run_ours(images, network, split, "cpu", PRECISIONS[precision], seed)
    for peer in ("reference", "keras"):
        words = [peer, network, str(folder / "train"), batch, rate, str(EPOCHS), str(folder / "test")]
        yield peer, contend([*PEERS, *words])["accuracy"]


def main() -> None:
    """Train all, print the table and the JSON object."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}, {len(SEEDS)} seeds")
    facts: dict[str, str | float] = {"benchmark": "train_accuracy"}
    for word in sys.argv[1:]:
        images, _, network = word.rpartition(":")
        found: dict[str, list[float]] = {}
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as name:
                for who, accuracy in contenders(Path(images), network, seed, Path(name)):
                    found.setdefault(who, []).append(accuracy)
        means = {who: statistics.mean(accuracies) for who, accuracies in found.items()}
        print(f"\n{Path(images).parent.name}, {network}")
        for who, accuracies in found.items():
            each = " ".join(f"{100 * accuracy:5.1f}" for accuracy in accuracies)
            print(f"{who:12}{100 * means[who]:6.1f} ±{100 * statistics.stdev(accuracies):4.1f} %   {each}", flush=True)
        for precision in PRECISIONS:
            for peer in ("reference", "keras"):
                ratio = means[precision] / means[peer]
                facts[f"ratio_{peer}_{Path(images).parent.name}_{network}_{precision}"] = round(ratio, 4)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
