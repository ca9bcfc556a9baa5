"""Command of the phase prepare."""

import logging
from pathlib import Path

import click

from sheetlens import files
from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.config import Images
from sheetlens.progress import reporter

log = logging.getLogger(__name__)


@click.command()
@click.option("--settings", type=Section(Images), required=True, help="The config's section `images`.")
@click.option("--listing", type=FILE, required=True, help="Table of the files, from `fetch`.")
@click.option("--pixels", type=PATH, required=True, help="Image set to write (.npy).")
@click.option("--index", type=PATH, required=True, help="Its table to write.")
@click.option("--manifest", type=PATH, required=True, help="Listing to write, with what became of each file.")
@click.option("--workers", default=1, show_default=True, help="Threads that decode and resize.")
def prepare(settings: Images, listing: Path, pixels: Path, index: Path, manifest: Path, workers: int) -> None:
    """Check the sheets, bring them to 256x256 and pack them."""
    from sheetlens.pack import pack

    table = files.read_table(listing)
    outcome = pack(table, pixels, index, manifest, settings.fit, workers, reporter("sheets read"))
    refused = outcome[outcome["status"] != "ok"]
    for file in refused.head(20).to_dict("records"):
        log.info("refused %s: %s", file["image_id"], file["reason"])
    log.info("%d sheets accepted, %d refused", len(outcome) - len(refused), len(refused))
