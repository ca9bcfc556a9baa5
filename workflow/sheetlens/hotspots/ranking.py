"""Find the treated sheets of a collection: in which cabinets, taxa, decades and places they are, what to test first.

Predictions of a trained network are joined to specimen records. Everything goes into one folder: a page, tables,
charts and labels to print.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common.barcodes import specimen
from sheetlens.common.errors import UserError
from sheetlens.common.files import write_table
from sheetlens.common.tables import read_rows, safe_cell
from sheetlens.config import Records
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.records.specimen_records import join
from sheetlens.figure.hotspots import draw_map, draw_shares, write_labels
from sheetlens.figure.style import save_figure
from sheetlens.hotspots.estimates import (
    CONFIDENCE,
    TREATED,
    count_checks,
    estimate_shares,
    known_errors,
    plan_tests,
    read_checks,
)
from sheetlens.pages.render import SAFETY_WARNING, embed_figure, write_page
from sheetlens.predict.model_package import read_facts
from sheetlens.statistics.calibration import log_odds_of
from sheetlens.statistics.prevalence import UNKNOWN, Counts, adjust_prior, corrected_prevalence

MISSED = 0.05  # share of treated sheets that the hazard list may lack, where the model allows to promise it
GROUPINGS = {
    "cabinet": "cabinets and shelves",
    "family": "families",
    "genus": "genera",
    "collector": "collectors",
    "decade": "decades",
    "place": "places",
}
KEPT = ("image_id", "specimen_id", "scientificName", "family", "genus", "decimalLatitude", "decimalLongitude")
SHOWN = 25  # groups of a kind on the page
HAZARDS = ("barcode", "storageLocation", "scientificName", "probability", "probability_in_cabinet", "image_id")
DOTS_PER_INCH = 150  # of the charts: for a screen


def write_hotspots(
    predictions: Path,
    model: Path,
    records: Sequence[Records],
    label: str,
    budget: int,
    output: Path,
    checks: Path | None = None,
) -> dict[str, Any]:
    """Write hotspots.html, shares.csv, plan.csv, hazards.csv, labels.pdf and charts into the folder `output`.

    `predictions` has a row for each image with image_id, specimen_id and a probability_{class}; `model` is the folder
    of the model that made them, `label` its class of treated sheets, `budget` the number of cabinets that can be
    tested, `checks` a table of sheets that were tested. Returns the values of the page. Raises UserError where a
    column, the class or every sheet is missing. Same inputs, same bytes.
    """
    facts = read_facts(model)
    if label not in facts["classes"]:
        raise UserError(f"the model has no class '{label}'; its classes are {', '.join(facts['classes'])}")
    known = known_errors(facts, label)
    sheets, left_out = read_sheets(predictions, records, facts["classes"], label)
    tested = read_checks(checks, sheets, facts["classes"], label)
    checked = count_checks(sheets, tested)
    estimates = {by: estimate_shares(sheets[by], sheets["named"], known, tested, checked) for by in GROUPINGS}
    shares = {by: table for by, (table, _) in estimates.items()}
    overall = estimates["cabinet"][1] if _explained(sheets, known) else dict(UNKNOWN)
    plan = plan_tests(shares["cabinet"], budget)
    floor = recall_floor(facts, label)
    hazards = list_hazards(sheets, shares["cabinet"], facts, label, overall["estimate"], floor)
    every_share = pd.concat([table.assign(by=by) for by, table in shares.items()])
    for name, table in (("shares", every_share), ("plan", plan), ("hazards", hazards)):
        write_table(output / f"{name}.csv", table.map(safe_cell))
    write_labels(plan, hazards, output / "labels.pdf")
    charts = {}
    for by, table in shares.items():
        if len(table):
            drawn = draw_shares(table.head(SHOWN), GROUPINGS[by])
            save_figure(drawn, table.head(SHOWN), output / f"figure-{by}", DOTS_PER_INCH)
            charts[by] = embed_figure(output / f"figure-{by}")
    if (places := sheets.dropna(subset=["decimalLatitude", "decimalLongitude"])).size:
        columns = ["decimalLatitude", "decimalLongitude", "named"]
        save_figure(draw_map(places), places[columns], output / "figure-map", DOTS_PER_INCH)
        charts["map"] = embed_figure(output / "figure-map")
    values = {
        "label": label,
        "title": facts["title"],
        "sheets": len(sheets),
        "named": int(sheets["named"].sum()),
        "left_out": left_out,
        "overall": overall,
        "known": known,
        "checked": int(tested.notna().sum()),
        "checked_cabinets": len(checked),
        "missed": None if floor is None else MISSED,
        "guarantee": facts.get("guarantee"),
        "shares": {by: table.head(SHOWN).to_dict("records") for by, table in shares.items()},
        "groups": {by: len(table) for by, table in shares.items()},
        "groupings": GROUPINGS,
        "plan": plan.to_dict("records"),
        "treated": TREATED,
        "hazards": len(hazards),
        "charts": charts,
        "located": len(places),
        "warning": SAFETY_WARNING,
    }
    write_page("hotspots.html", output / "hotspots.html", **values)
    return values


def read_sheets(
    predictions: Path, records: Sequence[Records], classes: Sequence[str], label: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read one row for each specimen: KEPT, GROUPINGS, probabilities, and whether it is `named` as the class.

    Images of one specimen (by barcode) count once, with the mean of their probabilities. Also counts the rows that have
    none, by reason.
    """
    left_out: Counter[str] = Counter()
    rows: Iterable[dict[str, Any]] = _predicted(predictions, classes, left_out)
    for settings in records:
        rows = join(rows, settings)
    names = [f"probability_{name}" for name in classes]
    table = pd.DataFrame(map(_described, rows))
    if not len(table):
        raise UserError(f"no row of {predictions} has a probability: there is nothing to say of this collection")
    table["decimalLatitude"], table["decimalLongitude"] = _coordinates(table)
    grouped = table.groupby("key", sort=True)
    sheets = grouped[[*KEPT, "cabinet", "collector", "decade", "place"]].first()
    sheets[names] = grouped[names].mean()
    sheets["named"] = sheets[names].to_numpy().argmax(axis=1) == list(classes).index(label)
    return sheets.reset_index(drop=True), dict(left_out)


def _predicted(predictions: Path, classes: Sequence[str], left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    """Rows as of a listing, with the probabilities."""
    names = [f"probability_{name}" for name in classes]
    columns = {name: name for name in ("image_id", "specimen_id", "barcode", "status", *names)}
    for row in read_rows(predictions, columns, needed=("image_id", *names)):
        if row.get("status", "ok") not in ("", "ok"):
            left_out["refused, as their files could not be read"] += 1
        elif not all(row[name] for name in names):
            left_out["unlike the sheets the network was trained on"] += 1
        else:
            named = {name: float(row[name]) for name in names}
            specimen = row.get("specimen_id") or row.get("barcode") or ""
            yield LISTING | named | {"image_id": row["image_id"], "specimen_id": specimen, "label": "predicted"}


def _described(row: dict[str, Any]) -> dict[str, Any]:
    year = row["eventDate"][:4]
    return (
        {name: row[name] for name in KEPT}
        | {name: value for name, value in row.items() if name.startswith("probability_")}
        | {
            "key": specimen(row["catalogNumber"] or row["specimen_id"], row["institutionCode"]) or row["image_id"],
            "cabinet": row["storageLocation"],
            "collector": row["recordedBy"],
            "decade": f"{year[:3]}0s" if year.isdecimal() and len(year) == 4 else "",
            "place": ", ".join(part for part in (row["countryCode"], row["stateProvince"]) if part),
        }
    )


def _coordinates(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    latitude = pd.to_numeric(table["decimalLatitude"], errors="coerce")
    longitude = pd.to_numeric(table["decimalLongitude"], errors="coerce")
    known = latitude.between(-90, 90) & longitude.between(-180, 180)
    return latitude.where(known), longitude.where(known)


def _explained(sheets: pd.DataFrame, known: tuple[Counts, Counts]) -> bool:
    """Whether the number of sheets named can come about with the known errors at all."""
    found = corrected_prevalence(int(sheets["named"].sum()), len(sheets), *known, CONFIDENCE)
    return found["estimate"] is not None


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
) -> pd.DataFrame:
    """Sheets that may well be treated, by cabinet and barcode: HAZARDS.

    `probability` is the network's; `probability_in_cabinet` takes the estimated share of the sheet's cabinet in place
    of that in the model's data set; `overall` of the collection where the cabinet is unknown, as named where that
    cannot be estimated. Either from 0.5 puts a sheet on the list, and so do the network's answer and log-odds of the
    class from `floor` on.
    """
    classes = model["classes"]
    own, learnt = classes.index(label), np.array([model["shares"][name] for name in classes])
    elsewhere = sheets["named"].mean() if overall is None else overall
    cabinet = sheets["cabinet"].map(dict(zip(cabinets["group"], cabinets["share"], strict=True)))
    share = cabinet.fillna(elsewhere).clip(1e-6, 1 - 1e-6).to_numpy(dtype=float)[:, None]
    others = np.where(np.arange(len(classes)) == own, 0, learnt)
    expected = np.where(np.arange(len(classes)) == own, share, (1 - share) * others / others.sum())
    probabilities = sheets[[f"probability_{name}" for name in classes]].to_numpy()
    here = adjust_prior(probabilities, learnt, expected)[:, own]
    table = pd.DataFrame(
        {
            "barcode": sheets["specimen_id"],
            "storageLocation": sheets["cabinet"],
            "scientificName": sheets["scientificName"],
            "probability": probabilities[:, own].round(4),
            "probability_in_cabinet": here.round(4),
            "image_id": sheets["image_id"],
        }
    )
    likely = sheets["named"] | (probabilities[:, own] >= 0.5) | (here >= 0.5)
    if floor is not None:
        likely |= log_odds_of(probabilities, own) >= floor
    return table[likely].sort_values(["storageLocation", "barcode", "image_id"], ignore_index=True)
