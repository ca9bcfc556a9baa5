"""Draw the figures added to the paper's: risk against coverage, reliability, spread over seeds and protocols.

Every `draw_*` function takes the evaluations of one data set, one per protocol, and returns a figure and the tidy
table behind it; `style.save_figure` writes both.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sheetlens.evaluate.results import Outcome, read_outcome
from sheetlens.figure.style import COLOURS, INK, house_style, new_figure, percent_axis, write_letter
from sheetlens.statistics.comparisons import protocol_gaps

WIDTH = 4.1  # inches of a panel
NAMES = {"random": "random split", "grouped": "grouped split", "held_out_source": "held-out source"}


def draw_risk(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw the error among the answered sheets against the share that is answered, a panel for each protocol.

    The band is the interval of the mean, dots are thresholds chosen on validation for an error rate, rings those whose
    rate is guaranteed. The table has the columns panel, protocol, series, x (coverage), y (error), low, high.
    """
    outcomes = [read_outcome(path, results) for path in evaluations]
    tables = []
    with house_style():
        figure = new_figure(max(5.2, WIDTH * len(outcomes)), 3.2)
        axes = figure.subplots(1, len(outcomes), squeeze=False, sharey=True)[0]
        for number, (axis, outcome) in enumerate(zip(axes, outcomes, strict=True)):
            table = _draw_risk(axis, outcome)
            tables.append(table.assign(panel=chr(97 + number), protocol=outcome.evaluation["protocol"]))
            if len(outcomes) > 1:
                write_letter(axis, number, (-30, 6))
        top = max(_most(outcome) for outcome in outcomes)
        axes[0].set(ylabel="error rate (selective risk)", ylim=(0, top))
        axes[0].yaxis.set_major_formatter(percent_axis())
        handles, labels = axes[0].get_legend_handles_labels()
        axes[0].legend(handles, labels, loc="upper left", frameon=False, fontsize=7.5)
    table = pd.concat(tables, ignore_index=True)
    return figure, table[["panel", "protocol", "series", "x", "y", "low", "high"]]


def _most(outcome: Outcome) -> float:
    """The top of the axis: what seeds and interval need over most of the coverage, or the highest rate asked for."""
    section = outcome.evaluation["selective"]
    some = np.array(section["coverage"]) >= 0.3
    curves = np.array([section["risk"]["high"], *section["risk"]["seeds"]])[:, some]
    return float(min(1, 1.1 * max(curves.max(), *(row["risk"] for row in section["at_risk"]))))


def _draw_risk(axes: Axes, outcome: Outcome) -> pd.DataFrame:
    evaluation, section = outcome.evaluation, outcome.evaluation["selective"]
    coverage, risk = np.array(section["coverage"]), section["risk"]
    tables = [
        pd.DataFrame({"series": "mean", "x": coverage, "y": risk["mean"], "low": risk["low"], "high": risk["high"]})
    ]
    for number, seed in enumerate(evaluation["seeds"]):
        axes.plot(coverage, risk["seeds"][number], color=COLOURS[4], lw=0.7, label="" if number else "single seeds")
        tables.append(pd.DataFrame({"series": f"seed {seed}", "x": coverage, "y": risk["seeds"][number]}))
    axes.fill_between(coverage, risk["low"], risk["high"], color=COLOURS[1], alpha=0.16, lw=0)
    axes.plot(coverage, risk["mean"], color=COLOURS[1], lw=2, label="mean, with interval")
    looks = {
        "from_validation": ("o", COLOURS[5], COLOURS[5], "threshold from validation"),
        "guaranteed": ("o", "none", INK, "threshold with guarantee"),
    }
    for name, (marker, face, edge, label) in looks.items():
        points = _points(section["at_risk"], name)
        axes.plot(
            points["x"], points["y"], marker, mfc=face, mec=edge, ms=6 if face == "none" else 4, ls="", label=label
        )
        tables.append(points.assign(series=label + points["risk"].map(" {:g}".format)).drop(columns="risk"))
    for row in section["at_risk"]:
        axes.axhline(row["risk"], color=INK, lw=0.5, ls=":", zorder=0)
    axes.set(xlim=(0, 1.01), xlabel="coverage: share of the sheets that are classified")
    axes.set_title(NAMES.get(evaluation["protocol"], evaluation["protocol"]), loc="center")
    axes.xaxis.set_major_formatter(percent_axis())
    sns.despine(ax=axes)
    return pd.concat(tables)


def _points(rows: list[dict[str, Any]], name: str) -> pd.DataFrame:
    """Coverage and error on the test part for each rate asked for, where any sheet is answered."""
    found = [
        (row["risk"], row[name]["coverage"]["mean"], *(row[name]["error"][key] for key in ("mean", "low", "high")))
        for row in rows
        if row[name]["error"]["mean"] is not None
    ]
    return pd.DataFrame(found, columns=["risk", "x", "y", "low", "high"])


def draw_reliability(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw how often the network is right against how sure it is, before and after scaling; the first protocol.

    The table has the columns panel, series, x (mean confidence of a bin), y (share right), low, high, n.
    """
    outcome = read_outcome(evaluations[0], results)
    section, scores = outcome.evaluation["calibration"], outcome.evaluation["scores"]
    after = f"after scaling (temperature {section['temperature']['mean']:.2f})"
    kinds = (
        ("predicted", "as the network says", "calibration_error"),
        ("scaled", after, "calibration_error_scaled"),
    )
    tables = []
    with house_style():
        figure = new_figure(2 * 3.5, 3.3)
        axes = figure.subplots(1, 2, sharey=True, sharex=True)
        least = 1 / len(outcome.classes)
        for number, (axis, (kind, title, score)) in enumerate(zip(axes, kinds, strict=True)):
            bins = pd.DataFrame(section[kind])
            axis.plot([least, 1], [least, 1], color=INK, lw=0.7, ls="--")
            errors = [bins["accuracy"] - bins["low"], bins["high"] - bins["accuracy"]]
            axis.errorbar(
                bins["confidence"],
                bins["accuracy"],
                errors,
                fmt="o-",
                color=COLOURS[1],
                ms=4,
                lw=1.2,
                elinewidth=0.9,
                capsize=2,
            )
            axis.set_title(f"{title}\nmean distance {100 * scores[score]['mean']:.1f} points")
            axis.set(
                xlabel="confidence",
                xlim=(least - 0.02, 1.02),
                ylim=(min(least, bins["low"].min()) - 0.02, 1.02),
            )
            for scale in (axis.xaxis, axis.yaxis):
                scale.set_major_formatter(percent_axis())
            write_letter(axis, number, (-30, 6))
            sns.despine(ax=axis)
            columns = {"confidence": "x", "accuracy": "y"}
            tables.append(bins.rename(columns=columns).assign(panel=chr(97 + number), series=kind))
        axes[0].set_ylabel("accuracy")
    table = pd.concat(tables, ignore_index=True)
    return figure, table[["panel", "series", "x", "y", "low", "high", "n"]]


def draw_seeds(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw the accuracy of every seed under every protocol, the paper's, and the gaps between protocols.

    The table has the columns panel, series, protocol, x (accuracy, or difference to the first protocol), low, high.
    """
    outcomes = [read_outcome(path, results) for path in evaluations]
    gaps = protocol_gaps([outcome.evaluation for outcome in outcomes])
    rows: list[dict[str, Any]] = []
    with house_style():
        height = 1.0 + 0.42 * (len(outcomes) + any(outcome.evaluation["paper"] for outcome in outcomes))
        figure = new_figure(8.4 if gaps else 5.2, max(1.8, height))
        axes = figure.subplots(1, 2 if gaps else 1, squeeze=False, width_ratios=[3, 2] if gaps else None)[0]
        labels = _draw_seeds(axes[0], outcomes, rows)
        axes[0].set_yticks(range(len(labels)), labels)
        axes[0].set(ylim=(len(labels) - 0.5, -0.5), xlabel="accuracy")
        if gaps:
            _draw_gaps(axes[1], gaps, rows, len(labels))
            for number, axis in enumerate(axes):
                write_letter(axis, number, (-14, 6))
        for axis in axes:
            axis.xaxis.set_major_formatter(percent_axis())
            sns.despine(ax=axis, left=True)
            axis.tick_params(axis="y", length=0)
    return figure, pd.DataFrame(rows, columns=["panel", "series", "protocol", "x", "low", "high"])


def _draw_seeds(axes: Axes, outcomes: list[Outcome], rows: list[dict[str, Any]]) -> list[str]:
    """Draw a row for each protocol and one for the paper; return what they are called."""
    labels = []
    for place, outcome in enumerate(outcomes):
        evaluation, accuracy = outcome.evaluation, outcome.evaluation["accuracy"]
        protocol = evaluation["protocol"]
        labels.append(NAMES.get(protocol, protocol))
        values = [model["accuracy"] for model in evaluation["models"]]
        axes.plot(values, np.full(len(values), place - 0.16), "o", color=COLOURS[4], ms=5, mec="white", mew=0.6)
        _draw_mean(axes, place + 0.08, accuracy["mean"], accuracy["low"], accuracy["high"], COLOURS[1], "o")
        for seed, value in zip(evaluation["seeds"], values, strict=True):
            rows.append({"panel": "a", "series": f"seed {seed}", "protocol": protocol, "x": value})
        rows.append({"panel": "a", "series": "mean", "protocol": protocol, "x": accuracy["mean"]} | _limits(accuracy))
    if paper := outcomes[0].evaluation["paper"]:
        limits = {"low": paper["accuracy_low"], "high": paper["accuracy_high"]}
        _draw_mean(axes, len(outcomes), paper["accuracy"], limits["low"], limits["high"], INK, "D")
        rows.append({"panel": "a", "series": "paper", "protocol": "", "x": paper["accuracy"]} | limits)
        labels.append("the paper")
    return labels


def _draw_gaps(axes: Axes, gaps: list[dict[str, Any]], rows: list[dict[str, Any]], places: int) -> None:
    """Draw the difference of each further protocol to the first, level with its row on the left."""
    axes.axvline(0, color=INK, lw=0.7, ls="--")
    for place, gap in enumerate(gaps, start=1):
        _draw_mean(axes, place, gap["difference"], gap["low"], gap["high"], COLOURS[5], "o")
        text = f"{100 * gap['difference']:+.1f} points"
        axes.annotate(text, (gap["difference"], place), (0, 7), textcoords="offset points", ha="center", fontsize=8)
        rows.append({"panel": "b", "series": "gap", "protocol": gap["second"], "x": gap["difference"]} | _limits(gap))
    first = NAMES.get(gaps[0]["first"], gaps[0]["first"])
    axes.set(ylim=(places - 0.5, -0.5), yticks=[], xlabel=f"gain of {first}")


def _draw_mean(axes: Axes, place: float, mean: float, low: float, high: float, colour: str, marker: str) -> None:
    errors = [[mean - low], [high - mean]]
    axes.errorbar([mean], [place], xerr=errors, fmt=marker, color=colour, ms=5.5, lw=1.4, capsize=3, zorder=4)


def _limits(value: dict[str, Any]) -> dict[str, Any]:
    return {"low": value["low"], "high": value["high"]}
