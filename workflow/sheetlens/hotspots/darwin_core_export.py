"""Give a model's answers back to the collection: a Darwin Core Archive and a table that Symbiota imports.

A model whose classes are taxa makes determinations (dwc:Identification), one that tells stained sheets flags
(dwc:MeasurementOrFact), and boxes around stains become regions of Audiovisual Core (ac:RegionOfInterest).
`sheetlens.fetch.records.darwin_core` reads the archive back; `check` holds it against the standards' terms.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens import __version__
from sheetlens.common.barcodes import normalise
from sheetlens.common.errors import UserError
from sheetlens.common.files import read_object, write_table
from sheetlens.common.tables import class_names, plain_cell, probability_column, probability_columns, read_rows
from sheetlens.hotspots.darwin_core_archive import BOX, Row, Table, check, write_archive
from sheetlens.hotspots.measurements import REPEATED
from sheetlens.hotspots.terms import (
    AC,
    CURRENT,
    DCTERMS,
    DWC,
    FACT,
    IDENTIFICATION,
    OCCURRENCE,
    REGION,
)
from sheetlens.pages.render import SAFETY_WARNING, STAINED

TEST = "mercury test"  # measurementType of what an instrument says; the value, if any, is one of its own
MEASURED = (
    "row", "key", "barcode", "method", "value", "unit", "limit", "positive", "date", "instrument", "reason"
)  # fmt: skip
log = logging.getLogger(__name__)


def write_annotations(
    predictions: Path,
    model: Path,
    kind: str,
    day: date,
    output: Path,
    boxes: Path | None = None,
    label: str = STAINED,
    measurements: Path | None = None,
) -> int:
    """Write `output` (a Darwin Core Archive, .zip) and the same for Symbiota beside it (.csv); return how many records.

    `kind` is "determinations" (classes are taxa; sheets for review get none) or "flags", for which `label` is the
    class of treated sheets. `model` is a folder with model.json, `day` the day of the answers. `boxes` is a table with
    image_id and BOX (shares of the picture's width and height). Images without a barcode are left out. `measurements`
    is the measurements.csv of `hotspots`: results of sheets stand beside the flags, also those of sheets that were
    never photographed; results of cabinets are of no specimen, and are counted and left out. Raises UserError for what
    does not fit the standards, and for a kind that does not fit the model's classes.
    """
    facts = read_object(model / "model.json", ("classes", "network", "weights_sha256"))
    classes = ", ".join(facts["classes"])
    if kind == "flags" and label not in facts["classes"]:
        raise UserError(f"the model has no class '{label}' of treated sheets (--label); its classes are {classes}")
    if kind == "determinations" and STAINED in facts["classes"]:
        raise UserError(f"the classes of the model, {classes}, are no taxa: 'annotate flags' is for its answers")
    by = f"Sheetlens {__version__}, network {facts['network']} ({facts['weights_sha256'][:12]})"
    answers = list(_answers(predictions, facts["classes"]))
    make = {"determinations": _determination, "flags": _flags}[kind]
    rows = [row for answer in answers for row in make(answer, by, day.isoformat())]
    if measurements and kind != "flags":
        raise UserError("what instruments found stands beside flags (annotate flags), not beside determinations")
    names = {normalise(answer["specimen_id"]): answer["specimen_id"] for answer in answers}
    rows += _measured(measurements, names) if measurements else ()
    ids = dict.fromkeys([*(answer["specimen_id"] for answer in answers), *(row["id"] for row in rows)])
    core = [{"id": key, f"{DWC}catalogNumber": key, f"{DWC}basisOfRecord": "PreservedSpecimen"} for key in ids]
    named = Table("identifications.csv", IDENTIFICATION, rows)
    tables = [named if kind == "determinations" else Table("measurementOrFact.csv", FACT, rows)]
    if boxes:
        tables.append(Table("regions.csv", REGION, list(_regions(boxes, answers))))
    write_archive(output, Table("occurrences.csv", OCCURRENCE, core), tables)
    check(output)
    _write_symbiota(output.with_suffix(".csv"), rows, kind)
    return len(core)


def _answers(predictions: Path, classes: list[str]) -> Iterator[Row]:
    columns = ["image_id", "specimen_id", "decision", *probability_columns(classes)]
    for row in read_rows(predictions, {name: name for name in columns}):
        chances = {name: row[probability_column(name)] for name in classes}
        if row["specimen_id"] and all(chances.values()):
            best = max(classes, key=lambda name: float(chances[name]))
            yield row | {"best": best, "chance": chances[best]}


def _determination(answer: Row, by: str, day: str) -> Iterator[Row]:
    if answer["decision"] == answer["best"]:
        name = answer["best"]
        family = {f"{DWC}family": name, f"{DWC}taxonRank": "family"} if name.endswith("aceae") else {}
        yield {
            "id": answer["specimen_id"],
            f"{DWC}identificationID": f"{answer['image_id']}#determination",
            f"{DWC}scientificName": name,
            **family,
            f"{DWC}identifiedBy": by,
            f"{DWC}dateIdentified": day,
            f"{DWC}identificationVerificationStatus": "unverified",
            CURRENT: "0",  # the determination by a person stays the current one
            f"{DWC}identificationRemarks": f"named by a network from the picture, probability {answer['chance']}",
        }


def _flags(answer: Row, by: str, day: str) -> Iterator[Row]:
    common = {
        "id": answer["specimen_id"],
        f"{DWC}measurementDeterminedBy": by,
        f"{DWC}measurementDeterminedDate": day,
        f"{DWC}measurementMethod": "network on a photograph of the sheet, not seen by a person",
        f"{DWC}measurementRemarks": SAFETY_WARNING,
    }
    number = f"{answer['image_id']}#flag"
    value = {f"{DWC}measurementType": "mercury stain", f"{DWC}measurementValue": answer["decision"]}
    yield common | value | {f"{DWC}measurementID": number}
    for name in class_names(answer):
        chance = answer[probability_column(name)]
        value = {f"{DWC}measurementType": f"probability of {name}", f"{DWC}measurementValue": chance}
        yield common | value | {f"{DWC}measurementID": f"{number}-{name}", f"{DWC}parentMeasurementID": number}


def _measured(measurements: Path, names: Mapping[str, str]) -> Iterator[Row]:
    """What instruments found on single sheets, with method, unit and date; `names` are the specimens by barcode."""
    cabinets = 0
    for row in read_rows(measurements, {name: name for name in MEASURED}):
        row = {name: plain_cell(value) for name, value in row.items()}
        if row["positive"] not in ("yes", "no") or row["reason"] == REPEATED:
            continue
        if not row["key"]:
            cabinets += 1
            continue
        specimen, number = names.get(row["key"], row["barcode"]), f"{row['barcode']}#measured-{row['row']}"
        common = {
            "id": specimen,
            f"{DWC}measurementMethod": row["method"] + (f", {row['instrument']}" if row["instrument"] else ""),
            f"{DWC}measurementDeterminedDate": row["date"],
        }
        result = "positive" if row["positive"] == "yes" else "negative"
        value = {f"{DWC}measurementType": TEST, f"{DWC}measurementValue": result}
        yield common | value | {f"{DWC}measurementID": number, f"{DWC}measurementRemarks": SAFETY_WARNING}
        if row["value"]:
            value = {f"{DWC}measurementType": "mercury", f"{DWC}measurementValue": row["value"]}
            value |= {f"{DWC}measurementUnit": row["unit"], f"{DWC}measurementID": f"{number}-value"}
            limit = {f"{DWC}measurementRemarks": f"limit of the method: {row['limit']}"} if row["limit"] else {}
            yield common | value | limit | {f"{DWC}parentMeasurementID": number}
    if cabinets:
        log.warning("%d results of cabinets are not in the archive: they are of no single specimen", cabinets)


def _regions(boxes: Path, answers: list[Row]) -> Iterator[Row]:
    specimens = {answer["image_id"]: answer["specimen_id"] for answer in answers}
    for number, row in enumerate(read_rows(boxes, {name: name for name in ("image_id", *BOX)})):
        if row["image_id"] in specimens:
            yield {
                "id": specimens[row["image_id"]],
                f"{DCTERMS}identifier": f"{row['image_id']}#region-{number}",
                f"{AC}isROIOf": row["image_id"],
                **{AC + name: row[name] for name in BOX},
                f"{DCTERMS}description": "stain",
            }


def _write_symbiota(path: Path, rows: list[Row], kind: str) -> None:
    """Symbiota's Extended Data Import takes determinations; a skeletal file import takes flags as dynamicProperties."""
    table: list[dict[str, Any]] = []
    if kind == "determinations":
        names = ("identifiedBy", "dateIdentified", "scientificName", "identificationRemarks")
        current = {"isCurrent": "N"}  # the importer takes "Y" and "N"; a second "Y" would make two current ones
        table = [{"catalogNumber": row["id"]} | {name: row[DWC + name] for name in names} | current for row in rows]
    else:
        known: dict[str, dict[str, Any]] = {}  # one line for each specimen: a second one would take the first's place
        for row in rows:
            name, value = row[f"{DWC}measurementType"], row[f"{DWC}measurementValue"]
            found = known.setdefault(row["id"], {})
            if name == "mercury stain":
                facts = {"by": row[f"{DWC}measurementDeterminedBy"], "date": row[f"{DWC}measurementDeterminedDate"]}
                said = dict.fromkeys([*found.get("mercuryStain", "").split("; "), value])  # of several images
                found |= {"mercuryStain": "; ".join(filter(None, said))} | facts | {"note": SAFETY_WARNING}
            elif name == TEST:
                facts = {"result": value, "method": row[f"{DWC}measurementMethod"]}
                facts["date"] = row[f"{DWC}measurementDeterminedDate"]
                found.setdefault("mercuryTests", []).append(facts)
        for key, found in known.items():
            table.append({"catalogNumber": key, "dynamicProperties": json.dumps(found, ensure_ascii=False)})
    frame = pd.DataFrame(table, columns=None if table else ["catalogNumber"])
    write_table(path, frame.rename(columns={"scientificName": "sciname"}))
