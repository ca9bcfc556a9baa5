"""Give a model's answers back to the collection: a Darwin Core Archive and a table that Symbiota imports.

A model whose classes are taxa makes determinations (dwc:Identification), one that tells stained sheets flags
(dwc:MeasurementOrFact), and boxes around stains become regions of Audiovisual Core (ac:RegionOfInterest).
`sheetlens.fetch.records.darwin_core` reads the archive back; `check` holds it against the standards' terms.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pandas as pd
from defusedxml import ElementTree

from sheetlens import __version__
from sheetlens.common.errors import UserError
from sheetlens.common.files import read_json, whole, write_table
from sheetlens.common.tables import read_rows
from sheetlens.hotspots.terms import AC, DATES, DCTERMS, DWC, FACT, IDENTIFICATION, OCCURRENCE, REGION, REQUIRED, TERMS
from sheetlens.pages.render import SAFETY_WARNING

CELL_CHARACTERS = 100_000  # characters of a cell: more than the reader takes for a cell is a quote that never ends
STAINED = "stained"  # the class of treated sheets, as the paper calls it
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file in a zip, so that the same tables are the same bytes
BOX = ("xFrac", "yFrac", "widthFrac", "heightFrac")
Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """One table of an archive: file name, row type, rows from IRIs of terms to texts; "id" is the record's id."""

    name: str
    row_type: str
    rows: list[Row]


def write_annotations(
    predictions: Path,
    model: Path,
    kind: str,
    day: date,
    output: Path,
    boxes: Path | None = None,
    label: str = STAINED,
) -> int:
    """Write `output` (a Darwin Core Archive, .zip) and the same for Symbiota beside it (.csv); return how many records.

    `kind` is "determinations" (classes are taxa; sheets for review get none) or "flags", for which `label` is the class
    of treated sheets. `model` is a folder with model.json, `day` the day of the answers. `boxes` is a table with
    image_id and BOX (shares of the picture's width and height). Images without a barcode are left out. Raises UserError
    for what does not fit the standards, and for a kind that does not fit the model's classes.
    """
    facts = read_json(model / "model.json")
    classes = ", ".join(facts["classes"])
    if kind == "flags" and label not in facts["classes"]:
        raise UserError(f"the model has no class '{label}' of treated sheets (--label); its classes are {classes}")
    if kind == "determinations" and STAINED in facts["classes"]:
        raise UserError(f"the classes of the model, {classes}, are no taxa: 'annotate flags' is for its answers")
    by = f"Sheetlens {__version__}, network {facts['network']} ({facts['weights_sha256'][:12]})"
    answers = list(_answers(predictions, facts["classes"]))
    make = {"determinations": _determination, "flags": _flags}[kind]
    rows = [row for answer in answers for row in make(answer, by, day.isoformat())]
    ids = dict.fromkeys(answer["specimen_id"] for answer in answers)
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
    columns = ["image_id", "specimen_id", "decision", *(f"probability_{name}" for name in classes)]
    for row in read_rows(predictions, {name: name for name in columns}):
        chances = {name: row[f"probability_{name}"] for name in classes}
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
    chances = {name.removeprefix("probability_"): value for name, value in answer.items() if name.startswith("prob")}
    for name, chance in chances.items():
        value = {f"{DWC}measurementType": f"probability of {name}", f"{DWC}measurementValue": chance}
        yield common | value | {f"{DWC}measurementID": f"{number}-{name}", f"{DWC}parentMeasurementID": number}


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


def write_archive(path: Path, core: Table, extensions: Iterable[Table]) -> None:
    """Write a Darwin Core Archive: CSV in UTF-8, every cell as it is but for blanks around it.

    Raises UserError for a cell that no reader can be sure to take: with NUL, half a character, or over CELL_CHARACTERS.
    """
    tables = [table for table in (core, *extensions) if table.rows]
    described = "".join(_describe(table, "core" if table is core else "extension") for table in tables)
    meta = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<archive xmlns="http://rs.tdwg.org/dwc/text/">{described}</archive>\n'
    )
    with whole(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in [(table.name, _text(table)) for table in tables] + [("meta.xml", meta)]:
            file.writestr(zipfile.ZipInfo(name, EPOCH), text.encode(), zipfile.ZIP_DEFLATED)


def _columns(table: Table) -> list[str]:
    return ["id", *dict.fromkeys(term for row in table.rows for term in row if term != "id")]


def _text(table: Table) -> str:
    text, columns = io.StringIO(newline=""), _columns(table)
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(column.rsplit("/", 1)[-1] for column in columns)
    for row in table.rows:
        cells = [row.get(column, "").strip() for column in columns]
        for column, cell in zip(columns, cells, strict=True):
            if "\0" in cell or len(cell) > CELL_CHARACTERS or any("\ud800" <= letter <= "\udfff" for letter in cell):
                raise UserError(f"{table.name}: a value of {column} cannot be written: {cell[:50]!r}")
        writer.writerow(cells)
    return text.getvalue()


def _describe(table: Table, element: str) -> str:
    key = "id" if element == "core" else "coreid"
    fields = "".join(
        f'<field index="{index}" term={quoteattr(term)}/>' for index, term in enumerate(_columns(table)) if index
    )
    return (
        f'<{element} encoding="UTF-8" fieldsTerminatedBy="," linesTerminatedBy="\\n" fieldsEnclosedBy="&quot;"'
        f' ignoreHeaderLines="1" rowType={quoteattr(table.row_type)}><files><location>{table.name}</location></files>'
        f'<{key} index="0"/>{fields}</{element}>'
    )


def check(path: Path) -> None:
    """Hold an archive that `write_archive` wrote against the terms of the standards.

    Checked are row types and terms by their full IRIs, cells that may not be empty, dates, boxes inside the picture,
    and that rows of extensions have a record in the core. Raises UserError with the first fault.
    """
    with zipfile.ZipFile(path) as file:
        tables = list(ElementTree.fromstring(file.read("meta.xml"), forbid_dtd=True))
        ids: set[str] = set()
        for table in tables:
            row_type, name = table.get("rowType"), next(table.iter("{http://rs.tdwg.org/dwc/text/}location")).text
            terms = [field.get("term") for field in table if field.tag.endswith("}field")]
            for term in terms:
                if term not in TERMS.get(row_type, ()):
                    raise UserError(f"{path}: {term} is no term of {row_type}")
            rows = csv.reader(io.TextIOWrapper(file.open(name), "utf-8", newline=""))
            next(rows)
            for cells in rows:
                if table.tag.endswith("}core"):
                    ids.add(cells[0])
                elif cells[0] not in ids:
                    raise UserError(f"{path}: {name} has a row for '{cells[0]}', which is not in the core")
                if fault := _fault(row_type, dict(zip(terms, cells[1:], strict=True))):
                    raise UserError(f"{path}: {name}, record '{cells[0]}': {fault}")


def _fault(row_type: str, row: Mapping[str, str]) -> str:
    for term in REQUIRED[row_type]:
        if not row.get(term):
            return f"{term} is empty"
    for term in DATES:
        try:
            date.fromisoformat(row.get(term) or "2000-01-01")
        except ValueError:
            return f"{term} is no date of ISO 8601: {row[term]}"
    if row_type == REGION:
        try:
            left, top, width, height = (float(row[AC + name]) for name in BOX)
        except ValueError:
            return "a box needs four numbers"
        if not (0 <= left <= left + width <= 1 + 1e-9 and 0 <= top <= top + height <= 1 + 1e-9 and width and height):
            return "the box is empty or reaches out of the picture (shares from 0 to 1)"
    return ""


def _write_symbiota(path: Path, rows: list[Row], kind: str) -> None:
    """Symbiota's Extended Data Import takes determinations; a skeletal file import takes flags as dynamicProperties."""
    table: list[dict[str, Any]] = []
    if kind == "determinations":
        names = ("identifiedBy", "dateIdentified", "scientificName", "identificationRemarks")
        table = [{"catalogNumber": row["id"]} | {name: row[DWC + name] for name in names} for row in rows]
    else:
        for row in rows:
            name, value = row[f"{DWC}measurementType"], row[f"{DWC}measurementValue"]
            if name == "mercury stain":
                facts = {"by": row[f"{DWC}measurementDeterminedBy"], "date": row[f"{DWC}measurementDeterminedDate"]}
                found = {"mercuryStain": value} | facts | {"note": SAFETY_WARNING}
                table.append({"catalogNumber": row["id"], "dynamicProperties": json.dumps(found, ensure_ascii=False)})
    frame = pd.DataFrame(table, columns=None if table else ["catalogNumber"])
    write_table(path, frame.rename(columns={"scientificName": "sciname"}))
