"""The answers of a run of `predict` that can be checked: the sheets that have probabilities."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import probability_columns
from sheetlens.pages.render import STAINED
from sheetlens.statistics.calibration import log_odds


@dataclass(frozen=True)
class Answers:
    """`sheets` has image_id, specimen_id, barcode, and one row for each of N sheets that the model gave probabilities.

    `probabilities`, float, shape (N, classes), and `answer`, int, the most probable class; `left_out` counts the images
    without probabilities by reason; `digest` tells the table of one run from that of another.
    """

    classes: list[str]
    sheets: pd.DataFrame
    probabilities: np.ndarray
    left_out: dict[str, int]
    summary: dict[str, Any]
    digest: str

    @property
    def answer(self) -> np.ndarray:
        """The most probable class of each sheet, int."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> np.ndarray:
        """What sheets are ranked by, and thresholds are of: log-odds."""
        return log_odds(self.probabilities)


def open_answers(run: Path) -> Answers:
    """Read the folder that `predict` wrote. Raises UserError for any other, and where no sheet has probabilities."""
    path = run / "predictions.parquet"
    if not path.is_file() or not (run / "summary.json").is_file():
        raise UserError(f"{run} has no answers of a model: give the folder that `sheetlens predict` wrote")
    summary, table = files.read_json(run / "summary.json"), files.read_table(path)
    try:
        classes = list(summary["model"]["classes"])
        if not classes or not isinstance(summary["model"]["package_sha256"], str):
            raise TypeError("its summary names no classes, or no package_sha256")
        scores = table[probability_columns(classes)].to_numpy(np.float64)
        refused, unlike = table["status"] != "ok", table["unlike"].fillna(False).astype(bool)
        sheets = table[["image_id", "specimen_id", "barcode"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run} is not what `sheetlens predict` wrote ({error}): predict again") from None
    known = ~np.isnan(scores).any(axis=1)
    if not known.any():
        raise UserError(f"no sheet in {run} has probabilities: there is nothing to check")
    reasons = {"refused, as their files could not be read": refused, "unlike the sheets of the training": unlike}
    left_out = {reason: int((marked & ~known).sum()) for reason, marked in reasons.items()}
    return Answers(
        classes,
        sheets[known].reset_index(drop=True),
        scores[known],
        {reason: count for reason, count in left_out.items() if count},
        summary,
        files.sha256(path),
    )


def of_interest(classes: list[str], label: str | None) -> str:
    """The class that numbers are shown for first: `label`, else that of treated sheets, else the first."""
    if label and label not in classes:
        raise UserError(f"the model has no class '{label}'; its classes are {', '.join(classes)}")
    return label or (STAINED if STAINED in classes else classes[0])
