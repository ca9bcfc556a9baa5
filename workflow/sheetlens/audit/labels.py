"""Labels that the models contradict: confident learning on sheets no model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import poisson

from sheetlens.audit.finding import Finding, Inputs, read_scores
from sheetlens.common import files
from sheetlens.common.tables import class_names, probability_columns, safe_cell
from sheetlens.config import Audit
from sheetlens.statistics.calibration import fit_temperature, scale

SURPRISE = 0.05  # a label that the models give less than this is a surprise
WRONG = (0.01, 0.03, 0.1)  # shares of wrong labels that the audit is tried on
TRIALS = 100  # data sets for each of them
ENOUGH = 0.8  # of them must be noticed
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
    columns = probability_columns(classes)
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


@dataclass(frozen=True)
class _Table:
    """One seed's predictions as arrays: probabilities (n, classes), own class, numbers of image and group, parts."""

    probabilities: Probabilities
    own: NDArray[np.int_]
    image: NDArray[np.int_]
    group: NDArray[np.int_]
    chosen: NDArray[np.bool_]
    unseen: NDArray[np.bool_]


@dataclass(frozen=True)
class Surprise:
    """How many groups have a label that surprises, how many would if the probabilities were right, p, and the power.

    `noticed` says for each share of wrong labels in what share of such data sets they would have been noticed.
    """

    found: int
    expected: float
    p: float
    noticed: dict[float, float]


def surprises(predictions: Sequence[pd.DataFrame], level: float) -> Surprise:
    """Count the labels that the models give less than SURPRISE, and say what the count could have noticed.

    Each sheet counts once, with the first model that was not trained on it: the average of models is no longer a
    probability to take at its word. Those of each model are scaled by its temperature, or else a network that is too
    sure of itself would seem to find wrong labels. Of a group (specimen, gathering) one surprise counts, since its
    sheets are alike; p is the upper tail of a Poisson distribution. The power is tried out: labels drawn at random are
    made wrong, in the validation part, too, where they raise the temperature, so that some of them hide.
    """
    tables = _as_arrays(predictions)
    images = max(int(table.image.max()) for table in tables) + 1
    found, expected, p = _count(tables, np.zeros(images, int))
    random = np.random.default_rng(0)
    classes = tables[0].probabilities.shape[1]
    noticed = {}
    for share in WRONG:
        values = []
        for _ in range(TRIALS):
            moved = (random.random(images) < share) * random.integers(1, classes, images)
            values.append(_count(tables, moved)[2] < level)
        noticed[share] = float(np.mean(values))
    return Surprise(found, expected, p, noticed)


def count_surprises(predictions: Sequence[pd.DataFrame]) -> tuple[int, float, float]:
    """The first three of `surprises`, without trying what they could notice."""
    tables = _as_arrays(predictions)
    return _count(tables, np.zeros(max(int(table.image.max()) for table in tables) + 1, int))


def _as_arrays(predictions: Sequence[pd.DataFrame]) -> list[_Table]:
    ordered = [table.sort_values("image_id") for table in predictions]
    together = pd.concat(ordered, ignore_index=True)
    image = pd.factorize(together["image_id"])[0]
    group = pd.factorize(together["group"])[0] if "group" in together else image
    tables, start = [], 0
    for rows in ordered:
        here = slice(start, start + len(rows))
        start += len(rows)
        probabilities, own = read_scores(rows)
        part = rows["part"].to_numpy(str)
        tables.append(_Table(probabilities, own, image[here], group[here], part == "validation", part != "train"))
    return tables


def _count(tables: Sequence[_Table], moved: NDArray[np.int_]) -> tuple[int, float, float]:
    """Surprises found and expected, and p, with the label of each image moved by so many classes."""
    counted = np.zeros(len(moved), bool)
    surprised: set[int] = set()
    expected = 0.0
    for table in tables:
        own = (table.own + moved[table.image]) % table.probabilities.shape[1]
        temperature = fit_temperature(own[table.chosen], table.probabilities[table.chosen])
        new = np.flatnonzero(table.unseen & ~counted[table.image])
        counted[table.image[new]] = True
        scaled = scale(table.probabilities[new], temperature)
        surprised.update(table.group[new][scaled[np.arange(len(new)), own[new]] < SURPRISE].tolist())
        expected += float(np.where(scaled < SURPRISE, scaled, 0).sum())
    return len(surprised), expected, float(poisson.sf(len(surprised) - 1, max(expected, 1e-9)))


def audit_labels(table: pd.DataFrame, surprise: Surprise, sheets: int, level: float) -> Finding:
    """Say how many labels to look at; a note where more contradict the models than chance explains.

    Where none do, say what would have been noticed: silence is no proof.
    """
    found, expected, p = surprise.found, surprise.expected, surprise.p
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
        "noticed": {f"{share:g}": chance for share, chance in surprise.noticed.items()},
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
    power = ", ".join(
        f"{100 * share:g} % wrong labels would have been noticed {round(10 * chance)} times in ten"
        for share, chance in surprise.noticed.items()
    )
    advice = f"Not proof that the labels are right: {power}. "
    if not any(chance >= ENOUGH for chance in surprise.noticed.values()):
        advice += "Too few sheets, or too weak a network, to tell. "
    return Finding(
        "labels",
        "ok",
        f"The models contradict {found} label{'' if found == 1 else 's'}, which may be chance"
        f" ({expected:.1f} by their own doubt).{rest}",
        f"{advice}Look at the first {listed} sheets of the list, the least believable labels.",
        numbers,
    )


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Write the labels that the models behind `predictions` contradict as a review list (.csv), and the finding."""
    tables, review = [files.read_table(path) for path in inputs["predictions"]], output.with_suffix(".csv")
    ranked = rank_labels(tables)
    files.write_table(review, ranked.map(safe_cell))
    finding = audit_labels(ranked, surprises(tables, settings.level), len(tables[0]), settings.level)
    finding.write(output, [review, *inputs["predictions"]])
