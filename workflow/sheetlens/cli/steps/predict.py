"""Commands of the phase predict: a trained model at work on sheets it has not seen."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, Section, limits_option
from sheetlens.common.progress import reporter
from sheetlens.config import Evaluate, Limits, Predict

if TYPE_CHECKING:  # the class needs torch, which takes seconds to import
    from sheetlens.predict.classifier import Classifier

log = logging.getLogger(__name__)
RISK = 0.05
UNGUARANTEED = click.option(
    "--unguaranteed", is_flag=True, help="Where no threshold has a guarantee, take one that held on validation sheets."
)
CHECKED = click.option(
    "--checked",
    type=FILE,
    help="What a check of the collection says of the model (check.json): its thresholds are used.",
)
READERS = 4  # to a thread of the network: decoding a photograph costs four times as much
EXISTING = click.Path(exists=True, path_type=Path)
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command()
@click.option("--dataset", required=True, help="Name of the data set it was trained on.")
@click.option("--title", required=True, help="Its name for people.")
@click.option("--evaluate", type=Section(Evaluate), required=True, help="The config's section `evaluate`.")
@click.option("--settings", type=Section(Predict), required=True, help="The config's section `predict`.")
@click.option("--model", type=FOLDER, required=True, help="Model folder, with predictions.")
def package(dataset: str, title: str, evaluate: Evaluate, settings: Predict, model: Path) -> None:
    """Make a trained model ready for other sheets: its temperature, thresholds and limit."""
    from sheetlens.predict.packaging import write_package

    write_package(dataset, title, evaluate, settings, model)


@click.command()
@click.argument("model", type=FOLDER)
@click.option("--output", type=PATH, required=True, help="Folder to write.")
def export(model: Path, output: Path) -> None:
    """Write MODEL, a model's folder, as model.pt2 (torch) and model.onnx, which need nothing of Sheetlens."""
    from sheetlens.predict.export import export_model

    export_model(model, output)


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("source", metavar="INPUT", type=EXISTING)
@click.option("--output", type=PATH, required=True, help="Folder to write.")
@click.option("--risk", default=RISK, show_default=True, help="Error rate wanted among the sheets that get a class.")
@click.option("--workers", default=CORES, show_default="cores", help="Processes that decode and resize.")
@limits_option
@UNGUARANTEED
@CHECKED
def predict(
    model: Path,
    source: Path,
    output: Path,
    risk: float,
    workers: int,
    limits: Limits,
    unguaranteed: bool,
    checked: Path | None,
) -> None:
    """Classify the photographs of INPUT, a folder or a table of them, with MODEL, a model's folder.

    Writes predictions.parquet, .csv and summary.json. After a kill, the same command continues.
    """
    from sheetlens.predict.collection_predictions import write_part
    from sheetlens.predict.input_list import write_list

    classifier = _open(model, risk, workers, unguaranteed, checked)
    listing, part = output / "list.parquet", output / "parts/0"
    write_list(source, listing)
    write_part(classifier, listing, 0, 1, part, risk, workers, reporter("sheets read"), limits)
    _merge(classifier, listing, [part], risk, output, limits)


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("source", metavar="INPUT", type=EXISTING)
@click.option("--output", type=PATH, required=True, help="Folder to write.")
@click.option(
    "--method",
    type=click.Choice(["integrated-gradients", "grad-cam", "occlusion"]),
    default="integrated-gradients",
    show_default=True,
    help="How evidence is found; occlusion takes a hundred times as long.",
)
@click.option("--workers", default=CORES, show_default="cores", help="Processes that decode and resize.")
@limits_option
def explain(model: Path, source: Path, output: Path, method: str, workers: int, limits: Limits) -> None:
    """Show where MODEL finds its evidence on the photographs of INPUT, a folder or a table of them.

    Writes explanations.csv, a picture of each sheet with the map laid over it (pictures/) and summary.json. Each map
    is compared with one of an untrained network: where the two are alike, the map says nothing. After a kill, the same
    command continues.
    """
    from sheetlens.explain.sheets import Explainer, write_explanations
    from sheetlens.predict.input_list import write_list

    explainer = Explainer(model, method)
    log.info("%s: %s", explainer.classifier.facts["title"], explainer.classifier.reason)
    write_list(source, output / "list.parquet")
    found = write_explanations(
        explainer, output / "list.parquet", output, workers, reporter("sheets explained"), limits
    )
    log.info("%d sheets explained, %d files refused (explanations.csv)", found["explained"], found["refused"])
    if not found["sane"]:
        log.warning(
            "the maps look like those of an untrained network (rank correlation %.2f): do not read them",
            found["random"],
        )


@click.command()
@click.option("--output", type=PATH, required=True, help="List to write (.parquet).")
@click.argument("source", metavar="INPUT", type=EXISTING)
def predict_list(source: Path, output: Path) -> None:
    """List the photographs of INPUT, a folder or a table of them, for `predict-part`."""
    from sheetlens.predict.input_list import write_list

    write_list(source, output)


@click.command()
@click.option("--model", type=FOLDER, required=True, help="Model folder.")
@click.option("--list", "listing", type=FILE, required=True, help="List of the photographs, from `predict-list`.")
@click.option("--risk", default=RISK, show_default=True, help="Error rate wanted among the sheets that get a class.")
@click.option("--part", type=click.IntRange(min=0), required=True, help="Which part, from 0.")
@click.option("--parts", type=click.IntRange(min=1), required=True, help="Of how many.")
@click.option("--stem", type=PATH, required=True, help="Journal to write, without ending.")
@click.option("--workers", default=1, show_default=True, help="Processes that decode and resize.")
@limits_option
@UNGUARANTEED
def predict_part(
    model: Path,
    listing: Path,
    risk: float,
    part: int,
    parts: int,
    stem: Path,
    workers: int,
    limits: Limits,
    unguaranteed: bool,
) -> None:
    """Read a part of a list with a model; after a kill, the same command continues."""
    from sheetlens.predict.collection_predictions import write_part

    classifier = _open(model, risk, workers, unguaranteed)
    write_part(classifier, listing, part, parts, stem, risk, workers, reporter("sheets read"), limits)


@click.command()
@click.option("--model", type=FOLDER, required=True, help="Model folder.")
@click.option("--list", "listing", type=FILE, required=True, help="List of the photographs, from `predict-list`.")
@click.option("--risk", default=RISK, show_default=True, help="The error rate that the parts were read for.")
@click.option("--output", type=PATH, required=True, help="Folder to write.")
@UNGUARANTEED
@click.argument("stems", type=PATH, nargs=-1, required=True)
@limits_option
def predict_merge(
    model: Path, listing: Path, risk: float, output: Path, stems: tuple[Path, ...], limits: Limits, unguaranteed: bool
) -> None:
    """Put STEMS, the parts of a list in their order and without endings, together."""
    _merge(_open(model, risk, unguaranteed=unguaranteed), listing, list(stems), risk, output, limits)


def _open(
    model: Path, risk: float, workers: int = 1, unguaranteed: bool = False, checked: Path | None = None
) -> "Classifier":
    from sheetlens.predict.classifier import Classifier

    classifier = Classifier(model, threads=-(-workers // READERS), unguaranteed=unguaranteed, checked=checked)
    log.info("%s: %s", classifier.facts["title"], classifier.reason)
    asked = classifier.threshold(risk)
    if asked["threshold"] is None:
        why = "" if unguaranteed else " (--unguaranteed takes a threshold that promises nothing)"
        by = "the check" if checked else f"{classifier.facts['independent']} independent validation sheets"
        log.warning("%s cannot guarantee a risk of %g: all sheets go to review%s", by, risk, why)
    elif not asked["guaranteed"]:
        where = "in the check" if checked else "on the validation sheets"
        log.warning("no guarantee: the risk of %g held %s, new sheets may have more", risk, where)
    return classifier


def _merge(
    classifier: "Classifier", listing: Path, stems: list[Path], risk: float, output: Path, limits: Limits
) -> None:
    from sheetlens.predict.collection_predictions import merge

    found = merge(classifier, listing, stems, risk, output / "predictions.parquet", output / "summary.json", limits)
    answered = ", ".join(f"{name} {count}" for name, count in found["answered"].items())
    told = (found["rows"], answered, found["unsure"], found["unlike"], found["refused"])
    log.info("%d files: %s; for review %d below the threshold and %d out of distribution; %d refused", *told)
    if found["comparison"] is None:
        log.warning("no independent validation sheets: whether this collection is like them cannot be told")
    elif found["comparison"]["differs"]:
        distance = found["comparison"]["distance"]
        log.warning("the sheets differ from the validation sheets (by %.2f of 1): no guarantee applies", distance)
