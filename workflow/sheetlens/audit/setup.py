"""Can the class be told from how the sheets were photographed?"""

from pathlib import Path

import pandas as pd

from sheetlens.audit.baselines.chance import above_chance, read_baselines
from sheetlens.audit.finding import Finding, Inputs
from sheetlens.config import Audit
from sheetlens.statistics.significance import holm

IMAGING = ("imaging set-up", "border strip")  # neither sees the plant, the paper or the label
FEWEST = 30  # unseen sheets, with less silence says nothing


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
            "Photograph all classes with the same camera, light and settings, or choose sheets so that each"
            " set-up has as many of each class. Until then no accuracy here says that the network reads the plant."
            " Look at the border first: if it shows paper and not the table, browned paper may speak there.",
            numbers,
        )
    if told:
        return Finding(
            "imaging set-up",
            "note",
            f"The {best} says a little about the class: it names {share} rightly.",
            "Too little to explain the network's predictions. Keep the set-up the same for all classes nevertheless.",
            numbers,
        )
    if (unseen := min(chance[best]["sheets"])) < FEWEST:
        return Finding(
            "imaging set-up",
            "note",
            f"Whether the class can be told from how the sheets were photographed is unknown: {unseen} sheets outside"
            " of the training part are of a specimen or gathering of their own, which is too few to tell.",
            "More sheets would tell. Where every split is random, so would the protocol 'grouped' (split.protocols):"
            " it keeps whole gatherings from training.",
            numbers,
        )
    return Finding(
        "imaging set-up",
        "ok",
        "Neither size, format and camera nor the border of the pictures tell the class better than chance.",
        "Nothing to do. A set-up that leaves no trace in the file or at the border would not be found here.",
        numbers,
    )


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Ask the `baselines` whether the way a sheet was photographed tells its class; write the finding."""
    audit_setup(read_baselines(inputs["baselines"]), settings).write(output, inputs["baselines"])
