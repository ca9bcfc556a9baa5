"""Source `figshare`: articles whose files are archives of pictures, one article or file per class.

figshare's web pages answer programs with a challenge that only a browser can meet; its interface for programs
and its download server mostly do not. So each file is asked for there first, and an answer counts only if
it has the size and the MD5 that figshare states. What figshare refuses can be put there by hand.
"""

import asyncio
import hashlib
import logging
import mimetypes
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sheetlens.common.errors import UserError
from sheetlens.common.licences import resolve
from sheetlens.common.progress import reporter
from sheetlens.common.refusals import refused
from sheetlens.config import FigshareFile
from sheetlens.fetch.content_checks import check_image
from sheetlens.fetch.engine import Engine
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.addresses import place
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import LISTING, Plan, Request
from sheetlens.fetch.sources import Source
from sheetlens.fetch.unpack import Known, check_archive, is_picture, unpack

HOSTS = ("api.figshare.com", "ndownloader.figshare.com")
PAGE = 100  # files asked for at a time; figshare's default is 10, its most 1000
MEGABYTE = 10**6
LARGEST = 10**12  # bytes of an archive whose size figshare states
BY_HAND = "https://figshare.com/ndownloader/files/{}"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """One archive: what figshare or the config says of it."""

    label: str
    file: int
    name: str = ""
    bytes: int = 0
    md5: str = ""
    urls: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


async def fetch(
    settings: dict[str, FigshareFile],
    session: Session,
    originals: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[Path], None] = check_image,
) -> list[dict[str, Any]]:
    """Bring and unpack the archives; return the rows of the listing, one per member.

    Archives are kept in `archives` beside `originals`. Raises UserError, saying how to put an archive there by
    hand, when figshare does not give it, and when an archive has not the number of images expected.
    """
    folder = originals.with_name("archives")
    found = [one for label, wanted in settings.items() for one in await look_up(label, wanted, session, folder)]
    places = await _bring(found, session, folder, reporter("megabytes received"))
    total = sum(wanted.images or 0 for wanted in settings.values())
    rows: list[dict[str, Any]] = []
    known = {label: Known() for label in settings}  # a class may have several archives
    for one in found:
        before = len(rows)
        report = lambda done, before=before: progress(before + done, max(total, before + done + 1))  # noqa: E731
        rows += _unpack(one, places[one.file], originals, session.settings.largest, report, check, known[one.label])
    for label, wanted in settings.items():
        _count(label, wanted, rows, next(places[one.file] for one in found if one.label == label))
    return sorted(rows, key=lambda row: row["image_id"])


async def look_up(label: str, wanted: FigshareFile, session: Session, folder: Path) -> list[Found]:
    """The archives of one class as figshare describes them.

    When figshare cannot be asked and the archive is here, the config has to do.
    Raises UserError for an article that has none, or not the file that is wanted.
    """
    article = _article(wanted.article)
    base = f"{wanted.service}/{article}" + (f"/versions/{wanted.version}" if wanted.version else "")
    try:
        about = await session.json(base)
        listed = await _pages(session, f"{base}/files")
    except (LaterError, RefusedError) as error:
        if wanted.file and _here(folder, wanted.file):
            log.info("figshare was not asked about article %s (%s); the archive is here", article, error)
            return [Found(label, wanted.file, bytes=wanted.bytes or 0, md5=wanted.md5 or "")]
        raise UserError(
            f"figshare does not describe article {article}: {error}." + _hint([wanted.file or 0], folder)
        ) from None
    chosen = [one for one in listed if wanted.file in (None, one.get("id"))]
    if not chosen:
        numbers = ", ".join(str(one.get("id")) for one in listed[:20]) or "none"
        raise UserError(
            f"article {article} on figshare has no file {wanted.file}; it has {numbers}: correct the config"
        )
    fields = _credit(about if isinstance(about, dict) else {})
    return [_found(label, wanted, one, fields) for one in chosen]


async def _pages(session: Session, url: str) -> list[dict[str, Any]]:
    """All files of an article: the article itself names only the first ten."""
    listed: list[dict[str, Any]] = []
    for page in range(1, 1000):
        some = await session.json(url, params={"page": page, "page_size": PAGE})
        if not isinstance(some, list):
            raise LaterError("the list of files is no list")
        listed += [one for one in some if isinstance(one, dict)]
        if len(some) < PAGE:
            break
    return listed


def _found(label: str, wanted: FigshareFile, one: Mapping[str, Any], fields: Mapping[str, Any]) -> Found:
    number, md5 = int(one["id"]), str(one.get("computed_md5") or one.get("supplied_md5") or "")
    root = wanted.service.rsplit("/", 1)[0]
    urls = [f"{root}/file/download/{number}", f"https://ndownloader.figshare.com/files/{number}"]
    urls += [str(one["download_url"])] if one.get("download_url") else []
    size = int(one.get("size") or 0)
    refused = ""
    if one.get("is_link_only"):
        refused = "figshare has only a link to it"
    elif (wanted.md5 and md5 != wanted.md5) or (wanted.bytes and size != wanted.bytes):
        refused = f"figshare's file has {size:,} bytes and the MD5 {md5 or '(none)'}, not those of the config"
    return Found(label, number, str(one.get("name") or ""), size, md5, tuple(dict.fromkeys(urls)), fields, refused)


def _credit(about: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of the listing from what an article says of its licence and authors."""
    licence = about.get("license")
    stated = [str(licence.get(key) or "") for key in ("url", "name")] if isinstance(licence, dict) else []
    name, _ = resolve(*stated)
    authors = about.get("authors")
    people = (
        [str(one.get("full_name") or "") for one in authors if isinstance(one, dict)]
        if isinstance(authors, list)
        else []
    )
    return {"licence": name, "licence_asserted": bool(name), "creator": "; ".join(filter(None, people))}


async def _bring(
    found: list[Found], session: Session, folder: Path, progress: Callable[[int, int], None]
) -> dict[int, Path]:
    """The path of each archive, by file number: put there by hand, here from before, or brought now."""
    places = {one.file: path for one in found if (path := _here(folder, one.file))}
    for one in found:
        if one.file in places:
            _check_placed(one, places[one.file])
    asked = [one for one in found if one.file not in places]

    async def requests() -> AsyncIterator[Request]:
        for one in asked:
            name = f"{one.file}{''.join(PurePosixPath(one.name).suffixes[-2:])}"
            refused = one.refused or ("" if one.bytes and one.md5 else "figshare states no size or no MD5")
            yield Request(name, one.urls, ("figshare archive",), one.bytes, one.md5, refused=refused)

    engine = Engine(session, folder, folder / ".fetch", check=check_archive, largest=LARGEST)
    watching = asyncio.create_task(_watch(session, sum(one.bytes for one in asked), progress))
    try:
        await engine.bring(requests())
    finally:
        watching.cancel()
    rows = {int(row["image_id"].split(".")[0]): row for row in engine.journal.rows()}
    engine.journal.close()
    for number, row in rows.items():
        if row["status"] != "ok":
            log.info("file %s: %s", number, row["reason"])
    if failed := [number for number, row in rows.items() if row["status"] != "ok"]:
        raise UserError(
            f"figshare did not give file {' and '.join(map(str, failed))}; the reasons are above."
            + _hint(failed, folder)
        )
    return places | {number: Path(row["path"]) for number, row in rows.items()}


async def _watch(session: Session, total: int, progress: Callable[[int, int], None]) -> None:
    """Report the megabytes received until cancelled."""
    before = session.received
    while True:
        await asyncio.sleep(1)
        progress((session.received - before) // MEGABYTE, max(1, total // MEGABYTE))


def _unpack(
    one: Found,
    path: Path,
    originals: Path,
    largest: int,
    progress: Callable[[int], None],
    check: Callable[[Path], None],
    known: Known,
) -> Iterator[dict[str, Any]]:
    """Rows of the listing for the members of an archive, which is unpacked on the way."""
    shared = {
        "label": one.label,
        "source_url": one.urls[0] if one.urls else BY_HAND.format(one.file),
        "route": "figshare archive",
        **one.fields,
    }
    for member in unpack(path, place(originals, one.label), largest, progress, check, known):
        row = LISTING | shared | {"image_id": f"{one.label}/{member.name}"}
        if member.path is None:
            yield row | refused(member.refused)
            continue
        yield row | {
            "specimen_id": member.path.stem,
            "path": member.path.as_posix(),
            "content_type": mimetypes.guess_type(member.name)[0] or "",
            "bytes": member.bytes,
            "sha256": member.sha256,
        }


def _count(label: str, wanted: FigshareFile, rows: list[dict[str, Any]], path: Path) -> None:
    pictures = sum(row["label"] == label and is_picture(row["image_id"]) for row in rows)
    if wanted.images and pictures != wanted.images:
        raise UserError(
            f"class '{label}' has {pictures:,} images in {path}, and the config expects {wanted.images:,}: if the"
            " archive is the right one, correct `images`; if not, delete it and run the same command again"
        )


def _here(folder: Path, number: int) -> Path | None:
    """An archive that lies in the folder under its number, with any ending."""
    found = folder.glob(f"{number}*") if folder.is_dir() else ()
    return next((path for path in sorted(found) if re.fullmatch(rf"{number}(\D.*)?", path.name)), None)


def _check_placed(one: Found, path: Path) -> None:
    """Raise UserError if an archive is not the one that figshare or the config describes."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    if (one.bytes and path.stat().st_size != one.bytes) or (one.md5 and md5 != one.md5):
        raise UserError(
            f"{path} has {path.stat().st_size:,} bytes and the MD5 {md5}; figshare's file {one.file} has"
            f" {one.bytes:,} bytes and {one.md5 or 'an unknown MD5'}: delete it and fetch it again"
        )


def _hint(numbers: list[int], folder: Path) -> str:
    """How to do by hand what figshare keeps for browsers."""
    each = "; ".join(f"{BY_HAND.format(number)} as {folder}/{number}.tar.gz" for number in numbers)
    return (
        f" Either run the same command again later, or open the address in a browser and save the file there: {each}."
        " Then run the same command: it goes on from there"
    )


def _article(article: int | str) -> int:
    """The number of an article, which is also in its DOI (10.25573/data.5423083.v1)."""
    found = re.fullmatch(r"(?:.*[./])?(\d+)(?:\.v\d+)?", str(article))
    if not found:
        raise UserError(f"'{article}' is neither the number nor the DOI of an article on figshare")
    return int(found[1])


def plan(settings: dict[str, FigshareFile]) -> list[Plan]:
    """One plan for each class, from the config alone."""
    return [
        Plan(
            f"{label}: article {wanted.article}, {f'file {wanted.file}' if wanted.file else 'all its files'}",
            hosts=HOSTS,
            images=wanted.images,
            bytes=wanted.bytes,
        )
        for label, wanted in settings.items()
    ]


SOURCE = Source(plan, fetch=fetch)
