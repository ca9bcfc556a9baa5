"""The command line: one command for each step of the workflow.

The rules call these commands; a person can, too. Settings travel as JSON in the form of the config's
sections. Heavy libraries are imported by the command that needs them.
"""

import errno
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from sheetlens import __version__, files
from sheetlens.config import Closed, DemoSource, Evaluate, FolderSource, Images, Paper, Split, Train
from sheetlens.errors import UserError
from sheetlens.progress import reporter

PATH = click.Path(path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
log = logging.getLogger(__name__)


class Section(click.ParamType):
    """An option that holds a section of the config as JSON."""

    name = "json"

    def __init__(self, section: type[Closed]) -> None:
        """Take the section's class."""
        self.section = section

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse and check; a fault is a usage error."""
        try:
            return self.section.model_validate_json(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Read photographed herbarium sheets with machine learning, reproducibly."""


@cli.command()
@click.argument("source", type=click.Choice(["demo", "folder", "figshare", "gbif"]))
@click.option("--settings", required=True, help="The source's section of the config, as JSON.")
@click.option("--originals", type=PATH, required=True, help="Folder for the files a source brings.")
@click.option("--listing", type=PATH, required=True, help="Table to write: one row per file.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw.")
def fetch(source: str, settings: str, originals: Path, listing: Path, workers: int) -> None:
    """Fetch a data set's sheets from SOURCE, or list those that are here."""
    from sheetlens.fetch import demo, folder

    if source == "demo":
        table = demo.fetch(DemoSource.model_validate_json(settings), originals, workers, reporter("sheets drawn"))
    elif source == "folder":
        table = folder.fetch(FolderSource.model_validate_json(settings), reporter("files listed"))
    else:
        raise UserError(
            f"this version cannot fetch from {source} yet: sort the images by hand into one folder per"
            " class and run them as your own sheets (make own SHEETS=folder)"
        )
    files.write_table(listing, table)


@cli.command()
@click.option("--settings", type=Section(Images), required=True, help="The config's section `images`.")
@click.option("--listing", type=FILE, required=True, help="Table of the files, from `fetch`.")
@click.option("--pixels", type=PATH, required=True, help="Image set to write (.npy).")
@click.option("--index", type=PATH, required=True, help="Its table to write.")
@click.option("--manifest", type=PATH, required=True, help="Listing to write, with what became of each file.")
@click.option("--workers", default=1, show_default=True, help="Threads that decode and resize.")
def prepare(settings: Images, listing: Path, pixels: Path, index: Path, manifest: Path, workers: int) -> None:
    """Check the sheets, bring them to 256x256 and pack them."""
    from sheetlens.images import pack

    table = files.read_table(listing)
    outcome = pack(table, pixels, index, manifest, settings.fit, workers, reporter("sheets read"))
    refused = outcome[outcome["status"] != "ok"]
    for file in refused.head(20).to_dict("records"):
        log.info("refused %s: %s", file["image_id"], file["reason"])
    log.info("%d sheets accepted, %d refused", len(outcome) - len(refused), len(refused))


@cli.command()
@click.option("--settings", type=Section(Split), required=True, help="The config's section `split`.")
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@click.option("--seed", type=int, required=True, help="Same seed, same split.")
@click.option("--output", type=PATH, required=True, help="Split to write (.tsv).")
def split(settings: Split, index: Path, seed: int, output: Path) -> None:
    """Divide the sheets into training, validation and test parts."""
    from sheetlens.split import split_random

    shares = (settings.train, settings.validation, settings.test)
    files.write_table(output, split_random(files.read_table(index), shares, seed))


@cli.command()
@click.option("--settings", type=Section(Train), required=True, help="The config's section `train`.")
@click.option("--network", required=True, help="Name of the network.")
@click.option("--seed", type=int, required=True, help="Same seed, same weights (CPU).")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split to train on.")
@click.option("--folder", type=PATH, required=True, help="Model folder to write.")
def train(settings: Train, network: str, seed: int, pixels: Path, index: Path, split_file: Path, folder: Path) -> None:
    """Train a network; after a kill, the same command continues."""
    from sheetlens.train import train_network

    train_network(pixels, index, split_file, network, seed, settings, folder)


@cli.command()
@click.option("--model", type=FOLDER, required=True, help="Model folder.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split the model was trained on.")
@click.option("--output", type=PATH, required=True, help="Table to write.")
def predict_parts(model: Path, pixels: Path, index: Path, split_file: Path, output: Path) -> None:
    """Predict every sheet of the data set a model was trained on."""
    from sheetlens.predict import predict_sheets

    predict_sheets(model, pixels, index, split_file, output)


@cli.command()
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
    from sheetlens.evaluate import evaluate_dataset

    by_seed = {files.read_json(path.with_name("model.json"))["seed"]: path for path in predictions}
    values = evaluate_dataset(dataset, title, network, protocol, by_seed, paper, settings)
    files.write_json(output, values)
    shares = [100 * values[measure]["mean"] for measure in ("accuracy", "kept_accuracy")]
    log.info("%s: accuracy %.1f %%, %.1f %% with the least sure set aside", dataset, *shares)


@cli.command()
@click.option("--output", type=PATH, required=True, help="Table to write (.csv).")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
def tabulate(output: Path, evaluations: tuple[Path, ...]) -> None:
    """Write the results table "paper / here" from EVALUATIONS, one per data set."""
    from sheetlens.evaluate import results_table

    files.write_table(output, results_table([files.read_json(path) for path in evaluations]))


@cli.command()
@click.option("--figure", type=click.Choice(["1", "2", "history"]), required=True, help="Which figure.")
@click.option("--stem", type=PATH, required=True, help="Path to write, without ending.")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
def draw(figure: str, stem: Path, evaluations: tuple[Path, ...]) -> None:
    """Draw a figure from EVALUATIONS, one per data set, as SVG, PNG and PDF with its CSV."""
    from sheetlens.figures import draw_evaluation, draw_history, draw_sheets, save_figure

    if figure == "history":
        drawn, table = draw_history(evaluations[0])
    else:
        drawn, table = {"1": draw_sheets, "2": draw_evaluation}[figure](evaluations)
    save_figure(drawn, table, stem)


@cli.command()
@click.option("--study", required=True, help="What the page is headed with: paper, demo or own.")
@click.option("--output", type=PATH, required=True, help="Page to write (.html).")
@click.argument("evaluations", type=FILE, nargs=-1, required=True)
def report(study: str, output: Path, evaluations: tuple[Path, ...]) -> None:
    """Write the report from EVALUATIONS, one per data set, and the products they name."""
    from sheetlens.report import write_report

    write_report(list(evaluations), output, study)


def main() -> None:
    """Run a command; an error that a person can put right is one sentence and exit status 1."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    logging.basicConfig(stream=sys.stderr, format=f"sheetlens {command}: %(message)s")
    logging.getLogger("sheetlens").setLevel(logging.INFO)
    _stop_with_workflow()
    try:
        cli()
    except UserError as error:
        sys.exit(f"sheetlens {command}: error: {error}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"sheetlens {command}: error: the disk is full: make room and run the same command again")
        if error.errno in (errno.EACCES, errno.EROFS):
            sys.exit(f"sheetlens {command}: error: may not write or read {error.filename}: check its permissions")
        raise


def _stop_with_workflow() -> None:
    """End when the workflow that started this job is gone, so that a killed run leaves nobody working."""
    workflow = int(os.environ.get("SHEETLENS_WORKFLOW_PID", "0"))

    def watch() -> None:
        while _alive(workflow):
            time.sleep(1)
        os.kill(os.getpid(), 15)

    if workflow:
        threading.Thread(target=watch, daemon=True).start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
