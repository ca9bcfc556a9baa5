"""Fetch a data set from any source on the network: bring its files, write its listing and their checksums."""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import LIMITS, Fetch, Limits
from sheetlens.fetch.content_checks import check_image
from sheetlens.fetch.engine import Engine
from sheetlens.fetch.http.addresses import SUMS
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Request, write_listing
from sheetlens.fetch.sources import Source, find_source
from sheetlens.fetch.summary import summarise
from sheetlens.prepare.intake import Intake

CITATION = "citation.json"  # where a source found its pictures, and what to cite
Progress = Callable[[int, int], None]
Check = Callable[[Path], None]
log = logging.getLogger(__name__)


def fetch(
    name: str,
    settings: Any,
    polite: Fetch,
    originals: Path,
    listing: Path,
    progress: Progress = lambda done, total: None,
    intake: Intake | None = None,
    limits: Limits = LIMITS,
) -> None:
    """Fetch from the source `name` below `originals`; write the listing (.parquet) and `SHA256SUMS` there.

    A source that searches also leaves `citation.json` beside the listing. With `intake` the files of all sources
    that name single files are prepared as they arrive and not kept.

    After a kill or a fault the same call continues. Raises UserError when more files of a class are missing
    than the config allows; the listing then says which, and why.
    """
    check = functools.partial(check_image, limits=limits)
    asyncio.run(_fetch(find_source(name), settings, polite, originals, listing, progress, intake, check))


async def _fetch(
    source: Source,
    settings: Any,
    polite: Fetch,
    originals: Path,
    listing: Path,
    progress: Progress,
    intake: Intake | None,
    check: Check,
) -> None:
    async with Session(polite, source.limits) as session:
        if source.fetch:
            rows = list(await source.fetch(settings, session, originals, progress, check))
            write_sums(originals, rows)
            write_listing(listing, rows)
            return
        assert source.requests  # noqa: S101 - one or the other
        state = originals.with_name("fetch")
        engine = Engine(
            session,
            originals,
            state,
            check=check,
            finished=functools.partial(_hand_over, intake) if intake else None,
            keep=intake is None,
            alternatives=source.alternatives,
            progress=progress,
        )
        if intake:
            _catch_up(engine, intake)
        await engine.bring(source.requests(settings, session, state))
        write_sums(originals, engine.journal.rows())
        write_listing(listing, engine.journal.rows())  # also for whoever wants to see what is missing
        if (citation := state / CITATION).exists():
            files.write_json(listing.with_name(CITATION), files.read_json(citation))
        check_missing(engine, polite.missing, listing)
        if intake:
            intake.finish()
        engine.finish()
        engine.journal.close()


def _hand_over(intake: Intake, request: Request, path: Path) -> dict[str, Any]:
    """Prepare a file that has arrived; what became of it stands in the shard."""
    intake.take({"image_id": request.image_id, "path": request.image_id, "sha256": ""}, path.read_bytes())
    return {}


def _catch_up(engine: Engine, intake: Intake) -> None:
    """Prepare what was kept by an earlier run, and ask again for what is neither here nor prepared."""
    gone = []
    for row in intake.lacking(engine.journal.whole()):
        if row["path"]:
            intake.take(row, Path(row["path"]).read_bytes())
        else:
            gone.append(row["image_id"])
    engine.journal.forget(gone)


def check_missing(engine: Engine, allowed: float, listing: Path) -> None:
    """Raise UserError if a larger share of a class is missing than allowed (0 to 1), and say what became of all."""
    for label, lacking, asked, reason, may_come in engine.journal.missing():
        sentence = f"class '{label}' lacks {lacking:,} of {asked:,} files, mostly because: {reason}"
        if lacking > allowed * asked:
            summarise(listing)
            raise UserError(
                f"{sentence}. That is more than the {100 * allowed:g} % that may be missing (`fetch.missing` in the"
                " config). "
                + (
                    "The same command asks again for those that may come later"
                    if may_come
                    else "Correct their addresses, or allow more to be missing"
                )
            )
        log.info("%s", sentence)


def write_sums(originals: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the checksums of the files below `originals` in the form of `sha256sum`."""
    originals.mkdir(parents=True, exist_ok=True)
    with files.whole(originals / SUMS) as part, part.open("w", encoding="utf-8") as file:
        for row in rows:
            if row["path"]:
                file.write(f"{row['sha256']}  {Path(row['path']).relative_to(originals).as_posix()}\n")
