"""Labels that the models contradict: confident learning on sheets no model was trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import poisson

from sheetlens.audit.finding import Finding, read_scores
from sheetlens.common import files
from sheetlens.common.tables import class_names, safe_cell
from sheetlens.config import Audit
from sheetlens.statistics.calibration import fit_temperature, scale

SURPRISE = 0.05  # a label that the models give less than this is a surprise
LISTED = 0.05  # share of the sheets that a person is asked to look at
Probabilities = NDArray[np.float64]


def rank_labels(predictions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Judge the label of every sheet that stood in a validation or test part, the least believable first.

    `predictions` holds image_id, part, label and `probability_{class}`, one table for each seed. Probabilities are
    averaged over the models that were not trained on the sheet. Returns rank (1 is the least believable), image_id,
    label, suggested (the class the models name instead), probability (of the label), margin (the same less
    that of the suggested class, -1 to 1), models, contradicted (how many of them name another class) and suspect
    (confident learning: the suggested class is as probable as it is on average for sheets labelled so).
    Northcutt et al. 2021, J. Artif. Intell. Res. 70: 1373-1411.
    """
    classes = np.array(class_names(predictions[0]), dtype=object)
    columns = [f"probability_{name}" for name in classes]
    unseen = pd.concat([table[table["part"] != "train"] for table in predictions], ignore_index=True)
    unseen["contradicted"] = classes[unseen[columns].to_numpy().argmax(axis=1)] != unseen["label"]
    groups = unseen.groupby(["image_id", "label"], sort=True)
    sheets = groups[columns].mean().astype(np.float64)
    sheets["models"] = groups.size()
    sheets["contradicted"] = groups["contradicted"].sum()
    sheets = sheets.reset_index()
    probabilities, own = read_scores(sheets)
    rows = np.arange(len(sheets))
    typical = np.array([probabilities[own == code, code].mean() for code in range(len(classes))])
    others = probabilities.copy()
    others[rows, own] = -1
    rival = others.argmax(axis=1)
    table = sheets[["image_id", "label", "models", "contradicted"]].assign(
        suggested=classes[rival],
        probability=probabilities[rows, own],
        margin=probabilities[rows, own] - others.max(axis=1),
        suspect=(others >= typical).any(axis=1) & (others.max(axis=1) > probabilities[rows, own]),
    )
    table = table.sort_values(["margin", "image_id"], ignore_index=True)
    table.insert(0, "rank", range(1, len(table) + 1))
    order = ["rank", "image_id", "label", "suggested", "probability", "margin", "models", "contradicted", "suspect"]
    return table[order]


def surprises(predictions: Sequence[pd.DataFrame]) -> tuple[int, float, float]:
    """How many labels the models give less than SURPRISE, how many would be if their probabilities were right, and p.

    Each sheet counts once, with the first model that was not trained on it: the average of models is no
    longer a probability to take at its word. Those of each model are scaled by its temperature, or else a network that
    is too sure of itself would seem to find wrong labels. Wrong labels in the validation part raise the temperature,
    too, so that few of them hide: in simulations 3 % of 1,000 labels or 1 % of 5,000 were noticed nine times in ten,
    1 % of 1,000 seldom. p is the upper tail of a Poisson distribution.
    """
    tables = [table.sort_values("image_id") for table in predictions]
    scaled = np.concatenate([_scaled(table) for table in tables])
    everything = pd.concat(tables, ignore_index=True)
    unseen = everything[everything["part"] != "train"].drop_duplicates("image_id")
    probabilities, own = scaled[unseen.index], read_scores(unseen)[1]
    found = int((probabilities[np.arange(len(own)), own] < SURPRISE).sum())
    expected = float(np.where(probabilities < SURPRISE, probabilities, 0).sum())
    return found, expected, float(poisson.sf(found - 1, max(expected, 1e-9)))


def _scaled(predictions: pd.DataFrame) -> Probabilities:
    """A model's probabilities at its temperature, shape (n, classes)."""
    probabilities, own = read_scores(predictions)
    chosen = (predictions["part"] == "validation").to_numpy()
    return scale(probabilities, fit_temperature(own[chosen], probabilities[chosen]))


def audit_labels(table: pd.DataFrame, surprise: tuple[int, float, float], sheets: int, level: float) -> Finding:
    """Say how many labels to look at; a note where more contradict the models than chance explains."""
    found, expected, p = surprise
    suspects = int(table["suspect"].sum())
    listed = max(suspects, round(LISTED * len(table)))
    numbers = {
        "sheets": sheets,
        "judged": len(table),
        "suspects": suspects,
        "surprises": found,
        "surprises_expected": expected,
        "p": p,
        "level": level,
    }
    rest = (
        f" {sheets - len(table)} sheets stood in training with every seed and could not be judged."
        if sheets > len(table)
        else ""
    )
    if p < level:
        return Finding(
            "labels",
            "note",
            f"The models firmly contradict {found} labels, where {expected:.1f} would be expected by chance."
            f" {suspects} of {len(table)} sheets judged are suspect.{rest}",
            f"Look at the first {listed} sheets of the list: either the label is wrong or the sheet shows what the"
            " models are blind to. Correct labels at their source and run again.",
            numbers,
        )
    return Finding(
        "labels",
        "ok",
        f"The models contradict {found} labels, which may be chance ({expected:.1f} by their own doubt).{rest}",
        "Nothing to do. The list is there all the same, the least believable label first.",
        numbers,
    )


def write_labels(settings: Audit, table: Path, output: Path, predictions: Sequence[Path]) -> None:
    """Write the labels that the models contradict as a review list, and the finding."""
    tables = [files.read_table(path) for path in predictions]
    ranked = rank_labels(tables)
    files.write_table(table, ranked.map(safe_cell))
    finding = audit_labels(ranked, surprises(tables), len(tables[0]), settings.level)
    finding.write(output, [table, *predictions])
