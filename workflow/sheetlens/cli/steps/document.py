"""Commands that write the documents beside the report."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, Section
from sheetlens.config import Settings

SETTINGS = click.option("--settings", type=Section(Settings), required=True, help="The config.")


@click.command()
@click.option("--source", required=True, help="Where the sheets come from.")
@click.option("--evaluation", type=FILE, required=True, help="Evaluation to set beside the paper.")
@click.option("--output", type=PATH, required=True, help="Verdict to write (.json).")
def judge(source: str, evaluation: Path, output: Path) -> None:
    """Say whether the paper is reproduced."""
    from sheetlens.evaluate.verdict import write_verdict

    write_verdict(source, evaluation, output)


@click.command()
@SETTINGS
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the network.")
@click.option("--folder", type=PATH, required=True, help="Folder to write the pages to.")
def document(settings: Settings, evaluation: Path, folder: Path) -> None:
    """Write the audits, model card, datasheet and checklist of a data set from its products."""
    from sheetlens.document.pages import write_documents
    from sheetlens.document.study import read_study

    write_documents(read_study(evaluation, settings), folder)


@click.command()
@SETTINGS
@click.option("--source", type=FOLDER, required=True, help="Folder of the workflow.")
@click.argument("products", type=FILE, nargs=-1, required=True)
def crate(settings: Settings, source: Path, products: tuple[Path, ...]) -> None:
    """Describe the run and its PRODUCTS as a Workflow Run RO-Crate in results/."""
    from sheetlens.document.crate import write_crate

    write_crate(source, settings, products)
