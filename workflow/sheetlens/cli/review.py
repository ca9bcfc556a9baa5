"""The command that lets a person look at doubtful sheets."""

import csv
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, limits_option
from sheetlens.common.errors import UserError
from sheetlens.common.progress import reporter
from sheetlens.config import Limits

if TYPE_CHECKING:
    from sheetlens.review.queue import Queue

log = logging.getLogger(__name__)


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; others ask for a token.")
@click.option("--port", default=8600, show_default=True, type=click.IntRange(1, 65535), help="Port to serve on.")
@click.option("--model", type=FOLDER, help="Model whose evidence the page lays over a sheet when asked to.")
@click.option("--blind", is_flag=True, help="Show the model's prediction only after a reviewer's own decision.")
@click.option("--sheets", type=FILE, help="Show exactly the sheets of this table (.csv, .parquet; column image_id).")
@click.option("--export", type=PATH, help="Serve nothing: write the corrections made so far (.csv).")
@click.option("--static", type=PATH, help="Serve nothing: write the page with the doubtful sheets to this folder.")
@limits_option
def review(
    run: Path,
    host: str,
    port: int,
    model: Path | None,
    blind: bool,
    sheets: Path | None,
    export: Path | None,
    static: Path | None,
    limits: Limits,
) -> None:
    """Go through the doubtful sheets of RUN in the browser, and correct their labels.

    RUN is the folder that `predict` wrote, or results/{dataset}/ of a finished study. The page of --static needs no
    server: it keeps decisions in the browser and saves them as the same table of corrections. Where two reviewers
    decided on the same sheets, --export says how far they agree (beside the corrections, NAME-agreement.csv).
    """
    from sheetlens.review.queue import only, open_run

    queue = replace(open_run(run, limits), blind=blind)
    if sheets:
        queue = only(queue, sheets)
    if export:
        _keep_apart(run, export)
        _export(queue, export)
        return
    if static:
        from sheetlens.review.static_page import write_static

        written = write_static(queue, static, reporter("sheets written"))
        log.info("%d sheets, %d with a picture; open %s", written["sheets"], written["shown"], static / "index.html")
        return
    from sheetlens.review.overlays import Evidence
    from sheetlens.review.server import serve

    serve(queue, host, port, Evidence(queue, model) if model else None)


def _keep_apart(run: Path, output: Path) -> None:
    """Raise UserError where a table would be written over what the run consists of, or what it was made into.

    The table of agreement bears a name that nobody gave: it takes no other file's place anywhere.
    """
    from sheetlens.prepare.corrections import COLUMNS as CORRECTIONS
    from sheetlens.review.agreement import COLUMNS as AGREEMENT

    second = _agreement_beside(output)
    if _is_of(run, output) and _is_another(output, CORRECTIONS):
        raise UserError(f"{output} belongs to the run and would be lost: give --export another name")
    if _is_another(second, AGREEMENT):
        raise UserError(f"{second} is no table of an earlier export and would be lost: give --export another name")


def _is_of(run: Path, output: Path) -> bool:
    """Whether a file lies below the run, or is one that a link of the run leads to."""
    places = (output.resolve(), output.parent.resolve() / output.name)
    linked = (*run.glob("*.parquet"), *run.glob("*.json"))
    return any(place.is_relative_to(run.resolve()) for place in places) or any(
        output.resolve() == one.resolve() for one in linked
    )


def _is_another(path: Path, columns: tuple[str, ...]) -> bool:
    """Whether a file stands there that begins otherwise than a table with these columns."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return tuple(next(csv.reader([file.readline(1000)]), ())) != columns


def _agreement_beside(output: Path) -> Path:
    return output.with_name(f"{output.stem}-agreement.csv")


def _export(queue: "Queue", output: Path) -> None:
    """Write the corrections, and say how far reviewers agree; of the sheets that were named, if some were."""
    from sheetlens.review.agreement import write_agreement
    from sheetlens.review.decisions import NAME, read_entries
    from sheetlens.review.export import write_corrections

    barcodes = dict(zip(queue.sheets["image_id"], queue.sheets["barcode"], strict=True))
    decided = read_entries(queue.folder / NAME)
    entries = [entry for entry in decided if entry["image_id"] in barcodes or not queue.named]
    counts = write_corrections(entries, barcodes, output)
    log.info("%s: %s", output, ", ".join(f"{count} {name}" for name, count in counts.items()))
    for sentence in write_agreement(entries, _agreement_beside(output)):
        log.info("%s", sentence)
