"""Can the class be told without looking at the plant? The network beside every baseline."""

from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.audit.baselines.chance import above_chance, read_baselines
from sheetlens.audit.baselines.matching import score_matched
from sheetlens.audit.baselines.models import BASELINES, MAJORITY
from sheetlens.audit.finding import Finding, Inputs, read_scores
from sheetlens.common import files
from sheetlens.config import Audit
from sheetlens.statistics.significance import holm, paired_gain

WIDE = 0.2  # an interval of a gain this wide or wider says little


def audit_shortcuts(
    tables: dict[str, pd.DataFrame], networks: dict[str, pd.DataFrame], confidence: float, settings: Audit
) -> Finding:
    """The network's gain over every baseline on the same test sheets; alarm where one comes as far as it.

    `networks` holds the network's predictions by the same names as `tables`. A baseline is an alarm when it tells
    the class better than chance and the interval of the network's gain over it reaches to 0. Beside it stands a
    matched control (see `matching`).
    """
    chance = above_chance(tables)
    adjusted = holm({name: values["p"] for name, values in chance.items() if name != MAJORITY})
    rows: dict[str, dict[str, Any]] = {}
    tested = {name: table[table["part"] == "test"].set_index("image_id") for name, table in networks.items()}
    right = pd.concat([_right(table) for table in networks.values()], keys=list(networks))
    for name in BASELINES:
        cheap = {key: table[(table["baseline"] == name) & (table["part"] == "test")] for key, table in tables.items()}
        other = pd.concat([_right(table) for table in cheap.values()], keys=list(cheap))
        groups = pd.concat([table.set_index("image_id")["group"] for table in cheap.values()], keys=list(cheap))
        both = right.to_frame("network").join(other.rename("baseline"), how="inner").join(groups)
        tests = both[["group"]].assign(gain=both["network"].astype(float) - both["baseline"].astype(float))
        rows[name] = {
            "accuracy": float(both["baseline"].mean()),
            **paired_gain(tests, confidence),
            "p_adjusted": adjusted.get(name, 1.0),
            "area": chance[name]["area"],
            "matched": score_matched(*_side_by_side(tested, cheap), confidence) if name != MAJORITY else None,
        }
    network = float(right.mean())
    numbers = {"network": network, "confidence": confidence, "tests": len(right), "baselines": rows}
    return _judge(rows, network, numbers, settings)


def _judge(rows: dict[str, dict[str, Any]], network: float, numbers: dict[str, Any], settings: Audit) -> Finding:
    telling = {name: row for name, row in rows.items() if row["p_adjusted"] < settings.level}
    level = [name for name, row in telling.items() if row["low"] <= 0]
    best = max(telling or rows, key=lambda name: rows[name]["accuracy"])
    score = f"{100 * rows[best]['accuracy']:.1f} %"
    gain = f"{100 * rows[best]['gain']:.1f} points ({100 * rows[best]['low']:.1f} to {100 * rows[best]['high']:.1f})"
    control = _matched(best, rows[best]["matched"]) if telling else ""
    told = f"the best of the cheap models, {best}, is right for {score}, the network for {100 * network:.1f} %"
    few = rows[best]["high"] - rows[best]["low"] > WIDE
    if level:
        return Finding(
            "shortcut baselines",
            "alarm",
            f"The network is not shown to be better than a model that cannot see the plant: {told}.{control}",
            "Do not say that the network reads the plant. Look at what the cheap model sees, even it out between"
            f" the classes and train again{'; or test more sheets, these are too few to tell' * few}.",
            numbers,
        )
    if telling:
        return Finding(
            "shortcut baselines",
            "note",
            f"A part of the accuracy is reached without the plant: {told}. The gain is {gain}.{control}",
            "Report the gain beside the accuracy. Colours of paper and label may belong to the question (browning)"
            " or not: decide which.",
            numbers,
        )
    return Finding(
        "shortcut baselines",
        "ok",
        f"No cheap model tells the class better than chance, the network is right for {100 * network:.1f} %.",
        "Nothing to do."
        if rows[best]["low"] > 0
        else f"Nor is the network shown to be better than the best of them, {best}: test more sheets.",
        numbers,
    )


def _side_by_side(
    networks: dict[str, pd.DataFrame], cheap: dict[str, pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tests of the network and of a baseline, sheet by sheet and split by split, in the same order."""
    second = [table.set_index("image_id") for table in cheap.values()]
    first = [
        networks[key].loc[table.index].assign(group=table["group"]) for key, table in zip(cheap, second, strict=True)
    ]
    return pd.concat(first), pd.concat(second)


def _matched(name: str, matched: dict[str, Any]) -> str:
    """What the matched control says, in words."""
    if matched["verdict"] == "inconclusive":
        return (
            f" Too few sheets of different classes are alike in {name} ({matched['pairs']} pairs) to take its part out:"
            " inconclusive."
        )
    share = f"{100 * matched['accuracy']:.0f} % ({100 * matched['low']:.0f} to {100 * matched['high']:.0f})"
    end = "" if matched["verdict"] == "holds" else ", which may be guessing"
    return (
        f" On {matched['pairs']} pairs of sheets that are alike in {name} the network tells the class of {share}{end}."
    )


def _right(table: pd.DataFrame) -> pd.Series:
    """Whether each test sheet got the answer on its label, by image_id."""
    tested = table[table["part"] == "test"].set_index("image_id")
    probabilities, truth = read_scores(tested)
    return pd.Series(probabilities.argmax(axis=1) == truth, index=tested.index)


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Compare the network behind `evaluation` with each of the `baselines`, sheet by sheet; write the finding."""
    values = files.read_json(inputs["evaluation"][0])
    predictions = [Path(model["directory"]) / "predictions.parquet" for model in values["models"]]
    networks = {path.parent.name: files.read_table(path) for path in predictions}
    finding = audit_shortcuts(read_baselines(inputs["baselines"]), networks, values["confidence"], settings)
    finding.write(output, [*predictions, *inputs["baselines"]])
