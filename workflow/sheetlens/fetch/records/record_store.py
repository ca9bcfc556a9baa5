"""Specimen records on disk: which of them is an image's, and whose place is protected. Memory holds one record."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sheetlens.common.barcodes import normalise, without_suffix
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.records.terms import WITHHELD
from sheetlens.fetch.records.texts import clean

AMBIGUOUS = "have a number that records of several {0}s have: say theirs ({0}Code)"
ELSEWHERE = "have a number that only records of other {0}s have"
OWNERS = ("institution", "collection")
SCHEMA = """
create table record (barcode text, institution text, collection text, label text, fields text,
    primary key (barcode, institution, collection));
create table protected (barcode text, institution text, collection text,
    primary key (barcode, institution, collection)) without rowid;
"""


class RecordStore:
    """Records by barcode, institution and collection, in a SQLite file."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self.base = sqlite3.connect(path)
        self.base.row_factory = sqlite3.Row
        self.base.executescript("pragma synchronous = off; pragma journal_mode = off;" + SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self.base.close()

    def add(self, barcode: str, label: str, fields: Mapping[str, str]) -> bool:
        """Keep a record; is it the first with this barcode of its institution and collection?"""
        kept = {term: clean(value) for term, value in fields.items() if value and term in LISTING}
        barcode, institution, collection = _identity(barcode, kept)
        values = (barcode, institution, collection if barcode.isdigit() else "", clean(label), json.dumps(kept))
        return bool(self.base.execute("insert or ignore into record values (?, ?, ?, ?, ?)", values).rowcount)

    def protect(self, barcode: str, fields: Mapping[str, str]) -> None:
        """Note the specimen of a record if that is marked as one whose place is protected."""
        if WITHHELD in fields:
            self.base.execute("insert or ignore into protected values (?, ?, ?)", _identity(barcode, fields))

    def is_protected(self, barcode: str, fields: Mapping[str, str]) -> bool:
        """Whether any record of a specimen protects its place.

        A mere number is the same specimen's unless both sides say another institution or collection.
        """
        barcode, *owners = _identity(barcode, fields)
        found = self.base.execute("select institution, collection from protected where barcode = ?", (barcode,))
        return any(
            not barcode.isdigit() or all(not a or not b or a == b for a, b in zip(owners, others, strict=True))
            for others in found
        )

    def find(self, row: Mapping[str, Any]) -> sqlite3.Row | str:
        """The record of an image, else why there is none ("": nobody knows its barcode).

        A barcode counts as it is; only where no record has it, and it comes from a name, an ending such as _1 counts
        as that of a second picture. Mere numbers are unique only within a collection of an institution: what both
        sides say of these must agree.
        """
        catalogued, named = str(row["catalogNumber"]), str(row["specimen_id"])
        keys = [normalise(catalogued)] if catalogued else [normalise(named), without_suffix(named)]
        for key in filter(None, keys):
            if records := self.base.execute("select * from record where barcode = ?", (key,)).fetchall():
                return _own(records, key, row)
        return ""


def _own(records: list[sqlite3.Row], key: str, row: Mapping[str, Any]) -> sqlite3.Row | str:
    """The one of the records with a barcode that belongs to an image, or why none does."""
    for owner in OWNERS:
        if stated := _folded(row[f"{owner}Code"]):
            fitting = [one for one in records if one[owner] == stated] or [one for one in records if not one[owner]]
            if not fitting and key.isdigit():
                return ELSEWHERE.format(owner)
            records = fitting or records
        if len({one[owner] for one in records}) > 1:
            return AMBIGUOUS.format(owner)
    return records[0]


def _identity(barcode: str, fields: Mapping[str, Any]) -> tuple[str, str, str]:
    """Barcode, institution and collection in the spelling by which they are compared."""
    return normalise(str(barcode)), _folded(fields.get("institutionCode")), _folded(fields.get("collectionCode"))


def _folded(text: Any) -> str:
    return " ".join(str(text or "").split()).casefold()
