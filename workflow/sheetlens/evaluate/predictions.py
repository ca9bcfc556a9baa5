"""How trained models read their validation and test parts: the arrays that every measure is taken from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import probability_columns
from sheetlens.statistics.calibration import fit_temperature, log_odds, scale
from sheetlens.statistics.clusters import one_of_each


@dataclass(frozen=True)
class Read:
    """How one model read one part.

    `truth` holds the true classes, int, shape (n,), `probabilities`, float64, shape (n, classes), and `groups`, int,
    shape (n,), the same number for sheets that belong together; without it each stands alone.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray = field(default_factory=lambda: np.empty(0, int))

    def __post_init__(self) -> None:
        """Refuse what is no number, which would be ranked and counted as if it were one; number lone sheets."""
        if not np.isfinite(self.probabilities).all():
            raise UserError("some predictions are no numbers: the training failed, make the predictions again")
        if len(self.groups) != len(self.truth):
            object.__setattr__(self, "groups", np.arange(len(self.truth)))

    @property
    def confidence(self) -> np.ndarray:
        """The highest probability of each sheet."""
        return self.probabilities.max(axis=1)

    @property
    def log_odds(self) -> np.ndarray:
        """What sheets are ranked by: how sure the predicted class is (see `log_odds` in statistics)."""
        return log_odds(self.probabilities)

    @property
    def wrong(self) -> np.ndarray:
        """Whether another class than the true one has it."""
        return self.probabilities.argmax(axis=1) != self.truth

    def take(self, sheets: np.ndarray) -> "Read":
        """The same of some sheets, int, shape (m,)."""
        return Read(self.truth[sheets], self.probabilities[sheets], self.groups[sheets])


def confusion_matrix(read: Read) -> np.ndarray:
    """How many sheets of each true class (rows) were named as each class: int, shape (classes, classes)."""
    counts = np.zeros((read.probabilities.shape[1],) * 2, dtype=int)
    np.add.at(counts, (read.truth, read.probabilities.argmax(axis=1)), 1)
    return counts


@dataclass(frozen=True)
class Model:
    """One seed: its validation and test part, the temperature from the former, the share of each class.

    `independent` are rows of the validation part, int: one sheet of each group that has none in the training part.
    Only on them can a guarantee rest. `trained` is the number of sheets of the training part.
    """

    validation: Read
    test: Read
    temperature: float
    shares: np.ndarray
    independent: np.ndarray
    trained: int

    @property
    def scaled(self) -> Read:
        """The test part with scaled probabilities."""
        return self._scale(self.test)

    @property
    def scaled_validation(self) -> Read:
        """The validation part with scaled probabilities."""
        return self._scale(self.validation)

    def _scale(self, read: Read) -> Read:
        return Read(read.truth, scale(read.probabilities, self.temperature), read.groups)


def read_model(predictions: Path, classes: list[str]) -> Model:
    """Read a predictions table, sheets sorted by image_id, and fit the temperature.

    Without a column `group`, as in tables of earlier versions, each sheet stands alone.
    """
    table, columns = files.read_table(predictions), probability_columns(classes)
    with files.reading(predictions):
        table = table.sort_values("image_id", ignore_index=True)
        if lacking := {"label", "part", *columns} - set(table.columns):
            raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
    group = table["group"] if "group" in table else table["image_id"]
    groups = pd.Series(pd.factorize(group)[0], index=table.index)
    parts = {part: table[table["part"] == part] for part in ("train", "validation", "test")}
    validation, test = (
        Read(
            pd.Categorical(rows["label"], categories=classes).codes.astype(int),
            rows[columns].to_numpy(np.float64),
            groups[rows.index].to_numpy(),
        )
        for rows in (parts["validation"], parts["test"])
    )
    single = one_of_each(validation.groups)
    known = np.isin(validation.groups[single], groups[parts["train"].index].to_numpy())
    return Model(
        validation,
        test,
        fit_temperature(validation.truth, validation.probabilities),
        table["label"].value_counts(normalize=True).reindex(classes).to_numpy(),
        single[~known],
        len(parts["train"]),
    )
