"""A trained model made ready for other people's sheets: `package.json` says how its answers are to be taken.

Beside `weights.safetensors`, `model.json` and `typical.safetensors` in a model's folder it makes the whole that
`sheetlens predict` takes. Temperature, thresholds and the limit of the distance come from the validation part (a
guarantee only from one sheet of each of its groups that the training part lacks); how often the model errs
(`confusion`: true classes by those named; `errors`: the same in independent sheets) was counted on the test part.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Evaluate, Predict
from sheetlens.evaluate.answering import choose, class_floor
from sheetlens.evaluate.predictions import Model, confusion_matrix, read_model
from sheetlens.evaluate.sections import class_errors
from sheetlens.predict.model_package import PARTS, REVIEW
from sheetlens.statistics.clusters import effective_size
from sheetlens.statistics.selective import ALL, at_threshold

QUANTILES = 1001  # kept of the validation part, to compare collections with


def write_package(dataset: str, title: str, evaluate: Evaluate, predict: Predict, folder: Path) -> None:
    """Write `package.json` into a model folder that has everything else.

    Raises UserError for a class whose name is a decision of its own.
    """
    facts = files.read_object(folder / "model.json", ("classes", "sheets", "image_size", "policy", "fit"))
    if REVIEW in facts["classes"]:
        raise UserError(f"a class of '{dataset}' is called '{REVIEW}', which here means that a person should look")
    model = read_model(folder / "predictions.parquet", facts["classes"])
    table = files.read_table(folder / "predictions.parquet").sort_values("image_id")
    distances = table.loc[table["part"] == "validation", "distance"].to_numpy(np.float64)
    limit = float(np.quantile(distances, 1 - predict.unlike, method="higher"))  # this share lies beyond, at most
    groups = np.unique(table["group"], return_counts=True)[1] if "group" in table else np.ones(1)
    files.write_json(
        folder / "package.json",
        {
            "dataset": dataset,
            "title": title,
            "classes": facts["classes"],
            "trained_on": facts["sheets"],
            "shares": dict(zip(facts["classes"], map(float, model.shares), strict=True)),
            "image_size": facts["image_size"],
            "policy": facts["policy"],
            "fit": facts["fit"],
            "confusion": confusion_matrix(model.test).tolist(),
            "temperature": model.temperature,
            "thresholds": _thresholds(model, evaluate),
            "guarantee": evaluate.guarantee,
            "independent": len(model.independent),
            "floors": _floors(model, facts["classes"], evaluate),
            "errors": _errors(model, facts["classes"]),
            "reference": _reference(model, distances > limit),
            "group_size": float((groups**2).sum() / groups.sum()),
            "unlike": predict.unlike,
            "limit": limit,
            "files": {name: files.sha256(folder / name) for name in PARTS},
            "version": __version__,
        },
    )


def _thresholds(model: Model, evaluate: Evaluate) -> list[dict[str, Any]]:
    """The threshold for each error rate, as log-odds, with its coverage of the validation part.

    `threshold` has a guarantee and is None without one; `unguaranteed` held on the validation part, no more.
    """
    read = model.scaled_validation
    rows = []
    for choice in choose(model, evaluate):
        row: dict[str, Any] = {"risk": choice.risk, "threshold": choice.guaranteed, "unguaranteed": choice.unguaranteed}
        for name in ("threshold", "unguaranteed"):
            value = row[name]
            coverage = 0.0 if value is None else at_threshold(read.log_odds, read.wrong, value)[0]
            row["coverage" if name == "threshold" else "unguaranteed_coverage"] = coverage
        rows.append(row)
    return rows


def _floors(model: Model, classes: list[str], evaluate: Evaluate) -> list[dict[str, Any]]:
    """For each class the log-odds from which a sheet counts as it, so that no more than a share is overlooked."""
    return [
        {"class": name, "missed": missed, "threshold": class_floor(model, number, missed, evaluate.guarantee)}
        for number, name in enumerate(classes)
        for missed in evaluate.missed
    ]


def _errors(model: Model, classes: list[str]) -> dict[str, dict[str, list[float]]]:
    """Sensitivity and specificity for each class as right and tested, in independent sheets of the test part."""
    found: dict[str, dict[str, list[float]]] = {}
    for number, name in enumerate(classes):
        sides = {"sensitivity": class_errors(model.test, number, True)}
        sides["specificity"] = class_errors(model.test, number, False)
        sizes = {side: effective_size(*part).sheets for side, part in sides.items()}
        found[name] = {
            side: [float(right.mean() * sizes[side]) if len(right) else 0.0, sizes[side]]
            for side, (right, _) in sides.items()
        }
    return found


def _reference(model: Model, unlike: np.ndarray) -> list[float]:
    """What collections are compared with: quantiles of the log-odds of independent validation sheets.

    Those out of distribution (`unlike`, bool, a value for each validation sheet) count as the least sure.
    """
    values = np.where(unlike, ALL, model.scaled_validation.log_odds)[model.independent]
    if not len(values):
        return []
    return [float(value) for value in np.quantile(values, np.linspace(0, 1, QUANTILES), method="lower")]
