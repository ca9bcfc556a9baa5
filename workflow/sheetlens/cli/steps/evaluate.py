"""Commands of the phase evaluate."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.config import Evaluate, Paper


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
    from sheetlens.evaluate.evaluation import write_evaluation

    write_evaluation(settings, dataset, title, paper, network, protocol, output, predictions)


@click.command()
@click.option("--output", type=PATH, required=True, help="Table to write (.csv).")
@click.option("--metrics", type=PATH, required=True, help="The headline numbers alone to write (.json), for DVC.")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
def tabulate(output: Path, metrics: Path, evaluations: tuple[Path, ...]) -> None:
    """Write the results table "paper / here" from EVALUATIONS, one per data set."""
    from sheetlens.evaluate.evaluation import write_results

    write_results(output, metrics, evaluations)
