"""Join specimen records to images by barcode: from a table, a Darwin Core Archive or Smithsonian shards.

The records go into SQLite and the listing streams past them: memory does not grow with either.
"""

import itertools
import json
import logging
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common.barcodes import normalise
from sheetlens.common.files import whole
from sheetlens.common.tables import read_rows
from sheetlens.config import Records
from sheetlens.fetch.candidates import clean
from sheetlens.fetch.listing import LISTING, write_listing
from sheetlens.fetch.records import edan, terms
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.fetch.sources.smithsonian import shards

BATCH_ROWS = 10_000  # of an extract in memory at a time
UNLABELLED = "no class folder and no record says its class"
log = logging.getLogger(__name__)


def read_records(settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield barcode, label and columns of the listing of every record.

    Raises UserError when the records cannot be read or a column is not there.
    """
    path = Path(settings.path).expanduser()
    if path.suffix == ".zip" or (path / "meta.xml").is_file():
        yield from _from_archive(path, settings)
    elif path.is_dir():
        yield from _from_shards(path, settings)
    else:
        columns = {term: settings.columns.get(term, term) for term in terms.SAME} | {"barcode": settings.barcode}
        columns |= {"label": settings.label} if settings.label else {}
        needed = ("barcode", *settings.columns, *(["label"] if settings.label else []))
        for row in read_rows(path, columns, needed):
            yield row.pop("barcode"), row.pop("label", ""), row


def extract(settings: Records, output: Path, wanted: Path | None = None) -> int:
    """Write the records as one small table (.parquet), in one pass; return how many.

    `wanted` is a table with a column `barcode`: only its specimens are kept. The table that is written serves
    as `records` of a data set.
    """
    keep = {normalise(row["barcode"]) for row in read_rows(wanted, {"barcode": "barcode"})} if wanted else None
    chosen = (
        fields | {"catalogNumber": barcode}
        for barcode, _, fields in read_records(settings)
        if barcode and (keep is None or normalise(barcode) in keep)
    )
    schema, number = pa.schema([(term, pa.string()) for term in terms.SAME]), 0
    with whole(output) as part, pq.ParquetWriter(part, schema) as writer:
        while some := list(itertools.islice(chosen, BATCH_ROWS)):
            columns = {term: [clean(fields.get(term, "")) for fields in some] for term in terms.SAME}
            writer.write_table(pa.table(columns, schema))
            number += len(some)
    return number


def join_listing(listing: Path, settings: Records) -> None:
    """Join the records to a listing (.parquet), which is written anew."""
    with pq.ParquetFile(listing) as file:
        rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
        write_listing(listing, join(rows, settings))


def join(rows: Iterable[Mapping[str, Any]], settings: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of a listing with what their specimens' records say; the log tells how many matched.

    A record fills empty columns and a missing label, and its storageLocation always counts. A row without
    a label is refused. Of two records with one barcode the first counts.
    """
    with tempfile.TemporaryDirectory() as folder, sqlite3.connect(Path(folder) / "records.sqlite") as base:
        known = _store(base, settings)
        matched = total = 0
        for row in rows:
            found = base.execute("select label, fields from record where barcode = ?", (barcode_of(row),)).fetchone()
            total, matched = total + 1, matched + bool(found)
            yield _joined(row, *found) if found else _joined(row, "", "{}")
        log.info("%s: %d of %d images have a record; %d records were read", settings.path, matched, total, known)
        if matched < total:
            log.warning("%d of %d images have no record in %s", total - matched, total, settings.path)


def barcode_of(row: Mapping[str, Any]) -> str:
    """The barcode of an image for the join: its catalogue number, else what the specimen_id holds."""
    return normalise(str(row["catalogNumber"] or row["specimen_id"]))


def _store(base: sqlite3.Connection, settings: Records) -> int:
    base.execute("create table record (barcode text primary key, label text, fields text)")
    number = twice = 0
    for barcode, label, fields in read_records(settings):
        number += 1
        if key := normalise(barcode):
            kept = {term: clean(value) for term, value in fields.items() if value and term in LISTING}
            values = (key, clean(label), json.dumps(kept))
            twice += 1 - base.execute("insert or ignore into record values (?, ?, ?)", values).rowcount
    if twice:
        log.warning("%s: %d records have the barcode of an earlier one, which counts", settings.path, twice)
    return number


def _joined(row: Mapping[str, Any], label: str, fields: str) -> dict[str, Any]:
    known = {**row}
    for term, value in json.loads(fields).items():
        if not known[term] or term == "storageLocation":
            known[term] = value
    if not known["label"] and known["status"] == "ok":
        refused = {} if label else {"status": "refused", "reason": UNLABELLED}
        known |= {"label": label} | refused
    return known


def _from_archive(path: Path, settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    wanted = dict.fromkeys([*terms.RECORD, settings.barcode, *([settings.label] if settings.label else [])])
    with open_archive(path) as archive:
        for key, record in archive.rows(archive.core, wanted):
            fields = terms.record_fields(record, key)
            yield record[settings.barcode], record.get(settings.label, ""), _without_id(fields)


def _from_shards(path: Path, settings: Records) -> Iterator[tuple[str, str, dict[str, str]]]:
    for shard in shards(str(path)):
        for record in edan.read_shard(Path(shard)):
            known = edan.record_terms(record)
            yield (
                known.get(settings.barcode, ""),
                known.get(settings.label, ""),
                _without_id(terms.record_fields(known)),
            )


def _without_id(fields: dict[str, str]) -> dict[str, str]:
    return {term: value for term, value in fields.items() if term != "specimen_id"}
