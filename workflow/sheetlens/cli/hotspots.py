"""Commands that put a model's answers to use in a collection."""

import logging
from datetime import datetime
from pathlib import Path

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, Section
from sheetlens.config import Methods, Records

log = logging.getLogger(__name__)


@click.command()
@click.option("--predictions", type=FILE, required=True, help="Table of a model's answers (.parquet, .csv).")
@click.option("--model", type=FOLDER, required=True, help="Folder of the model that gave them: how often it errs.")
@click.option(
    "--records",
    type=Section(Records),
    multiple=True,
    help="Specimen records to join, as the config's section `records`; several fill one another's gaps.",
)
@click.option("--label", default="stained", show_default=True, help="The model's class of treated sheets.")
@click.option("--tests", default=20, show_default=True, help="Number of cabinets that can be tested.")
@click.option("--checks", type=FILE, help="Table of sheets that were tested: barcode, label (.csv).")
@click.option("--checked", type=FILE, help="What a check of the collection says (check.json, from `sheetlens assess`).")
@click.option(
    "--measurements",
    type=FILE,
    help="Table of what instruments found: barcode or cabinet, method, value, unit, limit, positive, date, instrument.",
)
@click.option(
    "--methods",
    type=Section(Methods),
    default="{}",
    help="How often methods err, as the config's `methods`, beside XRF, vapour, spot test and UV.",
)
@click.option("--output", type=PATH, required=True, help="Folder to write.")
def hotspots(
    predictions: Path,
    model: Path,
    records: tuple[Records, ...],
    label: str,
    tests: int,
    checks: Path | None,
    checked: Path | None,
    measurements: Path | None,
    methods: Methods,
    output: Path,
) -> None:
    """Rank cabinets, taxa, collectors, decades and places by their treated sheets; plan tests; print labels."""
    from sheetlens.hotspots.ranking import write_hotspots

    asked = (predictions, model, records, label, tests, output, checks, checked, measurements, methods.root)
    values = write_hotspots(*asked)
    if found := values["measured"]:
        for odd in found["oddities"]:
            log.warning("measurements: %d rows, %s: %s", odd["rows"], odd["what"], "; ".join(odd["named"]))
        log.info("%d of %d results used (measurements.csv)", found["used"], found["rows"])
        left = (100 * found["enough"], found["left"])
        log.info("with %.0f %% probability fewer than %d treated cabinets are left untested", *left)
    if not checked:
        log.warning("no sheet of this collection was checked: how often the model errs here is assumed (--checked)")
    log.info("%d cabinets ranked, %d sheets on the hazard list", values["groups"]["cabinet"], values["hazards"])
    log.info("%s", values["warning"])


@click.command()
@click.argument("kind", type=click.Choice(["determinations", "flags"]))
@click.option("--predictions", type=FILE, required=True, help="Table of a model's answers (.parquet, .csv).")
@click.option("--model", type=FOLDER, required=True, help="Folder of the model, with model.json.")
@click.option("--boxes", type=FILE, help="Table of boxes around stains: image_id, xFrac, yFrac, widthFrac, heightFrac.")
@click.option(
    "--measurements", type=FILE, help="What instruments found: the measurements.csv that `hotspots` wrote, for flags."
)
@click.option("--label", default="stained", show_default=True, help="The model's class of treated sheets, for flags.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Day of the answers.")
@click.option(
    "--output", type=PATH, required=True, help="Darwin Core Archive to write (.zip); beside it a .csv for Symbiota."
)
def annotate(
    kind: str,
    predictions: Path,
    model: Path,
    boxes: Path | None,
    measurements: Path | None,
    label: str,
    day: datetime,
    output: Path,
) -> None:
    """Write answers as Darwin Core: determinations (classes are taxa) or flags (classes are stained and not)."""
    from sheetlens.hotspots.darwin_core_export import write_annotations

    number = write_annotations(predictions, model, kind, day.date(), output, boxes, label, measurements)
    log.info("%d specimens in %s", number, output)
