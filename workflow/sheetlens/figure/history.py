"""How the trainings of a data set went: loss and validation accuracy over the epochs, from their history.csv."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sheetlens.common.files import read_json
from sheetlens.evaluate.results import read_outcome
from sheetlens.figure.style import COLOURS, house_style, new_figure, percent_axis


def draw_history(evaluations: Sequence[Path], results: Path = Path("results")) -> tuple[Figure, pd.DataFrame]:
    """Draw losses and validation accuracy of one data set's trainings, a line per seed; the first evaluation's models.

    A dot marks the epoch whose weights were kept. The table is the models' history.csv with the columns
    seed, epoch, series, value.
    """
    outcome = read_outcome(evaluations[0], results)
    tables, best = [], {}
    for model in outcome.evaluation["models"]:
        folder = outcome.model_folder(model)
        tables.append(pd.read_csv(folder / "history.csv").assign(seed=model["seed"]))
        best[model["seed"]] = read_json(folder / "model.json").get("best_epoch")
    history = pd.concat(tables, ignore_index=True)
    with house_style():
        figure = new_figure(7.4, 2.4)
        losses, accuracies = figure.subplots(1, 2)
        for number, (seed, lines) in enumerate(history.groupby("seed")):
            colour = COLOURS[number % len(COLOURS)]
            kept = lines[lines["epoch"] == best[seed]]
            losses.plot(lines["epoch"], lines["train_loss"], color=colour, lw=1, ls=":")
            losses.plot(lines["epoch"], lines["validation_loss"], color=colour, lw=1.2)
            losses.plot(kept["epoch"], kept["validation_loss"], "o", color=colour, ms=4.5)
            accuracies.plot(lines["epoch"], lines["validation_accuracy"], color=colour, lw=1.2)
            accuracies.plot(
                kept["epoch"], kept["validation_accuracy"], "o-", color=colour, ms=4.5, label=f"seed {seed}"
            )
        losses.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
        losses.set_title("validation (lines) and training (dots)", fontsize=8)
        accuracies.set_title("dot: the epoch that was kept", fontsize=8)
        accuracies.set(xlabel="epoch", ylabel="validation accuracy")
        accuracies.yaxis.set_major_formatter(percent_axis())
        accuracies.legend(loc="best", frameon=False, fontsize=7.5)
        for axes in (losses, accuracies):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            sns.despine(ax=axes)
    table = history.melt(["seed", "epoch"], var_name="series", value_name="value")
    return figure, table
