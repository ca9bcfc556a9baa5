"""What became of the files of a data set: the last lines of every fetch."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import tally
from sheetlens.fetch.records.terms import WITHHELD

log = logging.getLogger(__name__)


def left_out(citation: Path) -> list[str]:
    """What a search left out before any file was asked for: a line for each class, none without a citation.json."""
    if not citation.exists():
        return []
    lines = []
    for label, found in files.read_json(citation).get("classes", {}).items():
        reasons = [f"{number:,} {reason}" for reason, number in Counter(found["left_out"]).most_common()]
        before = f" Left out before: {'; '.join(reasons)}." if reasons else ""
        lines.append(f"Class '{label}': {found['candidates']:,} pictures could be asked for.{before}")
    return lines


def summarise(listing: Path, on_disk: tuple[int, int] | None = None) -> None:
    """Say what a listing holds; `on_disk` are the files of a folder and the hidden ones in it, counted once more.

    Raises UserError where the folder has other files by now than were listed.
    """
    counts: Counter[str] = Counter()
    found = tally(_counted(files.read_rows(listing), counts))
    if on_disk:
        number, hidden = on_disk
        aside = f" ({hidden:,} hidden ones are left alone)" if hidden else ""
        log.info("Files on disk: %s%s. Rows of the listing: %s.", f"{number:,}", aside, f"{found.found:,}")
        if number != found.found:
            raise UserError(
                f"the folder has {number:,} files and the listing {found.found:,} rows: files came or went while it was"
                " read; run again"
            )
    for line in left_out(listing.with_name("citation.json")):
        log.info("%s", line)
    for line in found.lines():
        log.info("%s", line)
    if withheld := counts[WITHHELD]:
        log.info("Places withheld because the source protects them: %s.", f"{withheld:,}")


def _counted(rows: Iterable[dict[str, Any]], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """The rows of a listing, while those are counted whose place was taken out."""
    for row in rows:
        counts[WITHHELD] += bool(row.get(WITHHELD))
        yield row
