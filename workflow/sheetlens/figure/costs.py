"""Draw what an exploration found: accuracy against cost, a point for each network."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from sheetlens.figure.style import COLOURS, INK, house_style, new_figure, percent_axis, write_letter

AXES = {  # of a panel: what the cost is, and its unit
    "seconds": ("one training, seconds", 1),
    "flops": ("reading one sheet, GFLOPs", 1e9),
    "parameters": ("parameters, millions", 1e6),
    "gpu_memory": ("GPU memory of a step, GB", 1e9),
}
MARKS = ("o", "s", "^", "v", "P", "X", "*")


def draw_costs(board: dict[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Draw the accuracies of a leaderboard against each cost that was measured, on logarithmic axes.

    Filled: the test part, with its interval; hollow: the validation part, on which the choice rests. The table has
    the columns panel, cost, network, series, x, y, low, high.
    """
    rows = board["networks"]
    costs = [name for name in AXES if any(row[name] is not None for row in rows)]
    points = []
    with house_style():
        figure = new_figure(2.3 * len(costs) + 2, 2.9)
        panels = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
        for number, (axes, name) in enumerate(zip(panels, costs, strict=True)):
            label, unit = AXES[name]
            for place, row in enumerate(rows):
                if row[name] is None:
                    continue
                x, colour, mark = row[name] / unit, COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
                test, validation = row["test"], row["validation"]
                errors = [[test["mean"] - test["low"]], [test["high"] - test["mean"]]]
                axes.errorbar(
                    [x], [test["mean"]], errors, fmt=mark, color=colour, ms=5, lw=1, capsize=2, label=_label(board, row)
                )
                axes.plot([x], [validation["mean"]], mark, mfc="none", mec=colour, ms=7)
                for series, value in (("test", test), ("validation", validation)):
                    limits = {key: value[key] for key in ("low", "high")}
                    points.append(
                        {"panel": chr(97 + number), "cost": name, "network": row["network"], "series": series}
                        | {"x": x, "y": value["mean"]}
                        | limits
                    )
            axes.set(xscale="log", xlabel=label)
            axes.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.margins(x=0.15)
            write_letter(axes, number, (-14, 6))
            sns.despine(ax=axes)
        panels[0].set_ylabel("accuracy")
        panels[0].yaxis.set_major_formatter(percent_axis())
        handles, labels = panels[costs.index("flops")].get_legend_handles_labels()  # known of every network
        legend = {"title": "filled: test, hollow: validation", "title_fontsize": 8, "fontsize": 8, "labelcolor": INK}
        figure.legend(handles, labels, loc="outside right upper", frameon=False, **legend)
    return figure, pd.DataFrame(points)


def _label(board: dict[str, Any], row: dict[str, Any]) -> str:
    notes = [note for note in ("chosen", "standard") if board[note] == row["network"]]
    return f"{row['network']} ({', '.join(notes)})" if notes else row["network"]
