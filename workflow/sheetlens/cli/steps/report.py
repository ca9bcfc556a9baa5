"""Commands of the phases figure and report, and of the credits."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, limits_option
from sheetlens.config import Limits
from sheetlens.figure.catalogue import FIGURES

log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--figure", "figures", type=click.Choice(FIGURES), multiple=True, required=True, help="Which figure, repeatable."
)
@click.option("--folder", type=PATH, required=True, help="Folder to write to, figure-1.svg and so on.")
@click.option("--dots-per-inch", default=300, show_default=True, help="Resolution of the PNG.")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
@limits_option
def draw(
    figures: tuple[str, ...], folder: Path, dots_per_inch: int, evaluations: tuple[Path, ...], limits: Limits
) -> None:
    """Draw figures from EVALUATIONS as SVG, PNG and PDF with their CSV.

    Figures 1 and 2 show several data sets, the others one; risk and seeds also under several protocols.
    """
    from sheetlens.figure.style import write_figures

    write_figures({name: FIGURES[name].load(limits) for name in figures}, evaluations, folder, dots_per_inch)


@click.command()
@click.option("--study", required=True, help="What the page is headed with: paper, demo or own.")
@click.option("--output", type=PATH, required=True, help="Page to write (.html).")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
@limits_option
def report(study: str, output: Path, evaluations: tuple[Path, ...], limits: Limits) -> None:
    """Write the report from EVALUATIONS, one per data set, and the products they name."""
    from sheetlens.report.report import write_report

    write_report(list(evaluations), output, study, limits=limits)


@click.command()
@click.option("--title", required=True, help="The data set's name for people.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--manifest", type=FILE, required=True, help="Manifest of the data set.")
@click.option("--output", type=PATH, required=True, help="Page to write (.html).")
@limits_option
def quality(title: str, pixels: Path, index: Path, manifest: Path, output: Path, limits: Limits) -> None:
    """Write the page on what came in and what was refused."""
    from sheetlens.report.quality import write_quality

    write_quality(title, pixels, index, manifest, output, limits=limits)


@click.command()
@click.option("--manifest", type=FILE, required=True, help="Manifest of a data set.")
@click.option("--output", type=PATH, required=True, help="Table to write (.csv).")
@click.option("--derived-dataset", is_flag=True, help="Write instead what GBIF asks for to give these records a DOI.")
def credit(manifest: Path, output: Path, derived_dataset: bool) -> None:
    """Write licence, rights holder, creator and address of each picture used.

    With --derived-dataset: the keys of GBIF's data sets and how many of their records are used, without a header, to be
    uploaded at gbif.org/derived-dataset/register. For records that were searched; a download has a DOI already.
    """
    from sheetlens.report.credits import write_credits, write_derived_dataset

    if derived_dataset:
        counts = write_derived_dataset(manifest, output)
        log.info("%d records of %d data sets of GBIF in %s", sum(counts.values()), len(counts), output)
    else:
        write_credits(manifest, output)
