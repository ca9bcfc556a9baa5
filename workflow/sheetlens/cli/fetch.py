"""Command of the phase fetch."""

from pathlib import Path

import click

from sheetlens import files
from sheetlens.cli.options import PATH
from sheetlens.config import DemoSource, FolderSource
from sheetlens.errors import UserError
from sheetlens.progress import reporter


@click.command()
@click.argument("source", type=click.Choice(["demo", "folder", "figshare", "gbif"]))
@click.option("--settings", required=True, help="The source's section of the config, as JSON.")
@click.option("--originals", type=PATH, required=True, help="Folder for the files a source brings.")
@click.option("--listing", type=PATH, required=True, help="Table to write: one row per file.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw.")
def fetch(source: str, settings: str, originals: Path, listing: Path, workers: int) -> None:
    """Fetch a data set's sheets from SOURCE, or list those that are here."""
    from sheetlens.fetch import demo, folder

    if source == "demo":
        table = demo.fetch(DemoSource.model_validate_json(settings), originals, workers, reporter("sheets drawn"))
    elif source == "folder":
        table = folder.fetch(FolderSource.model_validate_json(settings), reporter("files listed"))
    else:
        raise UserError(
            f"this version cannot fetch from {source} yet: sort the images by hand into one folder per"
            " class and run them as your own sheets (make own SHEETS=folder)"
        )
    files.write_table(listing, table)
