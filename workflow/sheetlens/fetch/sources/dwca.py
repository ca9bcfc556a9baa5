"""Source `dwca`: pictures named by Darwin Core Archives, from GBIF, iDigBio, Symbiota or anybody.

The core goes into SQLite and the media stream past it: memory does not grow with the number of rows.
"""

import difflib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yarl import URL

from sheetlens.common.formats.file_kinds import listed
from sheetlens.common.licences import resolve
from sheetlens.common.secrets import without_secrets
from sheetlens.config import DwcaSource
from sheetlens.fetch.candidates import Candidates
from sheetlens.fetch.download import bring
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.records import pictures, sizes, terms
from sheetlens.fetch.records.archive_files import is_archive
from sheetlens.fetch.records.darwin_core import Archive, open_archive
from sheetlens.fetch.sources import Source

SIZES = {  # sizes in the order to ask for them, by what the config wants
    "web": ("web", "medium", "original", "lower"),
    "original": ("original", "web", "medium", "lower"),
}
OTHERS, CORE_ONLY = "media rows of other records", "records with associatedMedia only"
WEB = "goodQualityAccessURI"
SPECIMENS = (
    "occurrence",
    "simpledarwinrecord",
    "darwincore",
    "preservedspecimen",
    "materialentity",
    "materialsample",
    "",
)
Classes = Mapping[str, Mapping[str, Sequence[str]]]  # label -> term -> values (see terms.class_of)
Ways = Callable[[str, Mapping[str, str]], list[tuple[str, str]]]  # id and media row -> addresses, sizes
log = logging.getLogger(__name__)


def collect(path: Path, candidates: Candidates, classes: Classes, ways: Ways) -> dict[str, Any]:
    """Add every picture of an archive whose record belongs to a class (see `terms.class_of`).

    Returns what the archive held and how to cite it; the log says it, too.
    """
    with open_archive(path) as archive:
        counts = Counter(dict.fromkeys(("records", "records of the classes", "media rows"), 0))
        _know_records(archive, candidates, classes, counts)
        stranger = ""
        for key, media in _media(archive, candidates, counts):
            if found := candidates.known(key):
                add_media(candidates, found[0], key, found[1], media, ways, archive.name)
            else:
                counts[OTHERS] += 1
                stranger = stranger or key
        candidates.explain(*_why_nothing(archive, classes, counts), *_why_none_of(archive, candidates, classes))
        if number := counts[OTHERS]:
            said = f"{number:,} media rows of {archive.name} belong to no record of the classes, e.g. id '{stranger}'"
            candidates.explain(said)
        for sentence in archive.sentences():
            log.warning("%s", sentence)
        log.info("%s: %s", path.name, ", ".join(f"{number:,} {what}" for what, number in counts.items()))
        return archive.citation() | {what.replace(" ", "_"): number for what, number in counts.items()}


def add_media(
    candidates: Candidates,
    label: str,
    key: str,
    record: Mapping[str, str],
    media: Mapping[str, str],
    ways: Ways,
    archive: str = "",
) -> None:
    """Add the pictures that one media row of one record names, both in Darwin Core's terms, or say why not."""
    if reason := terms.why_no_picture(media):
        candidates.leave_out(label, reason)
        return
    fields = terms.record_fields(record, key) | terms.media_fields(media, record)
    for one in pictures.named(media):
        found = ways(key, one)
        asked = [way for way in found if way[1] != "thumbnail"]  # which is no picture of the sheet, not even at last
        if found and not asked:
            candidates.leave_out(label, "that are thumbnails")
            continue
        same = f"{archive}|{key}|{pictures.same(one, asked[0][0])}" if asked else ""
        if candidates.add(label, asked, fields, _licence(media, record), same, SIZES[_wanted(candidates)]):
            candidates.pictured(key)


def _wanted(candidates: Candidates) -> str:
    size = getattr(candidates.settings, "size", "web")
    return size if size in SIZES else "web"


def _know_records(archive: Archive, candidates: Candidates, classes: Classes, counts: Counter[str]) -> None:
    """Keep the records of all classes."""
    candidates.base.execute("delete from record")  # ids are those of one archive
    twice, protected = "records have the id of an earlier one and are left out", "records with a protected place"
    for key, record in archive.rows(archive.core, terms.terms_of(classes.values())):
        counts["records"] += 1
        if label := terms.class_of(record, classes):
            if terms.is_protected(record):
                counts[protected] += 1
            new = candidates.know(key or record["occurrenceID"] or record["catalogNumber"], label, record)
            counts["records of the classes" if new else twice] += 1
    if counts[twice]:
        log.warning("%s: %d %s", archive.name, counts[twice], twice)


def _media(archive: Archive, candidates: Candidates, counts: Counter[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The media rows with the id of their record; of records without one, what a term of the core names."""
    for table in archive.media:
        for row in archive.rows(table, terms.MEDIA):
            counts["media rows"] += 1
            yield row
    for key, _, record in candidates.unpictured():
        if addresses := record.get("associatedMedia"):
            counts[CORE_ONLY] += 1
            yield key, {"identifier": addresses}


def _why_nothing(archive: Archive, classes: Classes, counts: Counter[str]) -> Iterator[str]:
    """Sentences on why an archive may give no pictures."""
    core = archive.core
    if core.row_type.casefold() not in SPECIMENS:
        yield (
            f"the core of {archive.name} is {core.row_type} and not Occurrence, so that its pictures belong to no"
            " specimen: export it with occurrences as its core"
        )
    for term in sorted({term for where in classes.values() for term in where if not core.has(term)}):
        known = {name.casefold(): name for name in (*core.terms, *core.defaults)}
        near = [known[name] for name in difflib.get_close_matches(term.casefold(), known, 1)]
        yield (
            f"the records of {archive.name} have no term '{term}'"
            + (f", but '{near[0]}'" if near else f"; their terms are {listed(sorted(known.values()), 20)}")
        )
    if not counts["records"]:
        yield f"{archive.name} has no records"
    elif not counts["records of the classes"]:
        yield f"none of the {counts['records']:,} records of {archive.name} is of a class"
    if not archive.media:
        others = listed([table.row_type or "unnamed" for table in archive.extensions])
        none = "no table of media" + f" (its extensions are {others})" * bool(archive.extensions)
        if core.has("associatedMedia"):
            named = f"{counts[CORE_ONLY]:,} records of the classes"
            yield f"{archive.name} has {none}, and {named} have the term associatedMedia"
        else:
            yield f"{archive.name} names no pictures: it has {none}, and its records no term associatedMedia"
    elif not counts["media rows"]:
        yield f"the table of media of {archive.name} is empty"


def _why_none_of(archive: Archive, candidates: Candidates, classes: Classes) -> Iterator[str]:
    """Sentences on the classes that have no record, or none with a picture."""
    rows = candidates.base.execute("select label, count(*), sum(pictured) from record group by label")
    found = {label: (records, pictured) for label, records, pictured in rows}
    for label, where in classes.items():
        records, pictured = found.get(label, (0, 0))
        if not records and where:
            yield f"no record of {archive.name} has {conditions(where)}"
        elif records and not pictured:
            yield f"none of the {records:,} records of class '{label}' in {archive.name} names a picture to ask for"


def ways(size: str) -> Ways:
    """How the addresses of a picture follow from its media row: the size asked for first, then what there is."""

    def of(key: str, media: Mapping[str, str]) -> list[tuple[str, str]]:
        stated = sizes.SIZES.get(terms.quality(media), "")
        found = {}
        for term in ("accessURI", "identifier", WEB):
            if address := media.get(term):
                named = sizes.size_of(address, "original")
                found[address] = named if named == "thumbnail" else "web" if term == WEB else stated or named
        order = SIZES[size]
        return sorted(found.items(), key=lambda way: order.index(way[1]) if way[1] in order else len(order))

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
                path = await bring(place, session, folder / f"archive-{number}.zip", is_archive)
                held = collect(path, candidates, classes, ways(settings.size))
                before = candidates.recall("held") or []
                candidates.note("held", [*before, {"archive": without_secrets(place), **held}])
    candidates.cite("Darwin Core Archives", archives=candidates.recall("held"))
    for request in candidates.sample():
        yield request


SOURCE = Source(plan, requests=requests)
