"""Command that looks for products which changed behind the workflow's back."""

import logging
import sys
from pathlib import Path

import click

from sheetlens.cli.options import FOLDER

log = logging.getLogger(__name__)


@click.command()
@click.option("--remove", "removing", is_flag=True, help="Delete those that changed: the next run makes them anew.")
@click.argument("results", type=FOLDER, default="results")
def check(results: Path, removing: bool) -> None:
    """Compare the products in RESULTS with the hashes noted when the last run ended; exit status 1 if any changed."""
    from sheetlens.workflow import product_hashes

    found = product_hashes.changed(results)
    for name in found:
        log.info("%s is not what the run made", results / name)
    if removing:
        product_hashes.remove(results, found)
        log.info("%d deleted: the command that made the results makes them anew", len(found))
    elif found:
        sys.exit(f"{len(found)} changed: 'sheetlens check --remove {results}' deletes them, a run makes them anew")
    else:
        log.info("every product is what the run made")
