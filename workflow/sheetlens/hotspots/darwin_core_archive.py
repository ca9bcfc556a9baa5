"""A Darwin Core Archive: tables of the standard's terms in a zip, written and held against the standards."""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.sax.saxutils import quoteattr

from defusedxml import ElementTree

from sheetlens.common.errors import UserError
from sheetlens.common.files import whole
from sheetlens.hotspots.terms import AC, DATES, REGION, REQUIRED, TERMS

CELL_CHARACTERS = 100_000  # characters of a cell: more than the reader takes for a cell is a quote that never ends
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every file in a zip, so that the same tables are the same bytes
BOX = ("xFrac", "yFrac", "widthFrac", "heightFrac")
Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """One table of an archive: file name, row type, rows from IRIs of terms to texts; "id" is the record's id."""

    name: str
    row_type: str
    rows: list[Row]


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
