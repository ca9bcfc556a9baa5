"""The hazard list: sheets that may well be treated, by cabinet and barcode."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common.tables import probability_columns
from sheetlens.statistics.calibration import log_odds_of
from sheetlens.statistics.prevalence import adjust_prior

MISSED = 0.05  # share of treated sheets that the hazard list may lack, where the model allows to promise it
HAZARDS = (
    "barcode", "storageLocation", "scientificName", "probability", "probability_in_cabinet", "measured", "image_id"
)  # fmt: skip


def recall_floor(model: dict[str, Any], label: str) -> float | None:
    """The log-odds of the class from which a sheet is listed so that at most MISSED are overlooked; None without."""
    found = [row for row in model["floors"] if row["class"] == label and row["missed"] <= MISSED]
    return max((row["threshold"] for row in found if row["threshold"] is not None), default=None)


def list_hazards(
    sheets: pd.DataFrame,
    cabinets: pd.DataFrame,
    model: dict[str, Any],
    label: str,
    overall: float | None,
    floor: float | None,
    known: pd.DataFrame,
    measured: Mapping[int, str],
) -> pd.DataFrame:
    """Sheets that may well be treated, by cabinet and barcode: HAZARDS.

    `probability` is the network's; `probability_in_cabinet` takes the estimated share of the sheet's cabinet in place
    of that in the model's data set; `overall` of the collection where the cabinet is unknown, as named where that
    cannot be estimated. Either from 0.5 puts a sheet on the list, and so do the network's answer and log-odds of the
    class from `floor` on. What people saw and instruments found (`known`: if_so and if_not of sheets, by their index)
    is counted in; `measured` says it in words. A sheet that surely is not treated is not listed.
    """
    classes = model["classes"]
    own, learnt = classes.index(label), np.array([model["shares"][name] for name in classes])
    elsewhere = sheets["named"].mean() if overall is None else overall
    cabinet = sheets["cabinet"].map(dict(zip(cabinets["group"], cabinets["share"], strict=True)))
    share = cabinet.fillna(elsewhere).clip(1e-6, 1 - 1e-6).to_numpy(dtype=float)[:, None]
    others = np.where(np.arange(len(classes)) == own, 0, learnt)
    expected = np.where(np.arange(len(classes)) == own, share, (1 - share) * others / others.sum())
    probabilities = sheets[probability_columns(classes)].to_numpy()
    here = adjust_prior(probabilities, learnt, expected)[:, own]
    looks = known.reindex(sheets.index).fillna(1.0)
    here = here * looks["if_so"] / (here * looks["if_so"] + (1 - here) * looks["if_not"]).clip(lower=1e-300)
    table = pd.DataFrame(
        {
            "barcode": sheets["specimen_id"],
            "storageLocation": sheets["cabinet"],
            "scientificName": sheets["scientificName"],
            "probability": probabilities[:, own].round(4),
            "probability_in_cabinet": here.round(4),
            "measured": [measured.get(row, "") for row in sheets.index],
            "image_id": sheets["image_id"],
        }
    )
    likely = sheets["named"] | (probabilities[:, own] >= 0.5) | (here >= 0.5)
    if floor is not None:
        likely |= log_odds_of(probabilities, own) >= floor
    likely &= looks["if_so"] > 0  # those that a person saw not to be
    return table[likely].sort_values(["storageLocation", "barcode", "image_id"], ignore_index=True)
