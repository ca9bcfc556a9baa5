"""Commands of the phase fetch."""

import logging
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from sheetlens.cli.options import FILE, PATH, Section, limits_option
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.progress import reporter
from sheetlens.common.secrets import without_secrets
from sheetlens.config import SOURCES, Dataset, Fetch, Images, Limits, Records

log = logging.getLogger(__name__)


@click.command()
@click.argument("source", type=click.Choice(SOURCES), required=False)
@click.option("--settings", help="The source's section of the config, as JSON.")
@click.option("--originals", type=PATH, help="Folder for the files a source brings.")
@click.option("--listing", type=PATH, help="Table to write: one row per file.")
@click.option("--records", type=Section(Records), help="The data set's section `records`: joined to the listing.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw, or that prepare.")
@click.option("--images", type=Section(Images), help="The config's section `images`; with --shards.")
@click.option("--shards", type=PATH, help="Prepare files as they arrive, into this folder, and do not keep them.")
@click.option(
    "--polite",
    type=Section(Fetch),
    default="{}",
    envvar="SHEETLENS_FETCH",
    help="The config's section `fetch`, as JSON, or in the variable SHEETLENS_FETCH.",
)
@limits_option
@click.option("--dry-run", is_flag=True, help="Only say what would be asked of whom; needs no network.")
@click.option(
    "--config",
    "configs",
    type=PATH,
    multiple=True,
    default=["config/config.yaml"],
    show_default=True,
    help="With --dry-run: config, and further ones laid over it.",
)
def fetch(
    source: str | None,
    settings: str | None,
    originals: Path | None,
    listing: Path | None,
    records: Records | None,
    workers: int,
    images: Images | None,
    shards: Path | None,
    polite: Fetch,
    limits: Limits,
    dry_run: bool,
    configs: tuple[Path, ...],
) -> None:
    """Fetch a data set's sheets from SOURCE, or list those that are here.

    With --dry-run, say for all data sets of the config what would be fetched.
    """
    if dry_run:
        _explain(configs)
        return
    if not (source and settings and originals and listing):
        raise UserError("SOURCE, --settings, --originals and --listing are needed, or --dry-run")
    from sheetlens.fetch import remote
    from sheetlens.fetch.sources import demo, folder
    from sheetlens.fetch.summary import summarise
    from sheetlens.prepare.intake import Intake

    section: Any = Dataset.model_fields[source].annotation
    try:
        chosen = TypeAdapter(section).validate_json(settings)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--settings") from None
    labelled = not (records and records.label)
    if source == "demo":
        files.write_table(listing, demo.fetch(chosen, originals, workers, reporter("sheets drawn")))
    elif source == "folder":
        files.write_table(listing, folder.fetch(chosen, reporter("files listed"), labelled))
    elif images and shards:
        with Intake(shards, images, workers) as intake:
            remote.fetch(source, chosen, polite, originals, listing, reporter("files"), intake, limits)
    else:
        remote.fetch(source, chosen, polite, originals, listing, reporter("files"), limits=limits)
    if records:
        from sheetlens.fetch.records.specimen_records import join_listing

        join_listing(listing, records)
    summarise(listing, folder.count(chosen) if source == "folder" else None)


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--barcode", default="catalogNumber", show_default=True, help="Column with the barcode.")
@click.option("--wanted", type=FILE, help="Table with a column `barcode`: keep these only.")
@click.option("--output", type=PATH, required=True, help="Table to write (.parquet).")
def extract_records(path: Path, barcode: str, wanted: Path | None, output: Path) -> None:
    """Write the specimen records in PATH as one small table, in one pass.

    PATH is a table, a Darwin Core Archive, or a folder with shards of the Smithsonian's metadata.
    """
    from sheetlens.fetch.records.specimen_records import extract

    number = extract(Records(path=str(path), barcode=barcode), output, wanted)
    log.info("%d records in %s", number, output)


def _explain(configs: tuple[Path, ...]) -> None:
    from sheetlens.fetch.dry_run import explain_study

    for line in explain_study(configs):
        click.echo(without_secrets(line))
