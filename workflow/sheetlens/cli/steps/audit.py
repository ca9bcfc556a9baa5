"""Commands of the phase audit."""

import logging
from dataclasses import replace
from pathlib import Path

import click

from sheetlens.audit.finding import Finding
from sheetlens.cli.options import FILE, FOLDER, PATH, Section, figures_option
from sheetlens.common import files
from sheetlens.common.progress import reporter
from sheetlens.common.tables import safe_cell
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
@click.option("--groups", type=FILE, required=True, help="Table of sheets that belong together.")
@click.option("--folder", type=PATH, required=True, help="Folder to write to, a table named as each split.")
@click.argument("splits", type=FILE, nargs=-1, required=True)
def fit_baselines(
    index: Path, manifest: Path, pixels: Path, groups: Path, folder: Path, splits: tuple[Path, ...]
) -> None:
    """Train the models that cannot see the plant on each of SPLITS and predict all sheets."""
    from sheetlens.audit.baselines import measure_sheets, predict_baselines
    from sheetlens.prepare.image_set import open_pack

    sheets, known = files.read_table(index), files.read_table(manifest)
    more = [name for name in known if name not in sheets]
    sheets = sheets.merge(known[["image_id", *more]], on="image_id", how="left", validate="one_to_one")
    related = files.read_table(groups)[["image_id", "group"]]
    sheets = sheets.merge(related, on="image_id", how="left", validate="one_to_one")
    features = measure_sheets(sheets, open_pack(pixels))
    for split in splits:
        files.write_table(
            folder / f"{split.stem}.parquet", predict_baselines(sheets, features, files.read_table(split))
        )


@audit.command("setup")
@SETTINGS
@BASELINES
@OUTPUT
def check_setup(settings: Audit, baselines: tuple[Path, ...], output: Path) -> None:
    """Ask whether the way a sheet was photographed tells its class."""
    from sheetlens.audit.shortcuts import audit_setup, read_baselines

    finish(audit_setup(read_baselines(baselines), settings), output, *baselines)


@audit.command("shortcuts")
@SETTINGS
@BASELINES
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the network on the same splits.")
@OUTPUT
def check_shortcuts(settings: Audit, baselines: tuple[Path, ...], evaluation: Path, output: Path) -> None:
    """Compare the network with every baseline, sheet by sheet."""
    from sheetlens.audit.shortcuts import audit_shortcuts, read_baselines

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
    from sheetlens.audit.labels import audit_labels, rank_labels, surprises

    tables = [files.read_table(path) for path in predictions]
    ranked = rank_labels(tables)
    files.write_table(table, ranked.map(safe_cell))
    finish(
        audit_labels(ranked, surprises(tables, settings.level), len(tables[0]), settings.level),
        output,
        table,
        *predictions,
    )


@audit.command("training")
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the models.")
@OUTPUT
def check_training(evaluation: Path, output: Path) -> None:
    """Ask whether every training learnt and finished learning."""
    from sheetlens.audit.training import audit_training

    values = files.read_json(evaluation)
    paths = {model["seed"]: Path(model["directory"]) / "history.csv" for model in values["models"]}
    histories = {seed: files.read_table(path).astype(float) for seed, path in paths.items()}
    facts = {seed: files.read_json(path.with_name("model.json")) for seed, path in paths.items()}
    restarts = {seed: one["restarts"] for seed, one in facts.items() if "restarts" in one}
    finish(audit_training(values, histories, restarts), output, evaluation, *paths.values())


@audit.command("maps")
@SETTINGS
@click.option("--model", type=FOLDER, required=True, help="Model folder, with its predictions.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--output", type=PATH, required=True, help="Maps to write (.parquet).")
def draw_maps(settings: Audit, model: Path, pixels: Path, index: Path, output: Path) -> None:
    """Compute where on some test sheets the evidence lies."""
    from sheetlens.explain.attribution import explain_sheets

    predictions = model / "predictions.parquet"
    told = reporter("sheets explained")
    files.write_table(output, explain_sheets(model, pixels, index, predictions, settings.saliency_sheets, told))


@audit.command("saliency")
@click.option("--maps", type=FILE, required=True, help="Maps of some sheets.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--confidence", type=float, required=True, help="Level of the intervals.")
@click.option("--table", type=PATH, required=True, help="Shares of each sheet to write (.csv).")
@OUTPUT
def check_saliency(maps: Path, pixels: Path, index: Path, confidence: float, table: Path, output: Path) -> None:
    """Ask whether the evidence lies on the plant and paper, or beside them."""
    from sheetlens.audit.saliency import audit_saliency, measure_regions
    from sheetlens.prepare.image_set import open_pack

    explained = files.read_table(maps)
    rows = files.read_table(index).set_index("image_id")["row"].loc[explained["image_id"]]
    shares = measure_regions(explained, open_pack(pixels)[rows])
    files.write_table(table, shares)
    finish(audit_saliency(shares, confidence), output, table, maps)


@audit.command("draw")
@figures_option("shortcuts", "saliency", "mistakes", "unsure")
@click.option("--folder", type=FOLDER, required=True, help="Products of the data set: results/{dataset}.")
@click.option("--evaluation", type=FILE, required=True, help="Evaluation of the network.")
@click.option("--dots-per-inch", default=300, show_default=True, help="Resolution of the PNG.")
def draw_findings(figures: tuple[str, ...], folder: Path, evaluation: Path, dots_per_inch: int) -> None:
    """Draw what the audits found into figures/ of the folder, as SVG, PNG and PDF with the CSV of each."""
    from sheetlens.figure.audits import draw_audit
    from sheetlens.figure.style import save_figure

    for figure in figures:
        save_figure(*draw_audit(figure, folder, evaluation), folder / f"figures/figure-{figure}", dots_per_inch)


@audit.command("duplicates")
@click.option("--duplicates", type=FILE, required=True, help="Pairs that show the same sheet.")
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@OUTPUT
def check_duplicates(duplicates: Path, index: Path, output: Path) -> None:
    """Say what the twins mean."""
    from sheetlens.audit.leakage import audit_duplicates

    finish(audit_duplicates(files.read_table(duplicates), len(files.read_table(index))), output, duplicates)


@audit.command("leakage")
@click.option("--protocol", required=True, help="Split protocol.")
@OUTPUT
@click.argument("reports", type=FILE, nargs=-1, required=True)
def check_leakage(protocol: str, output: Path, reports: tuple[Path, ...]) -> None:
    """Say what straddles the parts of each split, from its leakage report."""
    from sheetlens.audit.leakage import audit_leakage

    found = {path.name.removesuffix(".leakage.json"): files.read_json(path) for path in reports}
    finish(audit_leakage(found, protocol), output, *reports)
