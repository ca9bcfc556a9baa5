"""Commands that put a model's answers to use in a collection."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.config import Records

log = logging.getLogger(__name__)


@click.command()
@click.option("--predictions", type=FILE, required=True, help="Table of a model's answers (.parquet, .csv).")
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the model: how often it errs.")
@click.option(
    "--records",
    type=Section(Records),
    multiple=True,
    help="Specimen records to join, as the config's section `records`; several fill one another's gaps.",
)
@click.option("--label", default="stained", show_default=True, help="The model's class of treated sheets.")
@click.option("--tests", default=20, show_default=True, help="Number of cabinets that can be tested.")
@click.option("--output", type=PATH, required=True, help="Folder to write.")
def hotspots(
    predictions: Path, evaluation: Path, records: tuple[Records, ...], label: str, tests: int, output: Path
) -> None:
    """Rank cabinets, taxa, collectors, decades and places by their share of treated sheets; plan tests; print labels."""
    from sheetlens.hotspots import write_hotspots

    values = write_hotspots(predictions, evaluation, records, label, tests, output)
    log.info("%d cabinets ranked, %d sheets on the hazard list", values["groups"]["cabinet"], values["hazards"])
    log.info("%s", values["warning"])
