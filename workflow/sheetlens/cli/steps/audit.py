"""Commands of the phase audit."""

from importlib import import_module
from pathlib import Path

import click

from sheetlens.audit import AUDITS
from sheetlens.cli.options import FILE, FOLDER, PATH, Section
from sheetlens.config import Audit

SETTINGS = click.option("--settings", type=Section(Audit), default="{}", help="The config's section `audit`.")


@click.group()
def audit() -> None:
    """Find out what may be wrong with a data set or a model."""


@audit.command("find")
@click.argument("name", type=click.Choice(AUDITS))
@SETTINGS
@click.option(
    "--input",
    "inputs",
    type=(str, FILE),
    multiple=True,
    required=True,
    help="What its rule names as input, and a file of it; repeatable.",
)
@click.option("--output", type=PATH, required=True, help="Finding to write (.json); its table is named alike (.csv).")
def find(name: str, settings: Audit, inputs: tuple[tuple[str, Path], ...], output: Path) -> None:
    """Make the finding of the audit NAME from products of the study."""
    from sheetlens.audit.finding import Inputs

    read = Inputs()
    for part, path in inputs:
        read.add(part, path)
    import_module(f"sheetlens.audit.{name}").write(read, settings, output)


@audit.command("baselines")
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@click.option("--manifest", type=FILE, required=True, help="What is known of each photograph.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--groups", type=FILE, required=True, help="Table of sheets that belong together.")
@click.option("--folder", type=PATH, required=True, help="Folder to write to, a table named as each split.")
@click.argument("splits", type=FILE, nargs=-1, required=True)
def fit_baselines(
    index: Path, manifest: Path, pixels: Path, groups: Path, folder: Path, splits: tuple[Path, ...]
) -> None:
    """Train the models that cannot see the plant on each of SPLITS and predict all sheets."""
    from sheetlens.audit.baselines.models import write_baselines

    write_baselines(index, manifest, pixels, groups, folder, splits)


@audit.command("maps")
@SETTINGS
@click.option("--model", type=FOLDER, required=True, help="Model folder, with its predictions.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--output", type=PATH, required=True, help="Maps to write (.parquet).")
def draw_maps(settings: Audit, model: Path, pixels: Path, index: Path, output: Path) -> None:
    """Compute where on some test sheets the evidence lies."""
    from sheetlens.explain.attribution import write_maps

    write_maps(settings, model, pixels, index, output)
