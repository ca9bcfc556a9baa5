"""Commands of the phase audit."""

import logging
from dataclasses import replace
from pathlib import Path

import click

from sheetlens import files
from sheetlens.audits import Finding
from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.config import Audit

log = logging.getLogger(__name__)
SETTINGS = click.option("--settings", type=Section(Audit), required=True, help="The config's section `audit`.")
OUTPUT = click.option("--output", type=PATH, required=True, help="Finding to write (.json).")
BASELINES = click.option(
    "--baseline", "baselines", type=FILE, multiple=True, required=True, help="Predictions of the baselines, each split."
)


@click.group()
def audit() -> None:
    """Find out what may be wrong with a data set or a model."""


def finish(finding: Finding, output: Path, *named: Path) -> None:
    """Write a finding with the products it rests on, and say it."""
    replace(finding, files=[path.as_posix() for path in named]).write(output)
    log.info("%s: %s. %s", finding.audit, finding.severity, finding.sentence)


@audit.command("baselines")
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@click.option("--manifest", type=FILE, required=True, help="What is known of each photograph.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split to train and predict on.")
@click.option("--output", type=PATH, required=True, help="Predictions to write (.parquet).")
def fit_baselines(index: Path, manifest: Path, pixels: Path, split_file: Path, output: Path) -> None:
    """Train the models that cannot see the plant and predict all sheets."""
    from sheetlens.audits.baselines import predict_baselines
    from sheetlens.pack import open_pack

    sheets, known = files.read_table(index), files.read_table(manifest)
    more = [name for name in known if name not in sheets]
    sheets = sheets.merge(known[["image_id", *more]], on="image_id", how="left", validate="one_to_one")
    files.write_table(output, predict_baselines(sheets, open_pack(pixels), files.read_table(split_file)))


@audit.command("setup")
@SETTINGS
@BASELINES
@OUTPUT
def check_setup(settings: Audit, baselines: tuple[Path, ...], output: Path) -> None:
    """Ask whether the way a sheet was photographed tells its class."""
    from sheetlens.audits.shortcuts import audit_setup, read_baselines

    finish(audit_setup(read_baselines(baselines), settings), output, *baselines)


@audit.command("shortcuts")
@SETTINGS
@BASELINES
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the network on the same splits.")
@OUTPUT
def check_shortcuts(settings: Audit, baselines: tuple[Path, ...], evaluation: Path, output: Path) -> None:
    """Compare the network with every baseline, sheet by sheet."""
    from sheetlens.audits.shortcuts import audit_shortcuts, read_baselines

    values = files.read_json(evaluation)
    predictions = [Path(model["directory"]) / "predictions.parquet" for model in values["models"]]
    networks = {path.parent.name: files.read_table(path) for path in predictions}
    finding = audit_shortcuts(read_baselines(baselines), networks, values["confidence"], settings)
    finish(finding, output, *predictions, *baselines)


@audit.command("labels")
@SETTINGS
@click.option("--table", type=PATH, required=True, help="Review list to write (.csv).")
@OUTPUT
@click.argument("predictions", type=FILE, nargs=-1, required=True)
def check_labels(settings: Audit, table: Path, output: Path, predictions: tuple[Path, ...]) -> None:
    """List the labels that the models behind PREDICTIONS contradict."""
    from sheetlens.audits.labels import audit_labels, rank_labels, surprises

    tables = [files.read_table(path) for path in predictions]
    ranked = rank_labels(tables)
    files.write_table(table, ranked)
    finish(audit_labels(ranked, surprises(tables), len(tables[0]), settings.level), output, table, *predictions)


@audit.command("training")
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the models.")
@OUTPUT
def check_training(evaluation: Path, output: Path) -> None:
    """Ask whether every training learnt and finished learning."""
    from sheetlens.audits.training import audit_training

    values = files.read_json(evaluation)
    paths = {model["seed"]: Path(model["directory"]) / "history.csv" for model in values["models"]}
    histories = {seed: files.read_table(path).astype(float) for seed, path in paths.items()}
    finish(audit_training(values, histories), output, evaluation, *paths.values())
