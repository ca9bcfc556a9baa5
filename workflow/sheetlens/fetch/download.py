"""Bring one large file of metadata here, such as an archive."""

import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason
from sheetlens.fetch.content_checks import BrokenImageError
from sheetlens.fetch.engine import Engine
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Request

LARGEST = 2**36  # bytes of an archive of metadata


async def bring(place: str, session: Session, path: Path, right: Callable[[Path], bool] = zipfile.is_zipfile) -> Path:
    """Return the file or folder that `place` names here, or fetch the one at that web address to `path`, once.

    `right` says whether a file that came is of the kind that was meant: servers answer with pages, too.
    """
    if "://" not in place:
        here = files.at_home(place)
        if not here.exists():
            raise UserError(f"'{place}' does not exist: give a file or folder here, or a web address")
        return here

    def check(part: Path) -> None:
        if not right(part):
            raise BrokenImageError(Reason("other_kind"))

    async def one() -> AsyncIterator[Request]:
        yield Request(path.name, (place,))

    engine = Engine(session, path.parent, path.with_suffix(".state"), check=check, largest=LARGEST)
    await engine.bring(one())
    outcome = next(iter(engine.journal.rows()))
    engine.finish()
    engine.journal.close()
    if outcome["status"] != "ok":
        raise UserError(f"{place} could not be fetched: {outcome['reason']}")
    return path
