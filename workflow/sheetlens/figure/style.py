"""How every figure looks, and how it is written: same figure, same bytes, on every machine."""

import base64
import io
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from PIL import Image

from sheetlens.common.files import whole, write_table

# Okabe & Ito 2008, told apart by colour-blind readers; the first two also differ in print without colour.
COLOURS = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#555555")
INK = "#222222"
DOTS_PER_INCH = 300  # of the PNG: usual for print
EACH = 4  # pixels, to choose the colours of a picture by
STYLE: dict[str, Any] = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same letters
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in the name of a class is a "$"
    "svg.fonttype": "path",
    "svg.hashsalt": "sheetlens",
    "pdf.fonttype": 42,
}
# What the writers would stamp with the time or their version.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "Sheetlens"},
    "pdf": {"CreationDate": None, "Creator": "Sheetlens", "Producer": None},
    "png": {"Software": None},
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with STYLE alone, whatever the user's matplotlibrc says."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def save_figure(
    figure: Figure,
    table: pd.DataFrame,
    stem: Path,
    dots_per_inch: int = DOTS_PER_INCH,
    formats: Sequence[str] = ("svg", "png", "pdf"),
) -> None:
    """Write `stem`.svg, .png, .pdf and .csv, each whole or not at all; same figure, same bytes."""
    pictures = [picture for axes in figure.axes for picture in axes.images]
    for name in formats:
        buffer = io.BytesIO()
        for picture in pictures:
            picture.set_interpolation("antialiased" if name == "png" else "none")
        with house_style():
            figure.savefig(buffer, format=name, dpi=dots_per_inch, metadata=METADATA[name])
        content = buffer.getvalue()
        if pictures and name != "pdf":
            content = _compact_svg(content) if name == "svg" else _compact_png(content, dots_per_inch)
        with whole(stem.with_name(f"{stem.name}.{name}")) as part:
            part.write_bytes(content)
    write_table(stem.with_name(f"{stem.name}.csv"), table)


def write_figures(
    draws: Mapping[str, Callable[[Sequence[Path], Path], tuple[Figure, pd.DataFrame]]],
    evaluations: Sequence[Path],
    folder: Path,
    dots_per_inch: int = DOTS_PER_INCH,
    results: Path = Path("results"),
) -> None:
    """Draw figures, given by name, from the evaluations of a data set, and write them as folder/figure-{name}."""
    for name, draw in draws.items():
        save_figure(*draw(evaluations, results), folder / f"figure-{name}", dots_per_inch)


def reduce_colours(picture: Image.Image) -> Image.Image:
    """Choose 256 colours for an RGB picture, so that it can be stored in a third of the space.

    Of Pillow's methods the one that keeps the few bright pixels of a colour chart; k-means then takes out
    the tints it leaves on paper. Every EACH-th pixel, across and down, is asked: all of them take seconds.
    """
    some = picture.resize([max(1, side // EACH) for side in picture.size], Image.Resampling.NEAREST)
    colours = some.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1)
    return picture.quantize(palette=colours, dither=Image.Dither.NONE)


def _compact_svg(content: bytes) -> bytes:
    """Turn the photographs inside an SVG from PNG into JPEG: a fifth of the size."""

    def encode(match: re.Match[bytes]) -> bytes:
        buffer = io.BytesIO()
        picture = Image.open(io.BytesIO(base64.b64decode(match[1])))
        picture.convert("RGB").save(buffer, "JPEG", quality=85, optimize=True)
        return b'"data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()) + b'"'

    return re.sub(rb'"data:image/png;base64,([^"]+)"', encode, content)


def _compact_png(content: bytes, dots_per_inch: int) -> bytes:
    """Reduce a PNG with photographs to 256 colours: a third of the size, hardly to be seen."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    reduce_colours(picture).save(buffer, "PNG", optimize=True, dpi=(dots_per_inch, dots_per_inch))
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, in inches, that no global state knows of."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_letter(number: int) -> str:
    """Letter of a panel: a, b, ... z, aa, ab, ..."""
    earlier, letter = divmod(number, 26)
    return (panel_letter(earlier - 1) if earlier else "") + chr(ord("a") + letter)


def write_letter(axes: Axes, number: int, offset: tuple[float, float]) -> None:
    """Write the panel's letter at its upper left corner, moved by `offset` points."""
    axes.annotate(
        panel_letter(number),
        (0, 1),
        offset,
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=11,
        fontweight="bold",
    )


def percent_axis() -> FuncFormatter:
    """Make a formatter for one axis of shares: 0.5 becomes "50 %"."""
    return FuncFormatter(lambda share, _: f"{100 * share:.4g} %")


def wrap(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters."""
    return textwrap.fill(text, width)
