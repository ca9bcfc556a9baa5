"""The command line: one command for each step of the workflow, one module for each phase.

The rules call these commands; a person can, too. Settings travel as JSON in the form of the config's
sections. Heavy libraries are imported by the command that needs them.
"""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from sheetlens import __version__
from sheetlens.cli.assess import assess, sample
from sheetlens.cli.check import check
from sheetlens.cli.dvc import pull, push, stale
from sheetlens.cli.embeddings import embed, similar
from sheetlens.cli.hotspots import annotate, hotspots
from sheetlens.cli.label import label
from sheetlens.cli.review import review
from sheetlens.cli.steps.audit import audit
from sheetlens.cli.steps.document import crate, document, judge
from sheetlens.cli.steps.evaluate import evaluate, tabulate
from sheetlens.cli.steps.explore import explore
from sheetlens.cli.steps.features import features
from sheetlens.cli.steps.fetch import extract_records, fetch
from sheetlens.cli.steps.predict import explain, export, package, predict, predict_list, predict_merge, predict_part
from sheetlens.cli.steps.prepare import find_duplicates, prepare_pack, prepare_shard
from sheetlens.cli.steps.report import credit, draw, quality, report
from sheetlens.cli.steps.split import measure_leakage, relate_sheets, split, split_groups
from sheetlens.cli.steps.train import train, train_predict
from sheetlens.common.errors import UserError, sentence_for
from sheetlens.common.secrets import without_secrets


class _Group(click.Group):
    """What click says of a wrong value repeats it: not the passwords and keys in it."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _discreetly():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _discreetly():
            return super().invoke(ctx)


@contextmanager
def _discreetly() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.message = without_secrets(error.message)  # type: ignore[misc]
        raise


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Read photographed herbarium sheets with machine learning, reproducibly."""


COMMANDS = (
    fetch,
    extract_records,
    prepare_shard,
    prepare_pack,
    find_duplicates,
    split,
    split_groups,
    relate_sheets,
    measure_leakage,
    features,
    train,
    train_predict,
    package,
    export,
    predict,
    predict_list,
    predict_part,
    predict_merge,
    explain,
    embed,
    similar,
    evaluate,
    tabulate,
    explore,
    audit,
    judge,
    draw,
    credit,
    quality,
    report,
    document,
    crate,
    sample,
    assess,
    hotspots,
    annotate,
    label,
    review,
    check,
    pull,
    push,
    stale,
)
for command in COMMANDS:
    cli.add_command(command)


class _Discreet(logging.Formatter):
    """Whatever is logged, the passwords and keys of addresses are not, unless a record is `as_it_is`."""

    def format(self, record: logging.LogRecord) -> str:
        said = super().format(record)
        return said if getattr(record, "as_it_is", False) else without_secrets(said)


def main() -> None:
    """Run a command; an error that a person can put right is one sentence and exit status 1."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_Discreet(f"sheetlens {command}: %(message)s"))
    logging.basicConfig(handlers=[console])
    sys.excepthook = lambda *fault: sys.stderr.write(without_secrets("".join(traceback.format_exception(*fault))))
    logging.getLogger("sheetlens").setLevel(logging.INFO)
    _stop_with_workflow()
    try:
        cli()
    except UserError as error:
        sys.exit(f"sheetlens {command}: error: {without_secrets(str(error))}")
    except Exception as error:
        if sentence := sentence_for(error):
            sys.exit(f"sheetlens {command}: error: {without_secrets(sentence)}")
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
