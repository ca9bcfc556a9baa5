"""Commands for the features of any photographs: as a table for other programs, and to find sheets like one."""

import logging
import tempfile
from pathlib import Path

import click

from sheetlens.cli.options import FOLDER, PATH, limits_option
from sheetlens.cli.steps.predict import CORES, EXISTING, READERS
from sheetlens.common.errors import UserError
from sheetlens.common.progress import reporter
from sheetlens.config import Limits

log = logging.getLogger(__name__)
FIT = "squash"  # as the image sets of the paper: what embed reads can be compared with any of them


@click.command()
@click.argument("source", metavar="INPUT", type=EXISTING)
@click.option("--output", type=PATH, required=True, help="Table to write (.parquet).")
@click.option("--workers", default=CORES, show_default="cores", help="Processes that decode and resize.")
@limits_option
def embed(source: Path, output: Path, workers: int, limits: Limits) -> None:
    """Write the features of the photographs of INPUT, a folder or a table of them, for other programs.

    A row for each file: image_id, status, reason, sha256, model, model_sha256 and vector (null for a refused file).
    """
    from sheetlens.features.extraction import FeatureReader
    from sheetlens.predict.embeddings import describe, read_all, write_embeddings
    from sheetlens.predict.input_list import write_list

    if output.suffix != ".parquet":
        raise UserError(f"{output} does not end in .parquet, which is what is written")
    reader = FeatureReader(threads=-(-workers // READERS))
    log.info(reader.reason)
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "list.parquet"
        write_list(source, listing)
        rows = read_all(reader.read, listing, FIT, workers, reporter("sheets read"), limits)
        count = write_embeddings(rows, describe(reader.facts), str(reader.facts["tensors_sha256"]), output)
    log.info("%d vectors of %d features in %s", count, reader.size, output)


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("sheet", type=EXISTING)
@click.argument("source", metavar="INPUT", type=EXISTING)
@click.option("--output", type=PATH, required=True, help="Folder to write.")
@click.option("--count", type=click.IntRange(min=1), default=14, show_default=True, help="Sheets to find.")
@click.option("--workers", default=CORES, show_default="cores", help="Processes that decode and resize.")
@limits_option
def similar(model: Path, sheet: Path, source: Path, output: Path, count: int, workers: int, limits: Limits) -> None:
    """Find the sheets of INPUT, a folder or a table of photographs, that look most like SHEET to MODEL.

    Writes similar.csv and the contact sheet similar.jpg.
    """
    from sheetlens.predict.classifier import Classifier
    from sheetlens.predict.embeddings import find_nearest, read_all, read_one, write_nearest
    from sheetlens.predict.input_list import write_list

    classifier = Classifier(model, threads=-(-workers // READERS))
    fit, (centre, scale) = classifier.facts["fit"], classifier.usual
    wanted = read_one(classifier.features, sheet, fit, limits)
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "list.parquet"
        write_list(source, listing)
        rows = read_all(classifier.features, listing, fit, workers, reporter("sheets read"), limits)
        nearest = find_nearest(wanted, rows, centre, scale, count)
    if not nearest.compared:
        raise UserError(f"none of the {nearest.refused} files in {source} could be read as a sheet")
    write_nearest(nearest, sheet, output, limits)
    log.info("%d sheets compared, %d files refused: see %s", nearest.compared, nearest.refused, output / "similar.jpg")
