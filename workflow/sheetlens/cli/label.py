"""The command that turns unlabelled photographs into labels."""

from pathlib import Path

import click

from sheetlens.cli.options import PATH, limits_option
from sheetlens.common.errors import UserError
from sheetlens.config import Limits


@click.command()
@click.argument("source", metavar="PHOTOGRAPHS", type=click.Path(exists=True, path_type=Path))
@click.option("--classes", default="", help="Names of the classes, with commas between; more can be added on the page.")
@click.option("--output", type=PATH, required=True, help="Folder for the labels (labels.csv) and what they rest on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; others ask for a token.")
@click.option("--port", default=8601, show_default=True, type=click.IntRange(1, 65535), help="Port to serve on.")
@limits_option
def label(source: Path, classes: str, output: Path, host: str, port: int, limits: Limits) -> None:
    """Label PHOTOGRAPHS, a folder or a table of them, in the browser.

    The page shows first what is typical, then what helps a model most, and every fifth sheet at random: from those
    alone an accuracy can be claimed. The same command goes on where it stopped.
    """
    from sheetlens.label.server import serve

    names = tuple(name.strip() for name in classes.split(",") if name.strip())
    if len(set(names)) < len(names):
        raise UserError(f"--classes names one twice: {classes}")
    serve(source, output, names, host, port, limits)
