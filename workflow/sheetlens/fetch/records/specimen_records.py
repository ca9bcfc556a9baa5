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
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common import files
from sheetlens.common.barcodes import normalise, without_suffix
from sheetlens.common.errors import UserError
from sheetlens.common.formats.file_kinds import listed
from sheetlens.common.tables import read_rows
from sheetlens.config import Records
from sheetlens.fetch.listing import LISTING, write_listing
from sheetlens.fetch.records import edan, terms
from sheetlens.fetch.records.archive_files import is_archive
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.fetch.records.record_store import OWNERS, RecordStore
from sheetlens.fetch.records.texts import clean
from sheetlens.fetch.sources.smithsonian import shards

BATCH_ROWS = 10_000  # of an extract in memory at a time
COLUMNS = (*terms.SAME, terms.WITHHELD)  # of an extract
UNLABELLED = "no class folder and no record says its class"
log = logging.getLogger(__name__)


def read_records(settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield barcode, label and columns of the listing of every record; `informationWithheld` says if its place is.

    Raises UserError when the records cannot be read or a column is not there.
    """
    path = files.at_home(settings.path)
    if is_archive(path):
        records = _from_archive(path, settings)
    elif path.is_dir():
        records = _from_shards(path, settings)
    else:
        records = _from_table(path, settings)
    for barcode, label, known in records:
        fields = {term: value for term, value in terms.record_fields(known).items() if term != "specimen_id"}
        yield barcode, label, fields


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

    def chosen(store: RecordStore) -> Iterator[dict[str, str]]:
        nonlocal read
        for barcode, _, fields in read_records(settings):
            read += 1
            if barcode and (keep is None or normalise(barcode) in keep):
                store.protect(barcode, fields)
                yield {term: clean(fields.get(term, "")) for term in COLUMNS} | {"catalogNumber": clean(barcode)}

    with _store() as (store, folder):
        number = _write(folder / "records.parquet", chosen(store))
        if not number:
            which = f"is in {wanted}" if wanted else f"has a barcode ('{settings.barcode}')"
            raise UserError(f"none of the {read:,} records in {settings.path} {which}: no table is written")
        # Only now is it known which places a later record of the specimen protects.
        with files.whole(output) as part:
            _write(part, _without_places(files.read_rows(folder / "records.parquet"), store, settings))
    if number < read:
        log.info("%s: %d of %d records are left out: %s", settings.path, read - number, read,
                 "no barcode, or not wanted" if wanted else "no barcode")  # fmt: skip
    return number


def _write(path: Path, rows: Iterator[Mapping[str, str]]) -> int:
    """Write an extract, a few rows at a time; return how many."""
    schema, number = pa.schema([(term, pa.string()) for term in COLUMNS]), 0
    with pq.ParquetWriter(path, schema) as writer:
        while some := list(itertools.islice(rows, BATCH_ROWS)):
            writer.write_table(pa.table({term: [row[term] for row in some] for term in COLUMNS}, schema))
            number += len(some)
    return number


def _without_places(rows: Iterable[dict[str, str]], store: RecordStore, settings: Records) -> Iterator[dict[str, str]]:
    """The rows of an extract, without the places that any record of their specimens protects; the log counts them."""
    withheld = 0
    for row in rows:
        protected = store.is_protected(row["catalogNumber"], row)
        withheld += protected
        yield row | terms.NO_PLACE if protected else row
    if withheld:
        log.info("%s: the places of %d records are withheld, because a record protects them", settings.path, withheld)


@contextmanager
def _store() -> Iterator[tuple[RecordStore, Path]]:
    """An empty store of records, and the folder it is in, which is removed in the end."""
    with tempfile.TemporaryDirectory() as folder, closing(RecordStore(Path(folder) / "records.sqlite")) as store:
        yield store, Path(folder)


def join_listing(listing: Path, settings: Records) -> None:
    """Join the records to a listing (.parquet), which is written anew."""
    with pq.ParquetFile(listing) as file:
        rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
        write_listing(listing, join(rows, settings))


def join(rows: Iterable[Mapping[str, Any]], settings: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of a listing with what their specimens' records say; the log tells how many matched.

    A record fills empty columns and a missing label, and its storageLocation always counts; a place that the source
    or any record of the specimen protects is taken out. A row without a label is refused. Of two records with one
    barcode, institution and collection the first counts. See `RecordStore.find` for which record is a row's.
    """
    with _store() as (store, _):
        known = _fill(store, settings)
        total, outcomes = 0, Counter[str]()
        withheld = 0
        for row in rows:
            found = store.find(row)
            total += 1
            outcomes[found if isinstance(found, str) else "a record"] += 1
            joined = _joined(row, None, found) if isinstance(found, str) else _joined(row, found, "")
            protected = _is_protected(store, row, found)
            withheld += protected
            yield joined | terms.NO_PLACE if protected else joined
        matched = outcomes.pop("a record", 0)
        log.info("%s: %d of %d images have a record; %d records were read", settings.path, matched, total, known)
        for reason, number in outcomes.items():
            log.warning("%d of %d images %s (%s)", number, total, reason or "have no record", settings.path)
        if withheld:
            log.info("the places of %d of %d images are withheld, because their source or a record of the specimen"
                     " protects them (%s)", withheld, total, settings.path)  # fmt: skip


def _fill(store: RecordStore, settings: Records) -> int:
    number = twice = 0
    for barcode, label, fields in read_records(settings):
        number += 1
        if normalise(barcode):
            twice += not store.add(barcode, label, fields)
            store.protect(barcode, fields)
    if twice:
        log.warning("%s: %d records have the barcode of an earlier one, which counts", settings.path, twice)
    return number


def _joined(row: Mapping[str, Any], record: sqlite3.Row | None, reason: str) -> dict[str, Any]:
    known = {**LISTING, **row}
    label = record["label"] if record else ""
    for term, value in json.loads(record["fields"]).items() if record else ():
        if not known[term] or term == "storageLocation":
            known[term] = value
    if not known["label"] and known["status"] == "ok":
        why = f"no class folder says its class, and images {reason}" if reason else UNLABELLED
        known |= {"label": label} | ({} if label else {"status": "refused", "reason": why})
    return known


def _is_protected(store: RecordStore, row: Mapping[str, Any], record: sqlite3.Row | str) -> bool:
    """Whether the place of an image is protected, by what its source said of it or by a record of its specimen."""
    if row.get(terms.WITHHELD):
        return True
    owners = {owner: row[f"{owner}Code"] for owner in OWNERS}
    barcode = row["catalogNumber"] or row["specimen_id"]
    if not isinstance(record, str):
        barcode, owners = record["barcode"], {owner: record[owner] or said for owner, said in owners.items()}
    return store.is_protected(barcode, {f"{owner}Code": said for owner, said in owners.items()})


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
