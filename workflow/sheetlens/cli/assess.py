"""Commands that say how good a model is on a collection of one's own."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, Section
from sheetlens.config import Records

log = logging.getLogger(__name__)
RUN = click.argument("run", metavar="RUN", type=FOLDER)
LABEL = click.option("--label", help="Class of interest.  [default: stained, or the first]")


@click.command()
@RUN
@click.option("--sheets", default=200, show_default=True, type=click.IntRange(min=1), help="How many to look at.")
@click.option(
    "--records",
    type=Section(Records),
    multiple=True,
    help="Specimen records that say in which cabinet a sheet is: the sample is spread over them.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed draws the same sheets.")
@LABEL
@click.option("--output", type=PATH, help="Folder to write.  [default: RUN/check]")
def sample(
    run: Path, sheets: int, records: tuple[Records, ...], seed: int, label: str | None, output: Path | None
) -> None:
    """Draw sheets of RUN, a folder of `predict`, at random, for people to look at.

    Writes sample.csv (for `review --sheets`), second.csv (a part of it for another person) and plan.csv: how exactly
    accuracy, sensitivity and prevalence will be known with so many sheets, if the model's probabilities are right.
    """
    from sheetlens.assess.sampling import FOLDER as BELOW
    from sheetlens.assess.sampling import write_sample

    folder = output or run / BELOW
    facts = write_sample(run, sheets, records, seed, label, folder)
    own = facts["label"]
    print(f"{'sheets':>8}  {'accuracy':>10}  {'found of ' + own:>20}  {'share of ' + own:>20}")
    for row in facts["plan"]:
        ends = [f"+-{100 * row[name]:.1f} points" for name in ("accuracy", "sensitivity", "prevalence")]
        print(f"{row['sheets']:8,}  {ends[0]:>10}  {ends[1]:>20}  {ends[2]:>20}")
    for row in facts["needed"]:
        print(f"{row['errors']} wrong of {row['sheets']} drawn at random show at most 5 % errors (95 % sure)")
    for reason, count in facts["left_out"].items():
        log.warning("%d images cannot be drawn: %s", count, reason)
    log.info("%d of %d sheets drawn, over %d cabinets: %s", facts["drawn"], facts["sheets"], facts["cabinets"], folder)
    log.info("look at them with: sheetlens review %s --sheets %s --blind", run, folder / "sample.csv")


@click.command()
@RUN
@click.option("--model", type=FOLDER, required=True, help="Folder of the model that gave the answers.")
@click.option("--sample", "drawn", type=FILE, help="The sample.  [default: RUN/check/sample.csv]")
@click.option("--decisions", type=FILE, help="Table of decisions (`review --export`).  [default: those made in RUN]")
@LABEL
@click.option("--output", type=PATH, help="Folder to write.  [default: that of the sample]")
def assess(
    run: Path, model: Path, drawn: Path | None, decisions: Path | None, label: str | None, output: Path | None
) -> None:
    """Say how good a model is on the collection of RUN, from the sample that people looked at.

    Writes check.html, check.csv and check.json, which `predict` and `hotspots` take (--checked).
    """
    from sheetlens.assess.collection import write_assessment
    from sheetlens.assess.sampling import FOLDER as BELOW
    from sheetlens.common.errors import UserError

    table = drawn or run / BELOW / "sample.csv"
    if not table.is_file():
        raise UserError(f"{table} is not there: draw a sample first, with `sheetlens sample {run}`")
    folder = output or table.parent
    values = write_assessment(run, model, table, decisions, label, folder)
    accuracy, own = values["accuracy"], values["classes"][values["label"]]
    ends = (100 * accuracy["estimate"], 100 * accuracy["low"], 100 * accuracy["high"])
    log.info("%d sheets looked at; accuracy here %.1f %% (95 %% interval %.1f to %.1f)", values["looked_at"], *ends)
    for reason, count in values["open"].items():
        log.warning("%d sheets of the sample are not decided: %s", count, reason)
    if own["verdict"] != "fit":
        told = {"not fit": "the model is not fit for this collection"}
        log.warning(
            "'%s': %s", values["label"], told.get(own["verdict"], "whether the model is fit cannot be told yet")
        )
    log.info("the model's guarantee: %s; open %s", values["guarantee"]["verdict"], folder / "check.html")
