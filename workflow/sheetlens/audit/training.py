"""Did every training learn, and did it finish learning?"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.audit.finding import Finding, Inputs
from sheetlens.common import files
from sheetlens.config import Audit

STILL_FALLING = 0.1  # share of the whole fall of the validation loss that the last epoch still brought


def collapsed(model: dict[str, Any]) -> bool:
    """Whether a model cannot be told from one that always names the commonest class.

    True when the majority share of its test part lies inside or above the interval of its accuracy, or when it gave
    every sheet the same answer.
    """
    answers = [sum(column) for column in zip(*model["confusion"], strict=True)]
    return bool(model["low"] <= model["majority"] or sum(count > 0 for count in answers) == 1)


def audit_training(
    evaluation: dict[str, Any], histories: dict[int, pd.DataFrame], restarts: dict[int, list[dict[str, Any]]]
) -> Finding:
    """Alarm for a training that broke or learnt nothing, a note for one begun again or still learning at its end.

    `evaluation` is the evaluation of one network and protocol, `histories` the history of each seed, `restarts` what
    `model.json` says of attempts given up, for the seeds that had some.
    """
    facts = {}
    for model in evaluation["models"]:
        history = histories[model["seed"]]
        facts[model["seed"]] = {
            "accuracy": model["accuracy"],
            "majority": model["majority"],
            "collapsed": collapsed(model),
            "broken": bool(~np.isfinite(history[["train_loss", "validation_loss"]].to_numpy(float)).all()),
            "unfinished": _unfinished(history),
            "epochs": len(history),
        }
    for seed, attempts in restarts.items():
        facts[seed]["restarts"] = attempts
    numbers = {"seeds": {str(seed): fact for seed, fact in facts.items()}}

    def those(what: str) -> str:
        return ", ".join(str(seed) for seed, fact in facts.items() if fact.get(what))

    if those("broken"):
        return Finding(
            "training",
            "alarm",
            f"The loss became infinite or no number with seed {those('broken')}.",
            "Lower train.learning_rate and train again.",
            numbers,
        )
    if those("collapsed"):
        return Finding(
            "training",
            "alarm",
            f"The run with seed {those('collapsed')} cannot be told from always naming the commonest class"
            f" ({100 * max(fact['majority'] for fact in facts.values() if fact['collapsed']):.1f} % right).",
            "Do not use that model. Train with more sheets, more epochs or another learning rate; if every seed"
            " fails, the pictures may not show the class. A small test part alone can cause this, too.",
            numbers,
        )
    if those("restarts"):
        return Finding(
            "training",
            "note",
            f"The training failed and was begun again from another seed with seed {those('restarts')}.",
            f"Say so beside the accuracy (attempts given up: {sum(map(len, restarts.values()))}). If there are many,"
            " lower train.learning_rate.",
            numbers,
        )
    if those("unfinished"):
        return Finding(
            "training",
            "note",
            f"The validation loss was still falling when training ended with seed {those('unfinished')}.",
            "Raise train.epochs: there is more to gain.",
            numbers,
        )
    return Finding("training", "ok", "Every run learnt its task and finished learning.", "Nothing to do.", numbers)


def _unfinished(history: pd.DataFrame) -> bool:
    """Whether the last epoch is the best and brought a good part of all that was gained."""
    loss = history["validation_loss"].to_numpy(float)
    if len(loss) < 2 or not np.isfinite(loss).all() or loss.argmin() < len(loss) - 1:
        return False
    return bool(loss[-2] - loss[-1] > STILL_FALLING * (loss.max() - loss[-1]))


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Ask whether every training behind the `evaluation` learnt and finished learning; write the finding."""
    (evaluation,) = inputs["evaluation"]
    values = files.read_json(evaluation)
    paths = {model["seed"]: Path(model["directory"]) / "history.csv" for model in values["models"]}
    histories = {seed: files.read_table(path).astype(float) for seed, path in paths.items()}
    facts = {seed: files.read_json(path.with_name("model.json")) for seed, path in paths.items()}
    restarts = {seed: one["restarts"] for seed, one in facts.items() if "restarts" in one}
    audit_training(values, histories, restarts).write(output, [evaluation, *paths.values()])
