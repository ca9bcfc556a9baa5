"""What became of the files of a data set: the last lines of every fetch."""

import logging
from pathlib import Path

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Tally, tally

log = logging.getLogger(__name__)


def log_tally(found: Tally) -> None:
    """Say how many files were found, used and refused, and the main reasons."""
    for line in found.lines():
        log.info("%s", line)


def summarise(listing: Path, on_disk: tuple[int, int] | None = None) -> None:
    """Say what a listing holds; `on_disk` are the files of a folder and the hidden ones in it, counted once more.

    Raises UserError where the folder has other files by now than were listed.
    """
    found = tally(files.read_rows(listing))
    if on_disk:
        number, hidden = on_disk
        aside = f" ({hidden:,} hidden ones are left alone)" if hidden else ""
        log.info("Files on disk: %s%s. Rows of the listing: %s.", f"{number:,}", aside, f"{found.found:,}")
        if number != found.found:
            raise UserError(
                f"the folder has {number:,} files and the listing {found.found:,} rows: files came or went while it was"
                " read; run again"
            )
    log_tally(found)
