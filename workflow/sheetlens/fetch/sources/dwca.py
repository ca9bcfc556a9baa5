"""Source `dwca`: pictures named by Darwin Core Archives, from GBIF, iDigBio, Symbiota or anybody.

The core goes into SQLite and the media stream past it: memory does not grow with the number of rows.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from yarl import URL

from sheetlens.common.licences import resolve
from sheetlens.config import DwcaSource
from sheetlens.fetch.candidates import Candidates
from sheetlens.fetch.download import bring
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.records import terms
from sheetlens.fetch.records.darwin_core import Archive, open_archive

SIZES = {  # the terms that hold addresses: the size asked for first, then what there is
    "web": ("goodQualityAccessURI", "accessURI", "identifier"),
    "original": ("accessURI", "identifier", "goodQualityAccessURI"),
}
WEB = "goodQualityAccessURI"
Classes = Mapping[str, Mapping[str, Sequence[str]]]  # label -> term -> values (see terms.class_of)
Ways = Callable[[str, Mapping[str, str]], list[tuple[str, str]]]  # id and media row -> addresses, sizes
log = logging.getLogger(__name__)


def collect(path: Path, candidates: Candidates, classes: Classes, ways: Ways) -> None:
    """Add every picture of an archive whose record belongs to a class (see `terms.class_of`)."""
    with open_archive(path) as archive:
        duplicates = _know_records(archive, candidates, classes)
        for key, media in _media(archive):
            if (found := candidates.known(key)) and terms.is_picture(media):
                add_picture(candidates, found[0], key, found[1], media, ways)
        for reason, count in archive.skipped.items():
            log.warning("%s: %d rows could not be read: %s", path.name, count, reason)
        if duplicates:
            log.warning("%s: %d records have the id of an earlier one and are left out", path.name, duplicates)


def add_picture(
    candidates: Candidates, label: str, key: str, record: Mapping[str, str], media: Mapping[str, str], ways: Ways
) -> None:
    """Add one picture of one record, both in Darwin Core's terms."""
    fields = terms.record_fields(record, key) | terms.media_fields(media, record)
    candidates.add(label, ways(key, media), fields, _licence(media, record))


def _know_records(archive: Archive, candidates: Candidates, classes: Classes) -> int:
    """Keep the records of all classes; return how many had the id of an earlier one."""
    candidates.base.execute("delete from record")  # ids are those of one archive
    duplicates = 0
    for key, record in archive.rows(archive.core, terms.terms_of(classes.values())):
        if label := terms.class_of(record, classes):
            new = candidates.know(key or record["occurrenceID"] or record["catalogNumber"], label, record)
            duplicates += not new
    return duplicates


def _media(archive: Archive) -> Iterable[tuple[str, Mapping[str, str]]]:
    """The media rows with the id of their record: of the extensions, else of a term of the core."""
    for table in archive.media:
        yield from archive.rows(table, terms.MEDIA)
    if not archive.media:
        for key, record in archive.rows(archive.core, terms.RECORD):
            for address in record["associatedMedia"].split("|"):
                if address.strip():
                    yield key, {"identifier": address.strip()}


def ways(size: str) -> Ways:
    """How the addresses of a picture follow from its media row: the size asked for first, then what there is."""

    def of(key: str, media: Mapping[str, str]) -> list[tuple[str, str]]:
        places = {
            media[term]: "web" if term == WEB else "original" for term in reversed(SIZES[size]) if media.get(term)
        }
        return list(reversed(places.items()))

    return of


def _licence(media: Mapping[str, str], record: Mapping[str, str]) -> tuple[str, bool]:
    """The licence of a picture; that of its record is only what the picture's may be, and asserts nothing."""
    stated = [media.get(term) or "" for term in ("license", "WebStatement", "rights", "UsageTerms")]
    licence, asserted = resolve(*stated)
    return (licence, asserted) if licence else (resolve(record.get("license") or "")[0], False)


def plan(settings: DwcaSource) -> list[Plan]:
    """Say for each class what will be asked for."""
    return [
        Plan(
            f"{label}: pictures in {', '.join(settings.archives)} of records with {conditions(chosen.where)}",
            hosts=tuple(host for place in settings.archives if "://" in place and (host := URL(place).host)),
            images=chosen.images,
            licence=", ".join(settings.licences),
            unknown=("the portals' servers",),
        )
        for label, chosen in settings.classes.items()
    ]


def conditions(where: Mapping[str, Sequence[str]]) -> str:
    """Conditions on terms in words."""
    return " and ".join(f"{term} {' or '.join(values)}" for term, values in where.items())


async def requests(settings: DwcaSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """Read the archives, sample each class, and yield its pictures."""
    candidates = Candidates(folder / "candidates.sqlite", settings, *settings.archives)
    classes = {label: chosen.where for label, chosen in settings.classes.items()}
    for number, place in enumerate(settings.archives):
        with candidates.step(place) as due:
            if due:
                path = await bring(place, session, folder / f"archive-{number}.zip")
                collect(path, candidates, classes, ways(settings.size))
    candidates.cite("Darwin Core Archives", archives=settings.archives)
    for request in candidates.sample():
        yield request
