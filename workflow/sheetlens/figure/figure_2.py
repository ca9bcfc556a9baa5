"""Figure 2 of the paper: confusion matrices, distributions of probability, rejection plots with the paper's marks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sheetlens.common.tables import probability_column
from sheetlens.evaluate.results import Outcome, read_outcome, read_tested
from sheetlens.figure.style import (
    COLOURS,
    INK,
    house_style,
    new_figure,
    panel_letter,
    percent_axis,
    wrap,
    write_letter,
)

BINS = np.linspace(0, 1, 21)  # of the probability: 0.05 wide
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of a class: ends of the thin and of the thick line, median
DOTS = 60  # sheets of a class that are drawn one by one
MANY = 12  # classes whose numbers can be read in a matrix of the usual size
LONGEST = 22  # letters of a class's name where there are many


def draw_evaluation(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw Figure 2: confusion matrices, distributions of probability, rejection plots.

    With several data sets a row for each kind of plot and a column for each data set, as in the paper; with
    one data set its three plots in a row. The table has the columns panel, dataset, series, x, y: for a
    confusion matrix true class, answer, count; for a distribution class, lower edge of the bin, share of
    the class, and with more than two classes value and level of its quantiles; for a rejection plot seed or mean or
    paper, fraction set aside, accuracy of the others.
    """
    outcomes = [read_outcome(path, results) for path in evaluations]
    plots = (_draw_confusion, _draw_distribution, _draw_rejection)
    many = max(len(outcome.classes) for outcome in outcomes)
    steep = any(_steep(outcome.classes) for outcome in outcomes)
    matrix_height = max(1.75, 0.5 + (0.3 if many <= MANY else 0.14) * many) + steep
    alone = len(outcomes) == 1
    tables = []
    with house_style():
        if alone and many > MANY:  # the matrix needs the height of the two others together
            figure = new_figure(11, max(6.5, matrix_height))
            places = figure.subplot_mosaic([["a", "b"], ["a", "c"]], width_ratios=[1.5, 1], height_ratios=[2.2, 1])
            grid = np.array([[places[letter]] for letter in "abc"])
        elif alone:
            figure = new_figure(10.2, max(2.9, matrix_height + 0.9))
            grid = figure.subplots(1, 3, squeeze=False).T
        else:
            rows = [matrix_height, 1.75 if many <= 2 else max(1.75, 0.14 * many), 2.1]
            figure = new_figure((3.7 if many <= MANY else 6.5) * len(outcomes), sum(rows) + 1.35)
            grid = figure.subplots(3, len(outcomes), squeeze=False, height_ratios=rows)
        for row, draw in enumerate(plots):
            for column, outcome in enumerate(outcomes):
                number = row * len(outcomes) + column
                table = draw(grid[row, column], outcome)
                write_letter(grid[row, column], number, (-30, 6))
                tables.append(table.assign(panel=panel_letter(number), dataset=outcome.evaluation["dataset"]))
        for axes, outcome in zip(grid[0], outcomes, strict=True):
            _write_heading(figure, axes, outcome, alone)
    table = pd.concat(tables, ignore_index=True)
    return figure, table[["panel", "dataset", "series", "x", "y"]]


def _write_heading(figure: Figure, axes: Axes, outcome: Outcome, alone: bool) -> None:
    """Write the data set's title with the accuracy here and in the paper."""
    accuracy = outcome.evaluation["accuracy"]["mean"]
    line = "accuracy not measured" if accuracy is None else f"accuracy here {100 * accuracy:.1f} %"
    if paper := outcome.evaluation.get("paper"):
        line += f", paper {100 * paper['accuracy']:.3g} %"
    if alone:
        figure.suptitle(f"{wrap(outcome.title, 90)}\n{line}", fontsize=10)
        return
    axes.set_title(line, pad=6)
    axes.annotate(
        wrap(outcome.title, 36),
        (0.5, 1),
        (0, 21),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        fontsize=10,
        fontweight="bold",
    )


def _draw_confusion(axes: Axes, outcome: Outcome) -> pd.DataFrame:
    names = outcome.classes
    few = len(names) <= 4
    counts = np.array(outcome.evaluation["confusion"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [
        (true, answer, counts[row, column]) for row, true in enumerate(names) for column, answer in enumerate(names)
    ]
    texts = [
        f"{100 * share:.1f} %\n{count:,}" if few else f"{100 * share:.0f} %"
        for share, count in zip(shares.flatten(), counts.flatten(), strict=True)
    ]
    sns.heatmap(
        shares,
        vmin=0,
        vmax=1.7,  # leaves out the darkest colours, so that dark text can be read in every cell
        cmap="Blues",
        annot=np.array(texts).reshape(counts.shape) if len(names) <= MANY else False,
        annot_kws={"color": INK, "fontsize": 9 if few else 7},
        fmt="",
        cbar=False,
        linewidths=1.5 if len(names) <= MANY else 0.5,
        xticklabels=_tick_names(names),
        yticklabels=_tick_names(names),
        ax=axes,
    )
    axes.tick_params(length=0, labelsize=_size(names))
    axes.tick_params(axis="y", rotation=0)
    axes.tick_params(axis="x", rotation=90 * _steep(names))
    axes.set(xlabel="predicted class", ylabel="true class")
    return pd.DataFrame(cells, columns=["series", "x", "y"])


def _tick_names(names: list[str]) -> list[str]:
    """Names of classes beside their rows or columns: in lines while there is room, then cut."""
    if len(names) <= MANY:
        return [wrap(name, 14) for name in names]
    return [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]


def _size(names: list[str]) -> float:
    """Points of the names of classes."""
    return 8 if len(names) <= 4 else 7 if len(names) <= MANY else 5.5


def _steep(names: list[str]) -> bool:
    """Whether the names under a confusion matrix must stand upright to fit."""
    longest = max(len(line) for name in _tick_names(names) for line in name.split("\n"))
    return len(names) > 4 or (len(names) > 2 and longest > 11)


def _draw_distribution(axes: Axes, outcome: Outcome) -> pd.DataFrame:
    """Two classes: the probability of the first, for the sheets of each. More: that of the true class."""
    names = outcome.classes
    two = len(names) == 2
    tested = read_tested(outcome)
    column = probability_column(names[0]) if two else "own"
    values = {name: tested.loc[tested["label"] == name, column] for name in names}
    shares = {name: np.histogram(of_class, BINS)[0] / max(len(of_class), 1) for name, of_class in values.items()}
    tables = [pd.DataFrame({"series": name, "x": BINS[:-1].round(2), "y": share}) for name, share in shares.items()]
    if two:
        for place, share in enumerate(shares.values()):
            axes.stairs(share, BINS, fill=True, color=COLOURS[place], alpha=0.4, lw=0)
            axes.stairs(share, BINS, color=COLOURS[place], lw=1.3)
        axes.axvline(0.5, color=INK, lw=0.7, ls=":")
        for number, x, side in ((0, 1, "right"), (1, 0, "left")):
            text = axes.text(x, 1.03, wrap(names[number], 22), transform=axes.transAxes, ha=side)
            text.set(color=COLOURS[number], fontweight="bold", fontsize=9)
        axes.set(xlabel=f"probability of “{wrap(names[0], 30)}”", ylabel="share of the class", ylim=(0, None))
        axes.yaxis.set_major_formatter(percent_axis())
    else:
        tables += _draw_rows(axes, values)
        axes.set_xlabel("probability of the true class")
    axes.set_xlim(-0.02 * (not two), 1 + 0.02 * (not two))
    sns.despine(ax=axes)
    return pd.concat(tables)


def _draw_rows(axes: Axes, values: dict[str, pd.Series]) -> list[pd.DataFrame]:
    """A row for each class: its sheets as dots, if they are few, and their quantiles as lines; the quantiles."""
    tables, names = [], list(values)
    for row, (name, of_class) in enumerate(values.items()):
        if not len(of_class):
            continue
        quantiles = np.quantile(of_class, LEVELS)
        if len(of_class) <= DOTS:
            # Up and down in turn, in their order: so that equal ones lie beside each other, and always the same.
            heights = row + 0.12 * (np.arange(len(of_class)) % 5 - 2)
            axes.plot(np.sort(of_class), heights, ".", color=COLOURS[4], ms=4.5, mew=0, alpha=0.9, zorder=1)
        axes.plot(quantiles[[0, -1]], [row, row], color=COLOURS[1], lw=0.8, zorder=2)
        axes.plot(quantiles[[1, -2]], [row, row], color=COLOURS[1], lw=2.6, solid_capstyle="butt", zorder=2)
        axes.plot(quantiles[2], row, "|", color=INK, ms=7 if len(names) <= MANY else 4, mew=1.4, zorder=3)
        tables.append(pd.DataFrame({"series": f"{name}, quantile", "x": quantiles, "y": LEVELS}))
    axes.set_yticks(range(len(names)), _tick_names(names))
    axes.tick_params(axis="y", length=0, labelsize=_size(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    return tables


def _draw_rejection(axes: Axes, outcome: Outcome) -> pd.DataFrame:
    """Accuracy of what is kept against the fraction set aside; the points carry Wilson intervals."""
    evaluation = outcome.evaluation
    aside = float(evaluation["set_aside_fraction"])
    fractions = np.array(evaluation["rejection"]["fraction"], dtype=float)
    seeds = np.array(evaluation["rejection"]["seeds"], dtype=float)
    mean = np.array(evaluation["rejection"]["mean"], dtype=float)
    tables = [pd.DataFrame({"series": "mean", "x": fractions, "y": mean})]
    for number, seed in enumerate(evaluation["seeds"]):
        axes.plot(fractions, seeds[number], color=COLOURS[4], lw=0.7, label="" if number else "single seeds")
        tables.append(pd.DataFrame({"series": f"seed {seed}", "x": fractions, "y": seeds[number]}))
    axes.plot(fractions, mean, color=COLOURS[1], lw=2.2, label="mean of the seeds")
    marks = _reference_points(evaluation)
    for series, points in marks.groupby("series"):
        errors = [points["y"] - points["low"], points["high"] - points["y"]]
        look = {"here": ("o", COLOURS[1], 0), "paper": ("D", INK, 0.014)}[str(series)]
        axes.errorbar(
            points["x"] + look[2],
            points["y"],
            errors,
            fmt=look[0],
            color=look[1],
            ms=4,
            lw=1,
            capsize=2,
            clip_on=False,
            zorder=4,
            label=series,
        )
        for end in ("y", "low", "high"):
            name = str(series) if end == "y" else f"{series} {end}"
            tables.append(pd.DataFrame({"series": name, "x": points["x"], "y": points[end]}))
    axes.axvline(aside, color=INK, lw=0.7, ls="--", zorder=0)
    text = f"{100 * aside:g} % set aside"
    axes.text(aside, 1.02, text, transform=axes.get_xaxis_transform(), fontsize=7.5)
    # The right end of the curves rests on a handful of sheets and would squeeze the rest.
    lowest = np.nanmin([*mean, *seeds[:, fractions <= 0.5].flatten(), *marks["low"]])
    axes.set(xlim=(-0.02, fractions.max()), ylim=(max(0, lowest - max(0.03, 0.25 * (1 - lowest))), 1.005))
    axes.legend(loc="lower right", frameon=False, fontsize=7.5, ncols=2)
    axes.set(xlabel="share set aside, least confident first", ylabel="accuracy of the others")
    axes.xaxis.set_major_formatter(percent_axis())
    axes.yaxis.set_major_formatter(percent_axis())
    sns.despine(ax=axes)
    return pd.concat(tables)


def _reference_points(evaluation: dict[str, Any]) -> pd.DataFrame:
    """Accuracy with its interval before and after setting aside, here and in the paper."""
    aside = evaluation["set_aside_fraction"]
    points = []
    for x, key in ((0.0, "accuracy"), (aside, "kept_accuracy")):
        value = evaluation[key]
        if value and value["mean"] is not None:
            points.append(("here", x, value["mean"], value["low"], value["high"]))
    if paper := evaluation.get("paper"):
        points.append(("paper", 0.0, paper["accuracy"], paper["accuracy_low"], paper["accuracy_high"]))
        points.append(("paper", aside, paper["kept_accuracy"], paper["kept_low"], paper["kept_high"]))
    return pd.DataFrame(points, columns=["series", "x", "y", "low", "high"])
