"""Commands of the phase explore."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, FOLDER, PATH
from sheetlens.common import files


@click.group()
def explore() -> None:
    """Try several networks on a data set."""


@explore.command("cost")
@click.option("--model", type=FOLDER, required=True, help="Model folder.")
@click.option("--output", type=PATH, required=True, help="What its network costs, to write (.json).")
def measure(model: Path, output: Path) -> None:
    """Count parameters and arithmetic of a model's network, and the memory that its training takes on a GPU."""
    from sheetlens.explore.costs import measure_costs

    files.write_json(output, measure_costs(model))


@explore.command("rank")
@click.option("--dataset", required=True, help="Name of the data set.")
@click.option("--title", required=True, help="Its name for people.")
@click.option("--protocol", required=True, help="Split protocol.")
@click.option("--standard", required=True, help="Network that the others are compared with.")
@click.option("--confidence", type=float, required=True, help="Level of the intervals (0 to 1).")
@click.option("--times", required=True, help="Snakemake's benchmark of a training, with {network} and {seed}.")
@click.option("--cost", "costs", type=FILE, multiple=True, required=True, help="What a network costs, repeatable.")
@click.option("--table", type=PATH, required=True, help="Leaderboard to write (.csv).")
@click.option("--output", type=PATH, required=True, help="The same with every test and definition, to write (.json).")
@click.argument("predictions", type=FILE, nargs=-1, required=True)
def rank(
    dataset: str,
    title: str,
    protocol: str,
    standard: str,
    confidence: float,
    times: str,
    costs: tuple[Path, ...],
    table: Path,
    output: Path,
    predictions: tuple[Path, ...],
) -> None:
    """Rank networks by PREDICTIONS of their validation parts, one table for each network and seed."""
    from sheetlens.explore.leaderboard import write_leaderboard

    write_leaderboard(dataset, title, protocol, standard, confidence, times, costs, table, output, predictions)


@explore.command("draw")
@click.option("--leaderboard", type=FILE, required=True, help="What `rank` wrote (.json).")
@click.option("--folder", type=PATH, required=True, help="Folder to write to.")
@click.option("--dots-per-inch", default=300, show_default=True, help="Resolution of the PNG.")
def draw_leaderboard(leaderboard: Path, folder: Path, dots_per_inch: int) -> None:
    """Draw accuracy against cost as SVG, PNG and PDF with the CSV."""
    from sheetlens.figure.costs import draw_costs
    from sheetlens.figure.style import save_figure

    save_figure(*draw_costs(files.read_json(leaderboard)), folder / "figure-costs", dots_per_inch)
