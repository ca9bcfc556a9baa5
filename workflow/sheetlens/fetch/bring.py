"""Bring one large file of metadata here, such as an archive."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from sheetlens.errors import UserError
from sheetlens.fetch.faults import LaterError
from sheetlens.fetch.session import Session
from sheetlens.files import whole

LARGEST = 2**36  # bytes of an archive of metadata


async def bring(place: str, session: Session, path: Path, right: Callable[[Path], bool] = zipfile.is_zipfile) -> Path:
    """Return the file or folder that `place` names here, or fetch the one at that web address to `path`, once.

    `right` says whether a file that came is of the kind that was meant: servers answer with pages, too.
    """
    if "://" not in place:
        here = Path(place).expanduser()
        if not here.exists():
            raise UserError(f"'{place}' does not exist: give a file or folder here, or a web address")
        return here
    if path.exists():
        return path

    async def ask() -> None:
        with whole(path) as part, part.open("wb") as file:
            async with session.open(place) as response:
                async for piece in session.pieces(response, LARGEST):
                    file.write(piece)
            file.flush()
            if not right(part):
                raise LaterError("the server answered with another kind of file")

    await session.again(ask, place)
    return path
