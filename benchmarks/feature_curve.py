"""Accuracy over the number of labelled sheets: features, fine-tuning and Table 1 (see `benchmarks.features`)."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedShuffleSplit

from sheetlens.common import files
from sheetlens.config import Network, Train
from sheetlens.features.head import fit_head
from sheetlens.figure.style import COLOURS, house_style, new_figure, percent_axis
from sheetlens.predict.inference import predict_sheets
from sheetlens.prepare.resize import POLICY
from sheetlens.train.training import train_network

SEEDS, SIZES = range(1, 6), (20, 50, 100, 200)
FINE_TUNED = Network(backbone="efficientnet_lite0", weights={"installed": True}, train="all")
TRAINED = {  # the steps that suit a few hundred sheets: chosen on the validation parts
    "fine-tuned": (
        FINE_TUNED,
        Train(epochs=20, batch_size=16, learning_rate={"fine-tuned": 3e-4}, recipe={"flip": True}),
    ),
    "table1": (None, Train(epochs=20, batch_size=16, learning_rate={"table1": 3e-4})),
}

NAMES = {"features": "features", "fine-tuned": "fine-tuned", "table1": "Table 1"}


def curve(pixels: np.ndarray, values: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Accuracy of each way by number of labelled sheets and seed."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.save(place / "pixels.npy", pixels)
        names = [f"{number:04}" for number in range(len(labels))]
        index = pd.DataFrame({"image_id": names, "specimen_id": names, "label": np.where(labels, "piper", "other")})
        files.write_table(place / "index.parquet", index.assign(row=range(len(labels)), fit="squash", policy=POLICY))
        for size in SIZES:
            for seed in SEEDS:
                split = StratifiedShuffleSplit(1, train_size=size, random_state=seed).split(values, labels)
                labelled, test = next(split)
                head = fit_head(values[labelled], labels[labelled], 2)
                right = {"features": (head.probabilities(values[test]).argmax(1) == labels[test]).mean()}
                for way in TRAINED:
                    right[way] = trained(way, place, index, labelled, test, labels, seed)
                rows += [
                    {"sheets": size, "seed": seed, "way": way, "accuracy": float(one)} for way, one in right.items()
                ]
                print(
                    "  ".join(f"{way} {100 * one:.1f} %" for way, one in right.items()),
                    f"({size} sheets, seed {seed})",
                    flush=True,
                )
    return pd.DataFrame(rows)


def trained(way: str, place: Path, index: pd.DataFrame, labelled, test, labels, seed: int) -> float:
    """Accuracy of a network that is trained on the labelled sheets, a fifth of which are for validation."""
    cut = StratifiedShuffleSplit(1, test_size=max(2, len(labelled) // 5), random_state=seed)
    train, validation = next(cut.split(labelled, labels[labelled]))
    parts = np.full(len(labels), "none", object)
    parts[labelled[train]], parts[labelled[validation]], parts[test] = "train", "validation", "test"
    files.write_table(place / "split.tsv", index[["image_id"]].assign(part=parts))
    definition, settings = TRAINED[way]
    data = (place / "pixels.npy", place / "index.parquet", place / "split.tsv")
    train_network(*data, way, seed, settings, place / "model", definition)
    predict_sheets(place / "model", *data, place / "predictions.parquet", place / "typical.safetensors")
    table = files.read_table(place / "predictions.parquet").query("part == 'test'")
    return float(((table["probability_piper"] > 0.5) == (table["label"] == "piper")).mean())


def draw(table: pd.DataFrame, stem: Path) -> None:
    """The curve as a table (.csv) and a figure (.svg): means, and a bar from the worst to the best seed."""
    files.write_table(stem.with_suffix(".csv"), table)
    with house_style():
        figure = new_figure(4.2, 2.8)
        axes = figure.subplots()
        for number, (way, one) in enumerate(table.groupby("way", sort=False)):
            accuracy = one.groupby("sheets")["accuracy"]
            mean = accuracy.mean()
            errors = [mean - accuracy.min(), accuracy.max() - mean]
            axes.errorbar(mean.index, mean, errors, color=COLOURS[number], marker="o", capsize=2, label=NAMES[way])
        axes.set(xlabel="labelled sheets", ylabel="accuracy on test sheets", xscale="log")
        axes.minorticks_off()
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
        axes.yaxis.set_major_formatter(percent_axis())
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(stem.with_suffix(".svg"))
