"""Find the treated sheets of a collection: in which cabinets, taxa, decades and places they are, what to test first.

Predictions of a trained network are joined to specimen records. Everything goes into one folder: a page, tables,
charts and labels to print.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from sheetlens.common.barcodes import specimen
from sheetlens.common.errors import UserError
from sheetlens.common.files import write_table
from sheetlens.common.tables import probability_column, probability_columns, read_rows, safe_cell
from sheetlens.config import Method, Records
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
from sheetlens.hotspots.evidence import (
    LEFT,
    SURE,
    Check,
    Tested,
    both,
    of_sheets,
    read_check,
    read_results,
    results_by,
    weigh_cabinets,
)
from sheetlens.hotspots.hazards import MISSED, list_hazards, recall_floor
from sheetlens.hotspots.measurements import Measurements
from sheetlens.pages.render import SAFETY_WARNING, embed_figure, write_page
from sheetlens.predict.model_package import AGAIN, read_facts
from sheetlens.statistics.prevalence import UNKNOWN, Counts, corrected_prevalence

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
DOTS_PER_INCH = 150  # of the charts: for a screen
NOTHING = pd.DataFrame({"if_so": [], "if_not": []}, index=pd.Index([], dtype=int), dtype=float)


def write_hotspots(
    predictions: Path,
    model: Path,
    records: Sequence[Records],
    label: str,
    budget: int,
    output: Path,
    checks: Path | None = None,
    checked: Path | None = None,
    measurements: Path | None = None,
    methods: Mapping[str, Method] = MappingProxyType({}),
) -> dict[str, Any]:
    """Write hotspots.html, shares.csv, plan.csv, hazards.csv, labels.pdf and charts into the folder `output`.

    `predictions` has a row for each image with image_id, specimen_id and a probability_{class}; `model` is the folder
    of the model that made them, `label` its class of treated sheets, `budget` the number of cabinets that can be
    tested, `checks` a table of sheets that were tested, `checked` what a check says of the model here (check.json),
    `measurements` a table of what instruments found, by methods that err as `methods` and METHODS say; measurements.csv
    then says what became of each row. Returns the values of the page. Raises UserError where a column, the class or
    every sheet is missing. Same inputs, same bytes.
    """
    facts = read_facts(model)
    if label not in facts["classes"]:
        raise UserError(f"the model has no class '{label}'; its classes are {', '.join(facts['classes'])}")
    if any(name not in facts["shares"] for name in facts["classes"]):
        raise UserError(f"the model in {model} does not say how large the share of each class is: {AGAIN}")
    sheets, left_out = read_sheets(predictions, records, facts["classes"], label)
    check = read_check(checked, model, sheets, label) if checked else None
    known = check.known if check else known_errors(facts, label)
    tests = read_checks(checks, sheets, facts["classes"], label)
    counts = count_checks(sheets, tests)
    seen = check.sheets if check else NOTHING
    found = read_results(measurements, sheets, methods) if measurements else None
    tested = weigh_cabinets(sheets, known, tests, counts, seen, found, methods) if found else None
    looks = both(seen, of_sheets(found, methods)) if found else seen
    estimates = {
        by: estimate_shares(
            sheets[by], sheets["named"], known, tests, counts, looks,
            tested.treated if tested and by == "cabinet" else None,
        )
        for by in GROUPINGS
    }  # fmt: skip
    shares = {by: table for by, (table, _) in estimates.items()}
    overall = _overall(sheets, known, check, estimates["cabinet"][1])
    in_words = results_by(found, "cabinet") if found else {}
    shares["cabinet"] = shares["cabinet"].assign(
        measured=[in_words.get(name, "") for name in shares["cabinet"]["group"]]
    )
    plan = plan_tests(shares["cabinet"][~shares["cabinet"]["group"].isin(tested.cabinets if tested else [])], budget)
    floor = recall_floor(facts, label)
    hazards = list_hazards(
        sheets, shares["cabinet"], facts, label, overall["estimate"], floor, looks,
        _in_words(sheets, found) if found else {},
    )  # fmt: skip
    every_share = pd.concat([table.assign(by=by) for by, table in shares.items()])
    tables = {"shares": every_share, "plan": plan, "hazards": hazards}
    if found:
        tables["measurements"] = found.table
    for name, table in tables.items():
        write_table(output / f"{name}.csv", table.map(safe_cell))
    write_labels(plan, hazards, output / "labels.pdf")
    charts, located = _draw(shares, sheets, output)
    values = {
        "label": label,
        "title": facts["title"],
        "sheets": len(sheets),
        "named": int(sheets["named"].sum()),
        "left_out": left_out,
        "overall": overall,
        "known": known,
        "check": check,
        "measured": _measured(found, tested),
        "checked": int(tests.notna().sum()),
        "checked_cabinets": len(counts),
        "missed": None if floor is None else MISSED,
        "guarantee": facts.get("guarantee"),
        "shares": {by: table.head(SHOWN).to_dict("records") for by, table in shares.items()},
        "groups": {by: len(table) for by, table in shares.items()},
        "groupings": GROUPINGS,
        "plan": plan.to_dict("records"),
        "treated": TREATED,
        "hazards": len(hazards),
        "charts": charts,
        "located": located,
        "warning": SAFETY_WARNING,
    }
    write_page("hotspots.html", output / "hotspots.html", **values)
    return values


def _overall(
    sheets: pd.DataFrame, known: tuple[Counts, Counts], check: Check | None, cabinets: dict[str, float]
) -> dict[str, Any]:
    """The share of treated sheets with its interval and level: by the check, which needs no model of errors, if any."""
    if check and check.prevalence["estimate"] is not None:
        return {**check.prevalence, "level": check.confidence}
    return {**(cabinets if _explained(sheets, known) else UNKNOWN), "level": CONFIDENCE}


def _in_words(sheets: pd.DataFrame, found: Measurements) -> dict[int, str]:
    """Row of a sheet -> what was found on it, else in its cabinet."""
    cabinets = results_by(found, "cabinet")
    said = {row: f"cabinet {cabinets[name]}" for row, name in sheets["cabinet"].items() if name in cabinets}
    return said | results_by(found, "sheet")


def _measured(found: Measurements | None, tested: Tested | None) -> dict[str, Any] | None:
    """What the page says of measurements; None without any."""
    if not found or not tested:
        return None
    used = found.used
    return {
        "rows": len(found.table),
        "used": len(used),
        "sheets": int(used.loc[used["sheet"] >= 0, "sheet"].nunique()),
        "cabinets": int(used.loc[used["sheet"] < 0, "cabinet"].nunique()),
        "positive": int((used["positive"] == "yes").sum()),
        "tested": len(tested.cabinets),
        "enough": tested.enough,
        "left": LEFT,
        "sure": SURE,
        "oddities": found.told(),
    }


def _draw(shares: Mapping[str, pd.DataFrame], sheets: pd.DataFrame, output: Path) -> tuple[dict[str, str], int]:
    """Write the charts; return them as data URIs, and how many sheets are on the map."""
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
    return charts, len(places)


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
    names = probability_columns(classes)
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
    names = probability_columns(classes)
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
        | {name: value for name, value in row.items() if name.startswith(probability_column(""))}
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
