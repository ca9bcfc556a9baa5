"""Commands of the phase audit."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, Section
from sheetlens.config import Audit

SETTINGS = click.option("--settings", type=Section(Audit), required=True, help="The config's section `audit`.")
OUTPUT = click.option("--output", type=PATH, required=True, help="Finding to write (.json).")
BASELINES = click.option(
    "--baseline", "baselines", type=FILE, multiple=True, required=True, help="Predictions of the baselines, each split."
)


@click.group()
def audit() -> None:
    """Find out what may be wrong with a data set or a model."""


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
    from sheetlens.audit.baselines import write_baselines

    write_baselines(index, manifest, pixels, groups, folder, splits)


@audit.command("setup")
@SETTINGS
@BASELINES
@OUTPUT
def check_setup(settings: Audit, baselines: tuple[Path, ...], output: Path) -> None:
    """Ask whether the way a sheet was photographed tells its class."""
    from sheetlens.audit.shortcuts import write_setup

    write_setup(settings, baselines, output)


@audit.command("shortcuts")
@SETTINGS
@BASELINES
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the network on the same splits.")
@OUTPUT
def check_shortcuts(settings: Audit, baselines: tuple[Path, ...], evaluation: Path, output: Path) -> None:
    """Compare the network with every baseline, sheet by sheet."""
    from sheetlens.audit.shortcuts import write_shortcuts

    write_shortcuts(settings, baselines, evaluation, output)


@audit.command("regions")
@click.option("--model", type=FOLDER, required=True, help="Packaged model folder.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option(
    "--predictions", type=FILE, required=True, help="The model's predictions, which say what the test part is."
)
@click.option("--confidence", type=float, required=True, help="Level of the intervals.")
@OUTPUT
def check_regions(model: Path, pixels: Path, index: Path, predictions: Path, confidence: float, output: Path) -> None:
    """Let a network read its test sheets with a region covered, and with that region alone."""
    from sheetlens.audit.regions import audit_regions

    audit_regions(model, pixels, index, predictions, confidence).write(output, [predictions])


@audit.command("labels")
@SETTINGS
@click.option("--table", type=PATH, required=True, help="Review list to write (.csv).")
@OUTPUT
@click.argument("predictions", type=FILE, nargs=-1, required=True)
def check_labels(settings: Audit, table: Path, output: Path, predictions: tuple[Path, ...]) -> None:
    """List the labels that the models behind PREDICTIONS contradict."""
    from sheetlens.audit.labels import write_labels

    write_labels(settings, table, output, predictions)


@audit.command("training")
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the models.")
@OUTPUT
def check_training(evaluation: Path, output: Path) -> None:
    """Ask whether every training learnt and finished learning."""
    from sheetlens.audit.training import write_training

    write_training(evaluation, output)


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


@audit.command("saliency")
@click.option("--maps", type=FILE, required=True, help="Maps of some sheets.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--confidence", type=float, required=True, help="Level of the intervals.")
@click.option("--table", type=PATH, required=True, help="Shares of each sheet to write (.csv).")
@OUTPUT
def check_saliency(maps: Path, pixels: Path, index: Path, confidence: float, table: Path, output: Path) -> None:
    """Ask whether the evidence lies on the plant and paper, or beside them."""
    from sheetlens.audit.saliency import write_saliency

    write_saliency(maps, pixels, index, confidence, table, output)


@audit.command("duplicates")
@click.option("--duplicates", type=FILE, required=True, help="Pairs that show the same sheet.")
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@OUTPUT
def check_duplicates(duplicates: Path, index: Path, output: Path) -> None:
    """Say what the twins mean."""
    from sheetlens.audit.leakage import write_duplicates

    write_duplicates(duplicates, index, output)


@audit.command("leakage")
@click.option("--protocol", required=True, help="Split protocol.")
@OUTPUT
@click.argument("reports", type=FILE, nargs=-1, required=True)
def check_leakage(protocol: str, output: Path, reports: tuple[Path, ...]) -> None:
    """Say what straddles the parts of each split, from its leakage report."""
    from sheetlens.audit.leakage import write_leakage

    write_leakage(protocol, output, reports)
