"""A finished study in miniature, made up in the files' exact layout: what figures and report read."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from sheetlens.config import Evaluate, Train
from sheetlens.evaluate.evaluation import evaluate_dataset
from sheetlens.evaluate.verdict import judge_reproduction
from sheetlens.split.groups import comparable, relate
from sheetlens.split.leakage import measure_leakage

PAPER = {
    "accuracy": 0.90,
    "accuracy_low": 0.884,
    "accuracy_high": 0.914,
    "kept_accuracy": 0.94,
    "kept_low": 0.926,
    "kept_high": 0.951,
    "test_sheets": 1555,
    "aside_error": 0.46,
}


@dataclass(frozen=True)
class MadeUp:
    """What a made-up data set is like; `originals` are photographs to use instead of drawn ones."""

    dataset: str = "mercury"
    title: str = "Mercury-stained or unstained"
    classes: tuple[str, ...] = ("stained", "unstained")
    sheets: int = 80
    seeds: tuple[int, ...] = (1, 2, 3)
    sureness: float = 2.0
    paper: dict[str, Any] | None = field(default_factory=lambda: dict(PAPER))
    network: str = "table1"
    name: str = "sheet {number:04d}.jpg"
    originals: tuple[Path, ...] = ()


def make_study(root: Path, made_up: MadeUp) -> Path:
    """Write one finished data set under root/results and return the path of its evaluation."""
    random = np.random.default_rng(7)
    folder = root / "results" / made_up.dataset
    manifest = _write_sheets(root, folder, made_up, random)
    accepted = manifest[manifest["status"] == "ok"].reset_index(drop=True)
    predictions = {seed: _write_model(folder, made_up, accepted, seed) for seed in made_up.seeds}
    path = folder / "evaluation" / f"{made_up.network}-random.json"
    path.parent.mkdir(parents=True)
    names = (made_up.dataset, made_up.title, made_up.network, "random")
    values = evaluate_dataset(*names, predictions, None, Evaluate()) | {"paper": made_up.paper}
    for model in values["models"]:
        model["directory"] = str(Path(model["directory"]).relative_to(root))
    path.write_text(json.dumps(values, indent=2))
    (folder / "verdict.json").write_text(json.dumps(judge_reproduction(values, "figshare")))
    _write_leakage(folder, made_up.seeds)
    return path


def _write_leakage(folder: Path, seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        split = pd.read_csv(folder / "splits" / f"random-{seed}.tsv", sep="\t", dtype=str, keep_default_na=False)
        split = split.assign(recordedBy="", recordNumber="", eventDate="")
        none = pd.DataFrame(columns=["first", "second", "kind"])
        counts = measure_leakage(split, relate(split, none, 10), comparable(split, 10))
        report = {"protocol": "random", "seed": seed} | counts
        (folder / "splits" / f"random-{seed}.leakage.json").write_text(json.dumps(report))


def _write_sheets(root: Path, folder: Path, made_up: MadeUp, random: np.random.Generator) -> pd.DataFrame:
    originals = root / "originals" / made_up.dataset
    originals.mkdir(parents=True)
    rows, pixels = [], []
    for number in range(made_up.sheets):
        label = made_up.classes[number % len(made_up.classes)]
        image_id = made_up.name.format(number=number)
        if made_up.originals:
            path = made_up.originals[number % len(made_up.originals)]
            picture = Image.open(path)
            picture.draft("RGB", (256, 256))
        else:
            path = originals / f"{number}.jpg"
            tone = 60 + 40 * made_up.classes.index(label)
            noise = random.integers(0, 40, (60, 40, 3)) + tone
            picture = Image.fromarray(noise.astype(np.uint8)).resize((200, 300))
            picture.save(path)
        pixels.append(np.asarray(picture.convert("RGB").resize((256, 256))).transpose(2, 0, 1))
        rows.append((image_id, f"S{number // 2}", label, str(path), "ok", "", *picture.size))
    (originals / "text.jpg").write_text("not a picture")
    small = originals / "small.png"
    Image.new("RGB", (30, 40), "green").save(small)
    rows.append(("text.jpg", "", made_up.classes[0], str(originals / "text.jpg"), "refused", "no image", None, None))
    rows.append(("small.png", "", made_up.classes[0], str(small), "refused", "too small: 30x40", None, None))
    names = ["image_id", "specimen_id", "label", "path", "status", "reason", "width", "height"]
    manifest = pd.DataFrame(rows, columns=names).astype({"width": "Int64", "height": "Int64"})
    manifest = manifest.assign(
        source_url="",
        licence="CC0-1.0",
        licence_asserted=True,
        rights_holder="Herbarium of the tests",
        bytes=1000,
        sha256=[hashlib.sha256(str(name).encode()).hexdigest() for name in manifest["image_id"]],
        format="JPEG",
        mode="RGB",
    )
    manifest["path"] = [
        str(Path(path).relative_to(root)) if path.startswith(str(root)) else path for path in manifest["path"]
    ]
    images = folder / "images"
    images.mkdir(parents=True)
    manifest.to_parquet(folder / "manifest.parquet", index=False)
    np.save(images / "pixels.npy", np.array(pixels))
    index = manifest[manifest["status"] == "ok"][["image_id", "specimen_id", "label", "sha256"]].assign(
        pixels_sha256=""
    )
    index.insert(0, "row", range(len(index)))
    index.to_parquet(images / "index.parquet", index=False)
    return manifest


def _write_model(folder: Path, made_up: MadeUp, accepted: pd.DataFrame, seed: int) -> Path:
    random = np.random.default_rng(seed)
    classes = sorted(made_up.classes)
    split = accepted[["image_id", "specimen_id", "label"]].copy()
    split["part"] = random.permutation(np.repeat(["train", "validation", "test"], [7, 2, 1]).repeat(len(split))[::10])[
        : len(split)
    ]
    # every class stands in every part
    for label in classes:
        split.loc[split.index[split["label"] == label][:3], "part"] = ["train", "validation", "test"]
    (folder / "splits").mkdir(exist_ok=True)
    split.to_csv(folder / "splits" / f"random-{seed}.tsv", sep="\t", index=False)
    truth = np.array([classes.index(label) for label in split["label"]])
    logits = random.normal(0, 1.5, (len(split), len(classes)))
    logits[np.arange(len(split)), truth] += made_up.sureness
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions = split[["image_id", "specimen_id", "part", "label"]].copy()
    predictions.insert(2, "group", split["image_id"])
    for number, name in enumerate(classes):
        predictions[f"probability_{name}"] = probabilities[:, number].astype(np.float32)
    model = folder / "models" / made_up.network / f"random-{seed}"
    model.mkdir(parents=True)
    predictions.to_parquet(model / "predictions.parquet", index=False)
    epochs = np.arange(1, 13)
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": 0.7 * np.exp(-epochs / 4),
            "validation_loss": 0.2 + 0.5 * np.exp(-epochs / 3) + random.normal(0, 0.02, 12),
            "validation_accuracy": 0.93 - 0.4 * np.exp(-epochs / 3) + random.normal(0, 0.01, 12),
        }
    )
    history.to_csv(model / "history.csv", index=False)
    facts = {
        "network": made_up.network,
        "classes": classes,
        "seed": seed,
        "normalisation": {"mean": [0.7, 0.7, 0.6], "std": [0.2, 0.2, 0.2]},
        "settings": Train(epochs=12).model_dump(exclude={"gpus", "restarts"}) | {"learning_rate": 0.0001},
        "device": "cpu",
        "precision": "float32",
        "parameters": 4150830,
        "image_size": 256,
        "fit": "squash",
        "policy": "policy-1",
        "data": {"index_sha256": "0" * 64, "split_sha256": "1" * 64},
        "weights_sha256": "2" * 64,
        "validation_accuracy": 0.93,
        "best_epoch": 9,
        "epochs_run": 12,
        "versions": {"python": "3.11.2", "torch": "2.11.0", "sheetlens": "0.1.0"},
    }
    (model / "model.json").write_text(json.dumps(facts))
    return model / "predictions.parquet"
