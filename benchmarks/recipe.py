"""What each part of the training recipe brings, over seeds: `python benchmarks/recipe.py IMAGES:NETWORK ...`.

IMAGES is the folder of an image set (results/mercury/images of the demo, say), NETWORK one of the config. Each variant
is trained once for each of SEEDS, on the seed's own random split, with the demo's settings. Of an image set with more
sheets than the demo has as many go to training and validation as there, all others to the test. A variant is judged on
the validation parts (where a recipe is chosen) and, beside it, on the test parts (where it is reported): the mean
difference to the plain recipe, seed by seed, and its standard deviation. What is trained already in FOLDER (environment
variable, a temporary one by default) is not trained again. The last line is a JSON object.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sheetlens.common import files
from sheetlens.config import Recipe, Train
from sheetlens.predict.inference import load_network
from sheetlens.prepare.image_set import open_image_set
from sheetlens.split.parts import split_random
from sheetlens.train.training import predict_logits, train_network

SEEDS, SHARES, SHEETS = (1, 2, 3, 4, 5), (0.7, 0.2), 520
SETTINGS = {"epochs": 5, "learning_rate": {"table1": 1e-3, "table2": 3e-4}}  # config/demo.yaml
PLAIN = {"schedule": "constant"}
VARIANTS: dict[str, tuple[float, dict[str, object]]] = {  # factor of the learning rate, and the recipe
    "paper": (1, PLAIN),
    "average": (1, PLAIN | {"average": 0.9}),
    "one_cycle": (1, {}),
    "one_cycle_3": (3, {}),
    "weight_decay": (3, {"weight_decay": 0.05}),
    "flip": (3, {"flip": True}),
    "shift": (3, {"shift": 0.03, "rotate": 2}),
    "colour": (3, {"colour": 0.1}),
}


def split_as_the_demo(table: pd.DataFrame, shares: tuple[float, float], seed: int) -> pd.DataFrame:
    """As many sheets for training and validation as the demo has by these shares, all others for the test."""
    training, validation = (share * min(1, SHEETS / len(table)) for share in shares)
    return split_random(table, (training, validation, 1 - training - validation), seed)


def judge(images: Path, split: Path, model: Path) -> dict[str, float]:
    """Accuracy in the validation and the test part, and cross-entropy there."""
    net, facts = load_network(model)
    table, parts = files.read_table(images / "index.parquet"), files.read_table(split).set_index("image_id")["part"]
    pixels, found = torch.from_numpy(open_image_set(images / "pixels.npy")), {}
    for part in ("validation", "test"):
        rows = np.flatnonzero(parts.reindex(table["image_id"]) == part)
        labels = torch.tensor([facts["classes"].index(label) for label in table["label"].iloc[rows]])
        logits = predict_logits(net, pixels, torch.from_numpy(rows), facts["normalisation"])
        found[part] = (logits.argmax(1) == labels).double().mean().item()
        found[f"{part}_loss"] = torch.nn.functional.cross_entropy(logits.double(), labels).item()
    return found


def run(images: Path, network: str, name: str, seed: int, folder: Path) -> dict[str, float]:
    """Train one variant with one seed, unless that was done, and judge it."""
    split, model = folder / f"{seed}.tsv", folder / network / name / str(seed)
    result = model / "result.json"
    if not result.exists():
        model.mkdir(parents=True, exist_ok=True)
        table = files.read_table(images / "index.parquet")
        files.write_table(split, split_as_the_demo(table, SHARES, seed))
        factor, recipe = VARIANTS[name]
        rates = {network: factor * SETTINGS["learning_rate"][network]}
        settings = Train.model_validate(SETTINGS | {"learning_rate": rates, "recipe": Recipe.model_validate(recipe)})
        start = time.perf_counter()
        train_network(images / "pixels.npy", images / "index.parquet", split, network, seed, settings, model)
        seconds = time.perf_counter() - start
        files.write_json(result, judge(images, split, model) | {"seconds": seconds})
        (model / "weights.safetensors").unlink()
    return dict(files.read_json(result))


def compare(images: Path, network: str, folder: Path) -> dict[str, dict[str, float]]:
    """All variants on one image set: a printed table, and the differences to the plain recipe."""
    label = images.parent.name
    print(f"\n{label}, {network}\n{'':14}{'validation %':>14}{'test %':>14}{'difference there':>20}{'loss':>8}{'s':>6}")
    found, plain = {}, {}
    for name in VARIANTS:
        runs = [run(images, network, name, seed, folder / label) for seed in SEEDS]
        plain = plain or {key: [one[key] for one in runs] for key in ("validation", "test")}
        means = {key: statistics.mean(one[key] for one in runs) for key in runs[0]}
        spread = {key: statistics.stdev(one[key] for one in runs) for key in runs[0]}
        gains = [one["test"] - before for one, before in zip(runs, plain["test"], strict=True)]
        better = statistics.mean(gains)
        print(
            f"{name:14}{100 * means['validation']:7.1f} ±{100 * spread['validation']:4.1f} "
            f"{100 * means['test']:7.1f} ±{100 * spread['test']:4.1f} "
            f"{100 * better:+11.1f} ±{100 * statistics.stdev(gains):5.1f}"
            f"{means['test_loss']:9.3f}{means['seconds']:6.0f}",
            flush=True,
        )
        found[f"{label}_{network}_{name}"] = {"validation": means["validation"], "test": means["test"], "gain": better}
    return found


def main() -> None:
    """Train all, print tables and the JSON object."""
    folder = Path(os.environ.get("FOLDER") or tempfile.mkdtemp())
    print(f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}, {len(SEEDS)} seeds")
    facts: dict[str, dict[str, float]] = {}
    for word in sys.argv[1:]:
        images, _, network = word.rpartition(":")
        facts |= compare(Path(images), network, folder)
    rounded = {name: {key: round(value, 4) for key, value in one.items()} for name, one in facts.items()}
    print(json.dumps({"benchmark": "recipe", **rounded}))


if __name__ == "__main__":
    main()
