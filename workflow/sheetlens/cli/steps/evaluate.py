"""Commands of the phase evaluate."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.common import files
from sheetlens.config import Evaluate, Paper

log = logging.getLogger(__name__)


@click.command()
@click.option("--settings", type=Section(Evaluate), required=True, help="The config's section `evaluate`.")
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--title", required=True, help="Its name for people.")
@click.option("--paper", type=Section(Paper), help="The paper's values, where there are any.")
@click.option("--network", required=True, help="Name of the network.")
@click.option("--protocol", required=True, help="Split protocol.")
@click.option("--output", type=PATH, required=True, help="Evaluation to write (.json).")
@click.argument("predictions", type=FILE, nargs=-1, required=True)
def evaluate(
    settings: Evaluate,
    dataset: str,
    title: str,
    paper: Paper | None,
    network: str,
    protocol: str,
    output: Path,
    predictions: tuple[Path, ...],
) -> None:
    """Evaluate PREDICTIONS, one table per seed, on their test parts."""
    from sheetlens.evaluate.evaluation import evaluate_dataset

    by_seed = {files.read_json(path.with_name("model.json"))["seed"]: path for path in predictions}
    values = evaluate_dataset(dataset, title, network, protocol, by_seed, paper, settings)
    files.write_json(output, values)
    shares = [100 * values[measure]["mean"] for measure in ("accuracy", "kept_accuracy")]
    log.info("%s: accuracy %.1f %%, %.1f %% with the least sure set aside", dataset, *shares)


@click.command()
@click.option("--output", type=PATH, required=True, help="Table to write (.csv).")
@click.option("--metrics", type=PATH, required=True, help="The headline numbers alone to write (.json), for DVC.")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
def tabulate(output: Path, metrics: Path, evaluations: tuple[Path, ...]) -> None:
    """Write the results table "paper / here" from EVALUATIONS, one per data set."""
    from sheetlens.evaluate.evaluation import results_table, summary

    values = [files.read_json(path) for path in evaluations]
    files.write_table(output, results_table(values))
    files.write_json(metrics, summary(values))
