"""Join specimen records to images by barcode: from a table, a Darwin Core Archive or Smithsonian shards.

The records go into SQLite and the listing streams past them: memory does not grow with either.
"""

import itertools
import json
import logging
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common.barcodes import normalise, without_suffix
from sheetlens.common.errors import UserError
from sheetlens.common.files import whole
from sheetlens.common.formats.file_kinds import listed
from sheetlens.common.tables import read_rows
from sheetlens.config import Records
from sheetlens.fetch.candidates import clean
from sheetlens.fetch.listing import LISTING, write_listing
from sheetlens.fetch.records import edan, terms
from sheetlens.fetch.records.darwin_core import is_archive, open_archive
from sheetlens.fetch.sources.smithsonian import shards

BATCH_ROWS = 10_000  # of an extract in memory at a time
UNLABELLED = "no class folder and no record says its class"
AMBIGUOUS = "have a number that records of several institutions have: say theirs (institutionCode)"
ELSEWHERE = "have a number that only records of other institutions have"
WITHHELD = "informationWithheld"
SCHEMA = """
create table record
    (barcode text, institution text, label text, fields text, withheld integer, primary key (barcode, institution))
"""
log = logging.getLogger(__name__)


def read_records(settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield barcode, label and columns of the listing of every record; `informationWithheld` says if its place is.

    Raises UserError when the records cannot be read or a column is not there.
    """
    path = Path(settings.path).expanduser()
    if is_archive(path):
        records = _from_archive(path, settings)
    elif path.is_dir():
        records = _from_shards(path, settings)
    else:
        records = _from_table(path, settings)
    for barcode, label, known in records:
        fields = {term: value for term, value in terms.record_fields(known).items() if term != "specimen_id"}
        yield barcode, label, fields | ({WITHHELD: "the place"} if terms.is_protected(known) else {})


def extract(settings: Records, output: Path, wanted: Path | None = None) -> int:
    """Write the records as one small table (.parquet), in one pass; return how many.

    `wanted` is a table with a column `barcode`: only its specimens are kept. The table that is written serves
    as `records` of a data set. Raises UserError where no record is left.
    """
    keep: set[str] | None = None
    if wanted:
        names = [row["barcode"] for row in read_rows(wanted, {"barcode": "barcode"})]
        keep = {normalise(name) for name in names} | {without_suffix(name) for name in names}
    read = 0

    def chosen() -> Iterator[dict[str, str]]:
        nonlocal read
        for barcode, _, fields in read_records(settings):
            read += 1
            if barcode and (keep is None or normalise(barcode) in keep):
                yield fields | {"catalogNumber": barcode}

    columns = (*terms.SAME, WITHHELD)
    schema, number, rows = pa.schema([(term, pa.string()) for term in columns]), 0, chosen()
    with whole(output) as part, pq.ParquetWriter(part, schema) as writer:
        while some := list(itertools.islice(rows, BATCH_ROWS)):
            table = {term: [clean(fields.get(term, "")) for fields in some] for term in columns}
            writer.write_table(pa.table(table, schema))
            number += len(some)
        if not number:
            which = f"is in {wanted}" if wanted else f"has a barcode ('{settings.barcode}')"
            raise UserError(f"none of the {read:,} records in {settings.path} {which}: no table is written")
    if number < read:
        log.info("%s: %d of %d records are left out: %s", settings.path, read - number, read,
                 "no barcode, or not wanted" if wanted else "no barcode")  # fmt: skip
    return number


def join_listing(listing: Path, settings: Records) -> None:
    """Join the records to a listing (.parquet), which is written anew."""
    with pq.ParquetFile(listing) as file:
        rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
        write_listing(listing, join(rows, settings))


def join(rows: Iterable[Mapping[str, Any]], settings: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of a listing with what their specimens' records say; the log tells how many matched.

    A record fills empty columns and a missing label, and its storageLocation always counts; a place that any
    record of the specimen protects is taken out. A row without a label is refused. Of two records with one barcode
    and institution the first counts. See `find` for which record is a row's.
    """
    with tempfile.TemporaryDirectory() as folder, sqlite3.connect(Path(folder) / "records.sqlite") as base:
        known = _store(base, settings)
        total, outcomes = 0, Counter[str]()
        for row in rows:
            found = find(base, row)
            total += 1
            outcomes[found if isinstance(found, str) else "a record"] += 1
            yield _joined(row, None, found) if isinstance(found, str) else _joined(row, found, "")
        matched = outcomes.pop("a record", 0)
        log.info("%s: %d of %d images have a record; %d records were read", settings.path, matched, total, known)
        for reason, number in outcomes.items():
            log.warning("%d of %d images %s (%s)", number, total, reason or "have no record", settings.path)


def find(base: sqlite3.Connection, row: Mapping[str, Any]) -> sqlite3.Row | str:
    """The record of an image, else why there is none ("": nobody knows its barcode).

    A barcode counts as it is; only where no record has it, and it comes from a name, an ending such as _1 counts as
    that of a second picture. Mere numbers are unique only within an institution: both sides' institutionCode, where
    both are known, must agree.
    """
    catalogued, named = str(row["catalogNumber"]), str(row["specimen_id"])
    keys = [normalise(catalogued)] if catalogued else [normalise(named), without_suffix(named)]
    institution = str(row["institutionCode"]).strip().casefold()
    for key in filter(None, keys):
        if records := base.execute("select * from record where barcode = ?", (key,)).fetchall():
            own = [one for one in records if one["institution"] == institution]
            silent = [one for one in records if not one["institution"]]
            if institution and (own or silent):
                return (own or silent)[0]
            if institution and key.isdigit():
                return ELSEWHERE
            return records[0] if len(records) == 1 else AMBIGUOUS
    return ""


def _store(base: sqlite3.Connection, settings: Records) -> int:
    base.row_factory = sqlite3.Row
    base.execute(SCHEMA)
    number = twice = 0
    for barcode, label, fields in read_records(settings):
        number += 1
        if key := normalise(barcode):
            withheld = WITHHELD in fields
            kept = {term: clean(value) for term, value in fields.items() if value and term in LISTING}
            values = (key, kept.get("institutionCode", "").casefold(), clean(label), json.dumps(kept), withheld)
            if not base.execute("insert or ignore into record values (?, ?, ?, ?, ?)", values).rowcount:
                twice += 1
                if withheld:
                    base.execute("update record set withheld = 1 where barcode = ? and institution = ?", values[:2])
    if twice:
        log.warning("%s: %d records have the barcode of an earlier one, which counts", settings.path, twice)
    return number


def _joined(row: Mapping[str, Any], record: sqlite3.Row | None, reason: str) -> dict[str, Any]:
    known = {**row}
    label = record["label"] if record else ""
    for term, value in json.loads(record["fields"]).items() if record else ():
        if not known[term] or term == "storageLocation":
            known[term] = value
    if record and record["withheld"]:
        known |= dict.fromkeys(terms.PLACE, "")
    if not known["label"] and known["status"] == "ok":
        why = f"no class folder says its class, and images {reason}" if reason else UNLABELLED
        known |= {"label": label} | ({} if label else {"status": "refused", "reason": why})
    return known


def _from_table(path: Path, settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    names = (*terms.SAME, *terms.PROTECTED)
    columns = {term: settings.columns.get(term, term) for term in names} | {"barcode": settings.barcode}
    columns |= {"label": settings.label} if settings.label else {}
    needed = ("barcode", *settings.columns, *(["label"] if settings.label else []))
    shifted = 0
    for row in read_rows(path, columns, needed, keep_shifted=True):
        if row.get("refused"):
            shifted += 1
        else:
            yield row.pop("barcode"), row.pop("label", ""), row
    if shifted:
        log.warning("%s: %d records are left out: they have more cells than the table has columns", path, shifted)


def _from_archive(path: Path, settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    asked = [settings.barcode, *([settings.label] if settings.label else [])]
    with open_archive(path) as archive:
        if lacking := [term for term in asked if not archive.core.has(term)]:
            raise UserError(
                f"the core of {path} ({archive.core.row_type}) has no term '{lacking[0]}'; its terms are"
                f" {listed(sorted({*archive.core.terms, *archive.core.defaults}), 30)}"
            )
        for _, record in archive.rows(archive.core, dict.fromkeys([*terms.RECORD, *asked])):
            yield record[settings.barcode], record.get(settings.label, ""), record
        for sentence in archive.sentences():
            log.warning("%s", sentence)


def _from_shards(path: Path, settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    for shard in shards(str(path)):
        for record in edan.read_shard(Path(shard)):
            known = edan.record_terms(record)
            yield known.get(settings.barcode, ""), known.get(settings.label, ""), known
