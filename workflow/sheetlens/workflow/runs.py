"""One run at a time in a folder of results, of one study: what is held, and what is noted when it ends."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sheetlens.common.errors import UserError, sentence_for
from sheetlens.config import Dataset, Settings
from sheetlens.workflow import product_hashes

RESULTS = Path("results")


def hold_results(settings: Settings) -> IO[str]:
    """Keep a second run, or another study, from writing into the results, for as long as the returned file is open.

    A kill lets go by itself. Raises UserError where another run is at work, where the results hold another study, and
    where they cannot be written.
    """
    try:
        return _hold(settings)
    except OSError as error:
        raise UserError(sentence_for(error) or str(error)) from None


def _hold(settings: Settings) -> IO[str]:
    Path(".snakemake").mkdir(exist_ok=True)
    lock = Path(".snakemake/sheetlens.lock").open("w")  # noqa: SIM115 - held on purpose
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError("another run is at work in this folder: wait for it or stop it first") from None
    for name, dataset in settings.chosen.items():
        _claim(RESULTS / name, dataset)
    product_hashes.begin(RESULTS)
    return lock


def _claim(folder: Path, dataset: Dataset) -> None:
    """Note where the sheets of a data set come from; UserError where its folder holds those of another source."""
    note, source = folder / ".source", str(dataset.source)
    if dataset.folder and source == "folder":
        source = f"folder {os.path.normpath(dataset.folder.path)}"
    if (folder / "listing.parquet").exists() and note.exists() and note.read_text() != source:
        raise UserError(
            f"{folder} holds sheets and models from the source '{note.read_text()}', and this run would put those from"
            f" '{source}' in their place: move results/ away or delete it first, or, if these are the same sheets,"
            f" delete {note}"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(source)


def note_products() -> Iterator[str]:
    """Note what was made; a sentence for each product that somebody else changed since the last run."""
    try:
        for name in product_hashes.note(RESULTS):
            yield f"{RESULTS / name} changed since the last run, and not by one: 'sheetlens check' says more"
    except (UserError, OSError) as error:
        yield sentence_for(error) or str(error)
