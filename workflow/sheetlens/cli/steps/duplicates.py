"""Command of the phase duplicates."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH
from sheetlens.common import files
from sheetlens.common.progress import reporter

log = logging.getLogger(__name__)


@click.command()
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--output", type=PATH, required=True, help="Table of pairs to write.")
def find_duplicates(pixels: Path, index: Path, output: Path) -> None:
    """Find sheets that are there twice, exactly or nearly."""
    from sheetlens.duplicates import search

    pairs = search.find_duplicates(pixels, index, reporter)
    files.write_table(output, pairs)
    counts = pairs["kind"].value_counts()
    found = ", ".join(f"{kind} {count}" for kind, count in counts.items()) or "none"
    log.info("pairs of duplicates: %s; under different labels: %d", found, pairs["labels_differ"].sum())
