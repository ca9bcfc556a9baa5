"""Source `smithsonian`: pictures of the Smithsonian's Open Access, in a size that its servers make.

The barcode is no search field of the API: to find sheets by barcode all shards of the metadata are read once.
"""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sheetlens.common import files
from sheetlens.common.barcodes import normalise
from sheetlens.common.errors import UserError
from sheetlens.common.tables import read_rows
from sheetlens.config import SmithsonianSource
from sheetlens.fetch.candidates import Candidates
from sheetlens.fetch.download import bring
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.records import edan, terms
from sheetlens.fetch.sources import Source, dwca

API = "https://api.si.edu/openaccess/api/v1.0/search"
IMAGES = "https://ids.si.edu/ids"
KEY = "SI_API_KEY"
PAGE_ROWS = 1000  # most rows of a page
SHARDS = [f"{number:02x}" for number in range(256)]
SEARCHED = {"family": "tax_family", "scientificName": "scientific_name"}  # terms that the API's index has


def plan(settings: SmithsonianSource) -> list[Plan]:
    """Say for each class what will be asked for."""
    return [
        Plan(
            f"{label}: pictures of {settings.unit}, {settings.size} pixels, of specimens with "
            + (dwca.conditions(chosen.where) or f"the barcodes in {chosen.barcodes}"),
            hosts=("api.si.edu", "ids.si.edu") if settings.metadata == "api" else ("ids.si.edu",),
            images=chosen.images,
            licence=", ".join(settings.licences) or "CC0 or as stated",
        )
        for label, chosen in settings.classes.items()
    ]


async def requests(settings: SmithsonianSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """Read the records, sample each class, and yield its pictures.

    Raises UserError when the API has no key or there are too few pictures.
    """
    tables = [chosen.barcodes for chosen in settings.classes.values() if chosen.barcodes]
    here = [] if settings.metadata == "api" else [settings.metadata]
    candidates = Candidates(folder / "candidates.sqlite", settings, *here, *tables)
    if settings.metadata == "api":
        for label in settings.classes:
            await _search(settings, session, candidates, label)
    else:
        await _read_shards(settings, session, candidates, folder)
    candidates.cite("Smithsonian Open Access", unit=settings.unit, metadata=settings.metadata)
    for request in candidates.sample():
        yield request


async def _search(settings: SmithsonianSource, session: Session, candidates: Candidates, label: str) -> None:
    """Take all pages of a class from the API."""
    words = query(settings, label)
    while not candidates.recall(f"end {label}"):
        start = candidates.recall(f"start {label}") or 0
        with candidates.step(f"page {label} {start}"):
            parameters = {"q": words, "start": str(start), "rows": str(PAGE_ROWS)}
            # The key as a header, so that no message that names the address can name it.
            answer = await session.json(API, params=parameters, headers={"X-Api-Key": api_key()})
            response = answer.get("response") or {}
            rows = response.get("rows") or []
            for record in rows:
                take(settings, candidates, record, {label: settings.classes[label].where}, {})
            candidates.note(f"start {label}", start + len(rows))
            candidates.note(f"end {label}", not rows or start + len(rows) >= int(response.get("rowCount") or 0))


def query(settings: SmithsonianSource, label: str) -> str:
    """The words of a search: what the index knows of a class's conditions; the rest is checked record by record."""
    where = settings.classes[label].where
    known = [
        "(" + " OR ".join(f'{SEARCHED[term]}:"{value.replace(chr(34), "")}"' for value in values) + ")"
        for term, values in where.items()
        if term in SEARCHED
    ]
    if not known:
        raise UserError(
            f"class '{label}': the Smithsonian's API searches by {' or '.join(SEARCHED)}: add one of them to `where`,"
            " or give `metadata` as shards"
        )
    return " AND ".join([f'unit_code:"{settings.unit}"', 'online_media_type:"Images"', *known])


def api_key() -> str:
    """The key of the API from the environment; raise UserError where there is none."""
    key = os.environ.get(KEY, "")
    if not key:
        raise UserError(f"the Smithsonian's API needs a (free) key from api.data.gov: set {KEY} in the environment")
    return key


async def _read_shards(settings: SmithsonianSource, session: Session, candidates: Candidates, folder: Path) -> None:
    """Take the records of all shards, one shard at a time."""
    where = {label: chosen.where for label, chosen in settings.classes.items() if chosen.where}
    labels: dict[str, str] = {}
    for label, chosen in settings.classes.items():
        if chosen.barcodes:
            labels |= {
                normalise(row["barcode"]): label for row in read_rows(Path(chosen.barcodes), {"barcode": "barcode"})
            }
    for place in shards(settings.metadata):
        with candidates.step(place) as due:
            if due:
                path = await bring(place, session, folder / "shards" / place.rsplit("/", 1)[-1], is_shard)
                for record in edan.read_shard(path):
                    take(settings, candidates, record, where, labels)
                if "://" in place:
                    path.unlink()


def shards(metadata: str) -> list[str]:
    """The places of all shards: files of a folder, or addresses below one (or with `{shard}` in one)."""
    if "://" in metadata:
        address = metadata if "{shard}" in metadata else metadata.rstrip("/") + "/{shard}.txt.bz2"
        return [address.replace("{shard}", shard) for shard in SHARDS]
    folder = files.at_home(metadata)
    found = sorted(path for path in folder.glob("*.txt*") if path.suffix in (".txt", ".bz2") and path.stem != "index")
    if not found:
        raise UserError(f"the folder '{folder}' has no shards of the Smithsonian's metadata (*.txt.bz2 or *.txt)")
    return [str(path) for path in found]


def is_shard(path: Path) -> bool:
    """Whether a file begins like a shard, packed or plain."""
    with path.open("rb") as file:
        beginning = file.read(3)
    return beginning == b"BZh" or beginning[:1] == b"{"


def take(
    settings: SmithsonianSource,
    candidates: Candidates,
    record: Any,
    where: Mapping[str, Mapping[str, tuple[str, ...]]],
    labels: Mapping[str, str],
) -> None:
    """Add the pictures of a record that belongs to a class, by its terms or by its barcode."""
    if not isinstance(record, dict):
        return
    known = edan.record_terms(record)
    label = labels.get(normalise(known.get("catalogNumber", ""))) or (where and terms.class_of(known, where))
    if not label:
        return
    fields = terms.record_fields(known) | {"rights_holder": "Smithsonian Institution"}
    pictures = edan.media(record)
    for entry in pictures:
        candidates.add(label, ways(settings, edan.image_id(entry)), fields, edan.licence(entry))
    if not pictures:
        candidates.leave_out(label, "of records without a picture")


def ways(settings: SmithsonianSource, image: str) -> list[tuple[str, str]]:
    """The addresses of a picture in the size asked for: from the server chosen, then from the other."""
    if not image:
        return []
    size = settings.size
    iiif = f"{IMAGES}/iiif/{quote(image, safe='')}/full/!{size},{size}/0/default.jpg"
    delivery = f"{IMAGES}/deliveryService?max={size}&id={quote(image, safe='')}"
    if image.startswith("ark:"):
        delivery = f"{IMAGES}/deliveryService/id/{image}/{size}"
    both = [(iiif, f"iiif {size}"), (delivery, f"delivery {size}")]
    return both if settings.server == "iiif" else both[::-1]


SOURCE = Source(plan, requests=requests)
