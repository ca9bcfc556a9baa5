"""Draw what the audits found: shortcut bars, saliency by position, galleries of mistakes and of doubt.

Every `draw_*` function takes the evaluations of one data set, of which it reads the first, the headline's, and
returns a figure and the tidy table behind it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sheetlens.audit.finding import read_finding
from sheetlens.common.files import read_table
from sheetlens.evaluate.results import Outcome, SheetPictures, average_sheets, read_outcome, read_tested
from sheetlens.figure.style import COLOURS, INK, house_style, new_figure, percent_axis, wrap

QUIET = "#BBBBBB"  # of a bar that says nothing
SHOWN = 12  # pictures in a gallery
ACROSS = 6


def draw_shortcuts(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw the accuracy of each baseline beside the network's, on the same test sheets.

    A bar is coloured where the baseline tells the class better than chance at the level of the audit. The whisker is
    the interval of the paired gain, laid off from the network's accuracy: where it reaches the line, the network is
    not shown to be better. The table has baseline, accuracy, gain, low, high (of the gain), area, p_adjusted.
    """
    outcome = read_outcome(evaluations[0], results)
    audits = outcome.folder / "audits"
    finding = read_finding(audits / f"shortcuts-{outcome.evaluation['protocol']}.json")
    level = read_finding(audits / "setup.json").numbers["level"]
    rows = finding.numbers["baselines"]
    network = finding.numbers["network"]
    table = pd.DataFrame([{"baseline": name, **row} for name, row in rows.items()])
    with house_style():
        figure = new_figure(6.4, 0.36 * len(table) + 1.1)
        axes = figure.subplots()
        places = np.arange(len(table))[::-1]
        telling = table["p_adjusted"] < level
        axes.barh(places, table["accuracy"], height=0.62, color=np.where(telling, COLOURS[0], QUIET))
        middle = network - table["gain"]
        errors = [middle - (network - table["high"]), (network - table["low"]) - middle]
        axes.errorbar(middle, places, xerr=errors, fmt="none", ecolor=INK, lw=1, capsize=2.5)
        axes.axvline(network, color=COLOURS[1], lw=2)
        axes.text(
            network, len(table) - 0.35, f"network {100 * network:.1f} % ", color=COLOURS[1], ha="right",
            fontsize=8.5, fontweight="bold",
        )  # fmt: skip
        for place, row in zip(places, table.to_dict("records"), strict=True):
            axes.text(1.03, place, f"{100 * row['accuracy']:.1f} %", va="center", fontsize=8)
        axes.set_yticks(places, table["baseline"].tolist())
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1), ylim=(-0.6, len(table) + 0.1), xlabel="accuracy on the test set")
        axes.xaxis.set_major_formatter(percent_axis())
        sns.despine(ax=axes, left=True)
    return figure, table


def draw_saliency(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw where the evidence lies: summed over the sheets of each class, and by region.

    Reads audits/maps.parquet and audits/saliency.csv. The table has series ("map" or "region"), class, x, y and value:
    for a map column, row and share of the evidence in that cell; for a region its name, "area" or "evidence", share.
    """
    outcome = read_outcome(evaluations[0], results)
    maps, shares = (read_table(outcome.folder / "audits" / name) for name in ("maps.parquet", "saliency.csv"))
    shares = shares.astype(dict.fromkeys(shares.columns.drop(["image_id", "label", "answer"]), float))
    pack = SheetPictures(outcome)
    sheets = pack.pixels[[pack.rows[name] for name in maps["image_id"]]]
    classes = sorted(maps["label"].unique())
    grid = round(len(maps["map"].iloc[0]) ** 0.5)
    means = {name: np.mean(np.stack(list(maps.loc[maps["label"] == name, "map"])), axis=0) for name in classes}
    highest = max(float(mean.max()) for mean in means.values())
    tables = []
    with house_style():
        figure = new_figure(2.5 * len(classes) + 3.1, 2.9)
        panels = figure.subplots(1, len(classes) + 1, width_ratios=[*[1.0] * len(classes), 1.25])
        for axes, name in zip(panels[:-1], classes, strict=True):
            chosen = (maps["label"] == name).to_numpy()
            grey = sheets[chosen].mean(axis=(0, 1))
            axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=(0, grid, grid, 0))
            field = means[name].reshape(grid, grid)
            axes.imshow(field, cmap="magma", vmin=0, vmax=highest, alpha=0.7, extent=(0, grid, grid, 0))
            axes.set_title(f"{wrap(name, 24)}\n{int(chosen.sum())} sheets")
            axes.set_axis_off()
            rows, columns = np.mgrid[:grid, :grid]
            columns_of = {"series": "map", "class": name, "x": columns.ravel(), "y": rows.ravel()}
            tables.append(pd.DataFrame(columns_of | {"value": field.ravel()}))
        regions = [str(name).removeprefix("area ") for name in shares if str(name).startswith("area ")]
        places = np.arange(len(regions))[::-1]
        for shift, what, colour in ((0.19, "area", QUIET), (-0.19, "evidence", COLOURS[5])):
            values = [float(shares[f"{what} {name}"].mean()) for name in regions]
            panels[-1].barh(places + shift, values, height=0.36, color=colour, label=what)
            columns_of = {"series": "region", "class": "", "x": regions, "y": what}
            tables.append(pd.DataFrame(columns_of | {"value": values}))
        panels[-1].set_yticks(places, regions)
        panels[-1].tick_params(axis="y", length=0)
        panels[-1].set(xlabel="share of the picture and of the evidence")
        panels[-1].xaxis.set_major_formatter(percent_axis())
        panels[-1].legend(loc="lower right", frameon=False, fontsize=8)
        sns.despine(ax=panels[-1], left=True)
    return figure, pd.concat(tables, ignore_index=True)


def draw_mistakes(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw the test sheets that got another answer than their label, the surest first; see `_draw_gallery`."""
    outcome = read_outcome(evaluations[0], results)
    averaged = average_sheets(read_tested(outcome), outcome.classes)
    mistaken = averaged[averaged["answer"] != averaged["label"]]
    return _draw_gallery(outcome, mistaken.sort_values(["certainty", "image_id"], ascending=[False, True]))


def draw_unsure(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw the test sheets whose answers are least sure (of two classes, nearest 0.5); see `_draw_gallery`."""
    outcome = read_outcome(evaluations[0], results)
    averaged = average_sheets(read_tested(outcome), outcome.classes)
    return _draw_gallery(outcome, averaged.sort_values(["certainty", "image_id"]))


def _draw_gallery(outcome: Outcome, sheets: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the first SHOWN of some test sheets.

    The table has image_id, label, answer and certainty (of the answer, averaged over the models that tested it).
    """
    table = sheets[["image_id", "label", "answer", "certainty"]].head(SHOWN).reset_index(drop=True)
    pack = SheetPictures(outcome)
    rows = max(1, -(-len(table) // ACROSS))
    with house_style():
        figure = new_figure(1.25 * ACROSS, 1.75 * rows)
        panels = figure.subplots(rows, ACROSS, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, sheet in zip(panels, table.to_dict("records"), strict=False):
            axes.imshow(np.asarray(pack.picture(sheet["image_id"])), interpolation="none")
            wrong = sheet["answer"] != sheet["label"]
            text = f"label {wrap(sheet['label'], 18)}\nanswer {wrap(sheet['answer'], 16)}, {sheet['certainty']:.2f}"
            axes.set_title(text, fontsize=6.5, color=COLOURS[5] if wrong else INK, loc="left")
        if table.empty:
            panels[0].text(0, 0.5, "No prediction on the test set is wrong.", fontsize=9)
    return figure, table
