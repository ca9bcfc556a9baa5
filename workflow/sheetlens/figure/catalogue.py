"""The table of all figures of a data set: to add one, write its function and a row here (docs/contributing/adding.md).

The rules make and the report and the audits' page show what stands here, the command line draws it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sheetlens.config import LIMITS, Limits

if TYPE_CHECKING:  # the rules read this table where nothing can be drawn
    import pandas as pd
    from matplotlib.figure import Figure

# The jobs, each for several figures because the imports take longest; workflow/rules/figure.smk says what each reads.
Group = Literal["paper", "uncertainty", "audits"]
Draw = Callable[[Sequence[Path], Path], tuple["Figure", "pd.DataFrame"]]


@dataclass(frozen=True)
class Drawing:
    """One figure: the module of this room and the function in it that draws it, the job, what it shows.

    The function takes the evaluations of a data set, one for each protocol (of the jobs `paper` and `audits` only the
    headline's), and the folder of results; it returns the figure and the tidy table behind it.
    """

    module: str
    function: str
    group: Group
    caption: str
    of_study: bool = False  # also drawn for all data sets together
    of_photographs: bool = False  # opens originals, so the function also takes the limits of the config

    def load(self, limits: Limits = LIMITS) -> Draw:
        """The function that draws it."""
        draw: Any = getattr(import_module(f"sheetlens.figure.{self.module}"), self.function)
        return partial(draw, limits=limits) if self.of_photographs else draw


FIGURES = {  # name, as in figure-{name}.svg
    "1": Drawing("figure_1", "draw_sheets", "paper", "A typical sheet of each class.", True, of_photographs=True),
    "2": Drawing("figure_2", "draw_evaluation", "paper", "Confusion, probabilities, rejection.", True),
    "history": Drawing("history", "draw_history", "paper", "Loss and validation accuracy over the epochs."),
    "risk": Drawing("uncertainty", "draw_risk", "uncertainty", "Error rate against coverage."),
    "reliability": Drawing("uncertainty", "draw_reliability", "uncertainty", "Accuracy against confidence."),
    "seeds": Drawing("uncertainty", "draw_seeds", "uncertainty", "Accuracy of every seed and protocol."),
    "shortcuts": Drawing("audits", "draw_shortcuts", "audits", "Cheap models beside the network."),
    "saliency": Drawing("audits", "draw_saliency", "audits", "Where the network looks, by class and region."),
    "mistakes": Drawing("audits", "draw_mistakes", "audits", "The most confident mistakes."),
    "unsure": Drawing("audits", "draw_unsure", "audits", "The least confident predictions."),
}


def names(group: Group) -> list[str]:
    """The names of the figures that one job draws."""
    return [name for name, drawing in FIGURES.items() if drawing.group == group]


def modules(group: Group) -> list[str]:
    """The modules that draw them."""
    return sorted({f"figure.{drawing.module}" for drawing in FIGURES.values() if drawing.group == group})
