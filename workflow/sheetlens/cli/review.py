"""The command that lets a person look at doubtful sheets."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FOLDER, PATH, limits_option
from sheetlens.common.progress import reporter
from sheetlens.config import Limits

log = logging.getLogger(__name__)


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; others ask for a token.")
@click.option("--port", default=8600, show_default=True, type=click.IntRange(1, 65535), help="Port to serve on.")
@click.option("--model", type=FOLDER, help="Model whose evidence the page lays over a sheet when asked to.")
@click.option("--export", type=PATH, help="Serve nothing: write the corrections made so far (.csv).")
@click.option("--static", type=PATH, help="Serve nothing: write the page with the doubtful sheets to this folder.")
@limits_option
def review(
    run: Path, host: str, port: int, model: Path | None, export: Path | None, static: Path | None, limits: Limits
) -> None:
    """Go through the doubtful sheets of RUN in the browser, and correct their labels.

    RUN is the folder that `predict` wrote, or results/{dataset}/ of a finished study. The page of --static needs no
    server: it keeps decisions in the browser and saves them as the same table of corrections.
    """
    from sheetlens.review.queue import open_run

    queue = open_run(run, limits)
    if export:
        from sheetlens.review.decisions import NAME, read_contents
        from sheetlens.review.export import write_corrections

        barcodes = dict(zip(queue.sheets["image_id"], queue.sheets["barcode"], strict=True))
        found = read_contents(run / NAME)
        for line in found.refused:
            log.warning("line %d of %s is left out (%s): mend it and export again", line.line, run / NAME, line.reason)
        counts = write_corrections(found.entries, barcodes, export)
        log.info("%s: %s", export, ", ".join(f"{count} {name}" for name, count in counts.items()))
        return
    if static:
        from sheetlens.review.static_page import write_static

        written = write_static(queue, static, reporter("sheets written"))
        log.info("%d sheets, %d with a picture; open %s", written["sheets"], written["shown"], static / "index.html")
        return
    from sheetlens.review.overlays import Evidence
    from sheetlens.review.server import serve

    serve(queue, host, port, Evidence(queue, model) if model else None)
