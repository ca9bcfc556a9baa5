"""What a finished evaluation left on disk, read for the figures and the report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sheetlens.common.files import read_json, read_table
from sheetlens.common.tables import probability_columns
from sheetlens.prepare.image_set import open_image_set


@dataclass(frozen=True)
class Outcome:
    """One evaluation of one data set, and the root that its files lie under.

    `path` is the JSON file that was read, `results` the folder of all products (its parent is the
    project root, which the paths inside the files are relative to).
    """

    path: Path
    results: Path
    evaluation: dict[str, Any]

    @property
    def title(self) -> str:
        """The data set's name for people."""
        return str(self.evaluation.get("title") or self.evaluation["dataset"])

    @property
    def classes(self) -> list[str]:
        """The classes in alphabetical order, the order of all tables and matrices."""
        return list(self.evaluation["classes"])

    @property
    def folder(self) -> Path:
        """The folder with everything of this data set."""
        return self.results / str(self.evaluation["dataset"])

    def model_folder(self, model: dict[str, Any]) -> Path:
        """The folder of one entry of `models`."""
        return self.results.parent / str(model["directory"])


def read_outcome(path: Path, results: Path) -> Outcome:
    """Read `results/{dataset}/evaluation/{network}-{protocol}.json`."""
    return Outcome(path, results, read_json(path))


def read_manifest(outcome: Outcome) -> pd.DataFrame:
    """Read the data set's manifest: one row per file found."""
    return read_table(outcome.folder / "manifest.parquet")


def read_tested(outcome: Outcome) -> pd.DataFrame:
    """Read what every model said about the sheets of its own test part.

    Columns: seed, image_id, label, `probability_{class}` (float64), answer (the class with the
    highest probability), certainty (that probability), own (the probability of the label).
    A sheet has one row for each seed whose test part it stood in.
    """
    tables = []
    for model in outcome.evaluation["models"]:
        table = read_table(outcome.model_folder(model) / "predictions.parquet")
        tables.append(table[table["part"] == "test"].drop(columns="part").assign(seed=model["seed"]))
    return add_answers(pd.concat(tables, ignore_index=True), outcome.classes)


def average_sheets(tested: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Average the models that tested the same sheet: one row per sheet, `models` says how many."""
    names = probability_columns(classes)
    groups = tested.groupby(["image_id", "label"], sort=True)
    averaged = groups[names].mean()
    averaged["models"] = groups.size()
    return add_answers(averaged.reset_index(), classes)


def add_answers(table: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Add answer, certainty and own to a table with a label and one probability per class."""
    names = probability_columns(classes)
    probabilities = table[names].to_numpy(dtype=np.float64)
    own = [classes.index(label) for label in table["label"]]
    return table.astype(dict.fromkeys(names, np.float64)).assign(
        answer=np.array(classes, dtype=object)[probabilities.argmax(axis=1)],
        certainty=probabilities.max(axis=1),
        own=probabilities[np.arange(len(table)), own],
    )


class SheetPictures:
    """The 256-pixel pictures of a data set, by image_id."""

    def __init__(self, outcome: Outcome) -> None:
        """Open the pack without reading it."""
        folder = outcome.folder / "images"
        self.pixels: NDArray[np.uint8] = open_image_set(folder / "pixels.npy")
        index = read_table(folder / "index.parquet")
        self.rows: dict[str, int] = dict(zip(index["image_id"], index["row"], strict=True))

    def picture(self, image_id: str) -> Image.Image:
        """Return one sheet as the network sees it, 256x256 RGB. Raises KeyError if it is not packed."""
        return Image.fromarray(np.ascontiguousarray(self.pixels[self.rows[image_id]].transpose(1, 2, 0)))
