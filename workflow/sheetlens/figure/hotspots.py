"""Draw what `hotspots` found: charts of shares with intervals, a map, labels to print."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sheetlens.common.files import whole
from sheetlens.figure.style import COLOURS, INK, METADATA, house_style, new_figure, percent_axis, wrap
from sheetlens.pages.render import NOTHING, SAFETY_WARNING, percent

NAME_LETTERS = 40  # letters of a name in a chart
LABEL_COLUMNS, LABEL_ROWS = 3, 8  # of labels on a page: 70 x 37 mm each, a common sheet of labels
WIDTH, HEIGHT = 210 / 25.4, 297 / 25.4  # inches of A4


def draw_shares(table: pd.DataFrame, name: str) -> Figure:
    """Draw the share of each group with its interval, the highest on top, and the number of its sheets."""
    with house_style():
        figure = new_figure(6.6, 1.1 + 0.2 * len(table))
        axes = figure.subplots()
        places = range(len(table))
        errors = [table["share"] - table["low"], table["high"] - table["share"]]
        colour = COLOURS[1]
        axes.errorbar(table["share"], places, xerr=errors, fmt="o", color=colour, ms=4, lw=1.2, capsize=2)
        for place, sheets in zip(places, table["sheets"], strict=True):
            axes.annotate(f"{sheets:,}", (1, place), (6, 0), xycoords=("axes fraction", "data"),
                          textcoords="offset points", va="center", fontsize=7)  # fmt: skip
        axes.annotate("sheets", (1, 1), (6, 4), xycoords="axes fraction", textcoords="offset points", fontsize=7)
        axes.set_yticks(places, [_shortened(group, NAME_LETTERS) for group in table["group"]], fontsize=7.5)
        axes.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), xlabel=f"treated sheets, {name}: estimate, 90 % interval")
        axes.xaxis.set_major_formatter(percent_axis())
        axes.grid(axis="x", lw=0.4)
    return figure


def draw_map(sheets: pd.DataFrame) -> Figure:
    """Draw where the sheets were collected, those named as treated on top."""
    with house_style():
        figure = new_figure(6.6, 3.9)
        axes = figure.subplots()
        for named, colour, size, what in (
            (False, "#AAAAAA", 4, "other sheets"),
            (True, COLOURS[5], 7, "named as treated"),
        ):
            some = sheets[sheets["named"] == named]
            axes.scatter(some["decimalLongitude"], some["decimalLatitude"], s=size, c=colour, lw=0, alpha=0.7,
                         label=f"{what} ({len(some):,})", rasterized=True)  # fmt: skip
        axes.set(xlabel="longitude", ylabel="latitude")
        axes.margins(0.05)
        axes.grid(lw=0.4)
        figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def write_labels(plan: pd.DataFrame, hazards: pd.DataFrame, output: Path) -> None:
    """Write labels for cabinets to test and for the hazard list, 24 on a page (PDF, A4); same labels, same bytes."""
    labels = [
        (row["group"], "Cabinet to test for mercury vapour",
         f"Treated sheets: about {percent(row['share'], 0)} ({100 * row['low']:.0f}{NOTHING}{percent(row['high'], 0)})")
        for row in plan.to_dict("records")
    ]  # fmt: skip
    labels += [
        (row["barcode"] or row["image_id"], row["scientificName"],
         (f"{_shortened(row['measured'], NAME_LETTERS)}\n" if row["measured"] else
          f"Mercury? By network {percent(row['probability'], 0)},"
          f" in its cabinet {percent(row['probability_in_cabinet'], 0)}\n") +
         f"{_shortened(row['storageLocation'], NAME_LETTERS)}")
        for row in hazards.to_dict("records")
    ]  # fmt: skip
    with house_style(), whole(output) as part, PdfPages(part, metadata=METADATA["pdf"]) as pdf:
        for first in range(0, max(1, len(labels)), LABEL_COLUMNS * LABEL_ROWS):
            pdf.savefig(_page(labels[first : first + LABEL_COLUMNS * LABEL_ROWS]))


def _page(labels: list[tuple[str, str, str]]) -> Figure:
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes: Axes = figure.add_axes((0, 0, 1, 1), xlim=(0, LABEL_COLUMNS), ylim=(LABEL_ROWS, 0))
    axes.axis("off")
    for number, (title, about, found) in enumerate(labels):
        row, column = divmod(number, LABEL_COLUMNS)
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec="#BBBBBB", lw=0.4))
        axes.text(column + 0.06, row + 0.10, _shortened(title, 24), va="top", fontsize=11, fontweight="bold", color=INK)
        axes.text(column + 0.06, row + 0.30, _shortened(about, 40), va="top", fontsize=7.5, fontstyle="italic")
        axes.text(column + 0.06, row + 0.44, found, va="top", fontsize=7.5)
        axes.text(column + 0.06, row + 0.68, wrap(SAFETY_WARNING, 54), va="top", fontsize=6, color="#A63D00")
    if not labels:
        axes.text(0.06, 0.1, f"No cabinet to test and no sheet on the list. {SAFETY_WARNING}", va="top", fontsize=8)
    return figure


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"
