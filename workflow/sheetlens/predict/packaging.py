"""A trained model made ready for other people's sheets: `package.json` says how its answers are to be taken.

Beside `weights.safetensors`, `model.json` and `typical.safetensors` in a model's folder it makes the whole that
`sheetlens predict` takes. Temperature, thresholds and the limit of the distance come from the validation part; how
often the model errs (`confusion`: true classes by those named) was counted on the test part.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Evaluate, Predict
from sheetlens.evaluate.predictions import Read, confusion_matrix, read_model
from sheetlens.predict.model_package import PARTS, REVIEW
from sheetlens.statistics.calibration import scale
from sheetlens.statistics.selective import at_threshold, guaranteed_threshold, threshold_at_risk


def write_package(dataset: str, title: str, evaluate: Evaluate, predict: Predict, folder: Path) -> None:
    """Write `package.json` into a model folder that has everything else.

    Raises UserError for a class whose name is a decision of its own.
    """
    facts = files.read_json(folder / "model.json")
    if REVIEW in facts["classes"]:
        raise UserError(f"a class of '{dataset}' is called '{REVIEW}', which here means that a person should look")
    model = read_model(folder / "predictions.parquet", facts["classes"])
    scaled = Read(model.validation.truth, scale(model.validation.probabilities, model.temperature))
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
            "thresholds": [_threshold(scaled, risk, evaluate.guarantee) for risk in evaluate.risks],
            "guarantee": evaluate.guarantee,
            "unlike": predict.unlike,
            "limit": _limit(folder / "predictions.parquet", predict.unlike),
            "files": {name: files.sha256(folder / name) for name in PARTS},
            "version": __version__,
        },
    )


def _threshold(validation: Read, risk: float, guarantee: float) -> dict[str, Any]:
    """The threshold for an error rate: with the guarantee where the validation part allows it, else without."""
    confidence, wrong = validation.confidence, validation.wrong
    guaranteed = guaranteed_threshold(confidence, wrong, risk, guarantee)
    threshold = threshold_at_risk(confidence, wrong, risk) if guaranteed is None else guaranteed
    coverage = 0.0 if threshold is None else at_threshold(confidence, wrong, threshold)[0]
    return {"risk": risk, "threshold": threshold, "guaranteed": guaranteed is not None, "coverage": coverage}


def _limit(predictions: Path, unlike: float) -> float:
    """The distance that this share of the validation part lies beyond, at most."""
    table = files.read_table(predictions)
    distances = table.loc[table["part"] == "validation", "distance"].to_numpy(np.float64)
    return float(np.quantile(distances, 1 - unlike, method="higher"))
