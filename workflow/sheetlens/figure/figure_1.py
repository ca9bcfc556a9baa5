"""Figure 1 of the paper: a sample sheet of each class, as photographed."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from sheetlens.config import LIMITS, Limits
from sheetlens.evaluate.results import Outcome, SheetPictures, read_manifest, read_outcome, read_tested
from sheetlens.figure.style import house_style, new_figure, panel_letter, reduce_colours, wrap, write_letter
from sheetlens.prepare.decoding.decode import RefusedImageError
from sheetlens.prepare.decoding.decoder_processes import shared_readers

PAPER_ORDER = ("unstained", "stained", "clubmoss", "spikemoss")  # Figure 1 a-d
WIDTH = 1.85  # inches of a sheet
PHOTOGRAPH = 900  # pixels on the longer side of a sheet


def draw_sheets(
    evaluations: Sequence[Path],
    results: Path = Path("results"),
    limits: Limits = LIMITS,
) -> tuple[Figure, pd.DataFrame]:
    """Draw Figure 1: one sample sheet for each class of each data set, as photographed.

    The sample is the typical right answer: of the sheets of the class that the first model tested and
    got right, the one with the median probability (of all tested ones, if it got none right).
    The table has the columns panel, dataset, class, image_id, probability (of the class).
    """
    outcomes = {outcome.folder: outcome for outcome in (read_outcome(path, results) for path in evaluations)}
    samples = []
    for outcome in outcomes.values():  # each data set once, however many evaluations it has
        samples += [(outcome, *sample) for sample in _sample_sheets(outcome, limits)]
    columns = min(4, len(samples))
    rows = -(-len(samples) // columns)
    shapes = [picture.height / picture.width for *_, picture in samples]
    heights = [max(shapes[columns * row : columns * (row + 1)]) for row in range(rows)]
    with house_style():
        figure = new_figure(WIDTH * columns, sum(0.95 * WIDTH * height + 0.25 for height in heights))
        axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).flatten()
        for axis in axes:
            axis.set_axis_off()
        for number, (axis, (_, name, _, _, picture)) in enumerate(zip(axes, samples, strict=False)):
            # "none" hands the pixels on to SVG and PDF as they are; save_figure smooths the PNG.
            axis.imshow(picture, interpolation="none")
            axis.set_anchor("N")
            write_letter(axis, number, (0, 4))
            axis.set_title(wrap(name, 24), loc="left", x=0.1)
    table = pd.DataFrame(
        [
            (panel_letter(number), outcome.evaluation["dataset"], name, image_id, probability)
            for number, (outcome, name, image_id, probability, _) in enumerate(samples)
        ],
        columns=["panel", "dataset", "class", "image_id", "probability"],
    )
    return figure, table


def _sample_sheets(outcome: Outcome, limits: Limits) -> list[tuple[str, str, float, Image.Image]]:
    """Choose a sheet per class: class, image_id, probability of the class, picture."""
    manifest = read_manifest(outcome)
    paths = dict(zip(manifest["image_id"], manifest["path"], strict=True))
    tested = read_tested(outcome)
    first = tested[tested["seed"] == outcome.evaluation["seeds"][0]]
    pack = SheetPictures(outcome)
    samples = []
    for name in sorted(outcome.classes, key=_paper_order):
        sheets = first[first["label"] == name].sort_values(["own", "image_id"])
        right = sheets[sheets["answer"] == name]
        sheets = sheets if right.empty else right
        if sheets.empty:
            continue
        sheet = sheets.iloc[len(sheets) // 2]
        image_id = str(sheet["image_id"])
        try:
            picture = shared_readers(limits).show(outcome.results.parent / paths[image_id], PHOTOGRAPH)
        except RefusedImageError:  # originals may be dropped after packing
            picture = pack.picture(image_id)
        picture = reduce_colours(picture).convert("RGB")  # the PDF stores 256 colours in less space
        samples.append((name, image_id, float(sheet["own"]), picture))
    return samples


def _paper_order(name: str) -> tuple[int, str]:
    return (PAPER_ORDER.index(name) if name in PAPER_ORDER else len(PAPER_ORDER), name)
