"""How trained models read their validation and test parts: the arrays that every measure is taken from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.statistics.calibration import fit_temperature, scale


@dataclass(frozen=True)
class Read:
    """How one model read one part: true classes, int, shape (n,), and probabilities, float64, shape (n, classes)."""

    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """The highest probability of each sheet."""
        return self.probabilities.max(axis=1)

    @property
    def wrong(self) -> np.ndarray:
        """Whether another class than the true one has it."""
        return self.probabilities.argmax(axis=1) != self.truth

    def take(self, sheets: np.ndarray) -> "Read":
        """The same of some sheets, int, shape (m,)."""
        return Read(self.truth[sheets], self.probabilities[sheets])


def confusion_matrix(read: Read) -> np.ndarray:
    """How many sheets of each true class (rows) were named as each class: int, shape (classes, classes)."""
    counts = np.zeros((read.probabilities.shape[1],) * 2, dtype=int)
    np.add.at(counts, (read.truth, read.probabilities.argmax(axis=1)), 1)
    return counts


@dataclass(frozen=True)
class Model:
    """One seed: its validation part and its test part, the temperature from the former, the share of each class."""

    validation: Read
    test: Read
    temperature: float
    shares: np.ndarray

    @property
    def scaled(self) -> Read:
        """The test part with scaled probabilities."""
        return Read(self.test.truth, scale(self.test.probabilities, self.temperature))


def read_model(predictions: Path, classes: list[str]) -> Model:
    """Read a predictions table, sheets sorted by image_id, and fit the temperature."""
    table = files.read_table(predictions).sort_values("image_id")
    columns = [f"probability_{name}" for name in classes]
    parts = [table[table["part"] == part] for part in ("validation", "test")]
    validation, test = (
        Read(pd.Categorical(part["label"], categories=classes).codes.astype(int), part[columns].to_numpy(np.float64))
        for part in parts
    )
    shares = table["label"].value_counts(normalize=True).reindex(classes).to_numpy()
    return Model(validation, test, fit_temperature(validation.truth, validation.probabilities), shares)
