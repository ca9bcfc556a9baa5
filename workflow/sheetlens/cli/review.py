"""The command that lets a person look at doubtful sheets."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FOLDER, PATH

log = logging.getLogger(__name__)


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; others ask for a token.")
@click.option("--port", default=8600, show_default=True, type=click.IntRange(1, 65535), help="Port to serve on.")
@click.option("--export", type=PATH, help="Serve nothing: write the corrections made so far (.csv).")
def review(run: Path, host: str, port: int, export: Path | None) -> None:
    """Go through the doubtful sheets of RUN in the browser, and correct their labels.

    RUN is the folder that `predict` wrote, or results/{dataset}/ of a finished study.
    """
    from sheetlens.review.queue import open_run

    queue = open_run(run)
    if export:
        from sheetlens.review.export import write_corrections
        from sheetlens.review.journal import NAME, read_entries

        barcodes = dict(zip(queue.sheets["image_id"], queue.sheets["barcode"], strict=True))
        counts = write_corrections(read_entries(run / NAME), barcodes, export)
        log.info("%s: %s", export, ", ".join(f"{count} {name}" for name, count in counts.items()))
        return
    from sheetlens.review.server import serve

    serve(queue, host, port)
