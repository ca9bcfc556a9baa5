"""What the baselines' predictions say: does any of them tell the class better than chance?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.audit.baselines.models import BASELINES, MAJORITY
from sheetlens.audit.finding import read_scores
from sheetlens.common import files
from sheetlens.statistics.significance import area, combine_p, held_out, permutation_p


def read_baselines(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """The tables of `predict_baselines` by file name without ending, such as "random-1"."""
    return {path.stem: files.read_table(path) for path in paths}


def above_chance(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """For each baseline: accuracy and ROC area on unseen sheets, mean over the splits, and one p against chance.

    Unseen are one sheet of each group that has none in training (see `held_out`); 0 and a half where there are none.
    """
    result: dict[str, dict[str, Any]] = {}
    for name in BASELINES:
        unseen = [held_out(table[table["baseline"] == name]) for table in tables.values()]
        scores = [(*read_scores(sheets), len(sheets)) for sheets in unseen if len(sheets)]
        result[name] = {
            "accuracy": float(np.mean([(probs.argmax(axis=1) == truth).mean() for probs, truth, _ in scores] or [0])),
            "area": float(np.mean([area(probs, truth) for probs, truth, _ in scores] or [0.5])),
            "p": 1.0
            if name == MAJORITY or not scores
            else combine_p([permutation_p(probs, truth) for probs, truth, _ in scores]),
            "sheets": [len(sheets) for sheets in unseen],
        }
    return result
