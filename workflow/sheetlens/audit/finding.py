"""Audits: what may be wrong with a data set or a model, each with a number and what to do about it."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import class_names, probability_columns

Severity = Literal["ok", "note", "alarm"]
log = logging.getLogger(__name__)


class Inputs(dict[str, list[Path]]):
    """What an audit reads, by the names of its rule's inputs."""

    def add(self, name: str, path: Path) -> None:
        """Take one more file of an input."""
        self.setdefault(name, []).append(path)

    def __missing__(self, name: str) -> list[Path]:
        """Say what is missing. Raises UserError."""
        raise UserError(f"this audit reads '{name}': name its files with --input {name} FILE")


@dataclass(frozen=True)
class Finding:
    """What one audit found.

    `severity` is "ok" (nothing found), "note" (worth knowing) or "alarm" (do not use the result before you
    have looked); `sentence` says what was found, `advice` what to do; `numbers` holds what they rest on
    and `files` names the products, relative to the project's folder, that hold the rest.
    """

    audit: str
    severity: Severity
    sentence: str
    advice: str
    numbers: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def write(self, path: Path, rests_on: Iterable[Path] = ()) -> None:
        """Write the finding as JSON, with the products it rests on, and say it."""
        named = [product.as_posix() for product in rests_on]
        files.write_json(path, asdict(replace(self, files=named) if named else self))
        log.info("%s: %s. %s", self.audit, self.severity, self.sentence)


def read_finding(path: Path) -> Finding:
    """Read a finding that `Finding.write` wrote."""
    return Finding(**files.read_json(path))


def read_scores(predictions: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Probabilities, shape (n, classes), and the classes on the labels as numbers, shape (n,)."""
    classes = class_names(predictions)
    own = pd.Categorical(predictions["label"], categories=classes).codes.astype(int)
    return predictions[probability_columns(classes)].to_numpy(np.float64), own
