"""Can the class be told without looking at the plant? The imaging set-up first, then every baseline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.audit.baselines import BASELINES, MAJORITY
from sheetlens.audit.finding import Finding, read_scores
from sheetlens.audit.matching import score_matched
from sheetlens.common import files
from sheetlens.config import Audit
from sheetlens.statistics.significance import area, combine_p, held_out, holm, paired_gain, permutation_p

IMAGING = ("imaging set-up", "border strip")  # neither sees the plant, the paper or the label
FEWEST = 30  # unseen sheets, with less silence says nothing
WIDE = 0.2  # an interval of a gain this wide or wider says little


def read_baselines(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """The tables of `predict_baselines` by file name without ending, such as "random-1"."""
    return {path.stem: files.read_table(path) for path in paths}


def above_chance(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """For each baseline: accuracy and ROC area on unseen sheets, mean over the splits, and one p against chance.

    Unseen are one sheet of each group that has none in training (see `held_out`); 0 and a half where there are none.
    """
    result: dict[str, dict[str, Any]] = {}
    for name in BASELINES:
        unseen = [held_out(table[table["baseline"] == name]) for table in tables.values()]
        scores = [(*read_scores(sheets), len(sheets)) for sheets in unseen if len(sheets)]
        result[name] = {
            "accuracy": float(np.mean([(probs.argmax(axis=1) == truth).mean() for probs, truth, _ in scores] or [0])),
            "area": float(np.mean([area(probs, truth) for probs, truth, _ in scores] or [0.5])),
            "p": 1.0
            if name == MAJORITY or not scores
            else combine_p([permutation_p(probs, truth) for probs, truth, _ in scores]),
            "sheets": [len(sheets) for sheets in unseen],
        }
    return result


def audit_setup(tables: dict[str, pd.DataFrame], settings: Audit) -> Finding:
    """Alarm where the way a sheet was photographed tells its class.

    Only views that cannot hold the plant, the paper or the label raise it. Both are tested against chance
    (Holm), so that without any shortcut it sounds in at most a share `settings.level` of the data sets; and
    the ROC area must reach `settings.area`, so that a trifle in a large data set stays a note.
    """
    chance = {name: values for name, values in above_chance(tables).items() if name in IMAGING}
    adjusted = holm({name: values["p"] for name, values in chance.items()})
    for name, values in chance.items():
        values["p_adjusted"] = adjusted[name]
    told = {name: values for name, values in chance.items() if values["p_adjusted"] < settings.level}
    loud = {name: values for name, values in told.items() if values["area"] >= settings.area}
    numbers = {"level": settings.level, "area_for_alarm": settings.area, "baselines": chance}
    best = max(chance, key=lambda name: (name in told, chance[name]["area"]))
    share = f"{100 * chance[best]['accuracy']:.0f} % of unseen sheets (p = {chance[best]['p_adjusted']:.4f})"
    if loud:
        return Finding(
            "imaging set-up",
            "alarm",
            f"The class can be told from how the sheets were photographed: the {best} alone names {share} rightly.",
            "Photograph both classes with the same camera, light and settings, or choose sheets so that each"
            " set-up has as many of each class. Until then no accuracy here says that the network reads the plant."
            " Look at the border first: if it shows paper and not the table, browned paper may speak there.",
            numbers,
        )
    if told:
        return Finding(
            "imaging set-up",
            "note",
            f"The {best} says a little about the class: it names {share} rightly.",
            "Too little to explain the network's answers. Keep the set-up the same for both classes all the same.",
            numbers,
        )
    if (unseen := min(chance[best]["sheets"])) < FEWEST:
        return Finding(
            "imaging set-up",
            "note",
            f"Whether the class can be told from how the sheets were photographed is unknown: {unseen} sheets outside"
            " of the training part are of a specimen or gathering of their own, which is too few to tell.",
            "Add the protocol 'grouped' to split.protocols, so that whole gatherings are kept from training.",
            numbers,
        )
    return Finding(
        "imaging set-up",
        "ok",
        "Neither size, format and camera nor the border of the pictures tell the class better than chance.",
        "Nothing to do. A set-up that leaves no trace in the file or at the border would not be found here.",
        numbers,
    )


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
            f"Part of the answer is there without the plant: {told}. The gain is {gain}.{control}",
            "Report the gain beside the accuracy. Colours of paper and label may belong to the question (browning)"
            " or not: decide which.",
            numbers,
        )
    return Finding(
        "shortcut baselines",
        "ok",
        f"No cheap model tells the class better than chance, the network is right for {100 * network:.1f} %.",
        "Nothing to do.",
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


def write_setup(settings: Audit, baselines: Sequence[Path], output: Path) -> None:
    """Ask whether the way a sheet was photographed tells its class; write the finding."""
    audit_setup(read_baselines(baselines), settings).write(output, baselines)


def write_shortcuts(settings: Audit, baselines: Sequence[Path], evaluation: Path, output: Path) -> None:
    """Compare the network with every baseline, sheet by sheet; write the finding."""
    values = files.read_json(evaluation)
    predictions = [Path(model["directory"]) / "predictions.parquet" for model in values["models"]]
    networks = {path.parent.name: files.read_table(path) for path in predictions}
    finding = audit_shortcuts(read_baselines(baselines), networks, values["confidence"], settings)
    finding.write(output, [*predictions, *baselines])
