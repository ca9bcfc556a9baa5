"""What a source says: the listing of its files, the requests for them, and the plan of these.

A listing has one row per file found, whether usable or not, and the columns of LISTING. A source that
brings files to this machine writes them below `originals`; one whose files are here already leaves it alone.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common import files

BATCH_ROWS = 10_000  # rows of a listing written at a time
LISTING = {  # column -> value where a source knows nothing; Darwin Core terms keep their spelling
    "image_id": "",
    "specimen_id": "",
    "label": "",
    "institutionCode": "",
    "collectionCode": "",
    "catalogNumber": "",
    "recordedBy": "",
    "recordNumber": "",
    "eventDate": "",
    "family": "",
    "genus": "",
    "scientificName": "",
    "countryCode": "",
    "stateProvince": "",
    "locality": "",
    "decimalLatitude": "",
    "decimalLongitude": "",
    "informationWithheld": "",  # what was taken out because the source protects it
    "storageLocation": "",
    "datasetKey": "",  # of the data set of GBIF that the record is of
    "path": "",
    "source_url": "",
    "route": "",  # service and size asked for: classes that differ in it differ in more than the plant
    "licence": "",  # SPDX where it can be resolved, else as stated
    "licence_asserted": False,  # False: nothing said, or a default of the portal
    "rights_holder": "",
    "creator": "",
    "content_type": "",
    "bytes": 0,
    "sha256": "",
    "chosen": "",  # how it came before the person who labelled it: only "random" may be tested on, "" says nothing
    "status": "ok",
    "reason": "",
    "reason_code": "",  # of `common/refusals.py`
}


@dataclass(frozen=True, slots=True)
class Request:
    """One file to fetch, or, with `refused`, one that a source found unfit to be asked for.

    `image_id` becomes the path below `originals`. `urls` are tried in order until one gives the file;
    `routes` says for each of them (or once for all) what is asked of whom. Expected `bytes`, `md5` and
    `sha256` are checked where they are known. `fields` are columns of LISTING. One that is not `wanted` is counted
    and listed, but never missing.
    """

    image_id: str
    urls: tuple[str, ...] = ()
    routes: tuple[str, ...] = ("",)
    bytes: int = 0
    md5: str = ""
    sha256: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    wanted: bool = True

    def addresses(self) -> list[tuple[str, str]]:
        """The pairs of address and route."""
        routes = self.routes if len(self.routes) == len(self.urls) else self.routes[:1] * len(self.urls)
        return list(zip(self.urls, routes, strict=True))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a source will ask for, as far as it can be told without the network; empty: only the service knows."""

    what: str
    hosts: tuple[str, ...] = ()
    images: int | None = None
    bytes: int | None = None
    licence: str = ""
    unknown: tuple[str, ...] = ()


def listing(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Build a listing from partial records: every column, sorted by image_id."""
    table = pd.DataFrame([LISTING | record for record in records], columns=list(LISTING))
    return table.sort_values("image_id", kind="stable", ignore_index=True)


def write_listing(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a listing (.parquet) from rows sorted by image_id, a few at a time."""
    kinds = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}
    schema = pa.schema([(name, kinds[type(nothing)]) for name, nothing in LISTING.items()])
    with files.whole(path) as part, pq.ParquetWriter(part, schema) as writer:
        waiting = iter(rows)
        while some := list(itertools.islice(waiting, BATCH_ROWS)):
            writer.write_table(pa.table({name: [row[name] for row in some] for name in LISTING}, schema))
