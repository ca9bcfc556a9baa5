"""Validation and test sheets come from randomly chosen labels alone; sheets that a model suggested can only train.

A suggested sheet is one that a model was unsure of, or took for a class: an accuracy measured on such sheets is biased.
"""

import numpy as np
import pandas as pd

from sheetlens.common.errors import UserError

RANDOM = ("random", "")  # "": nothing is known of how it was chosen
FEWEST = 20  # randomly chosen sheets, below which there is nothing to test on


def testable(sheets: pd.DataFrame) -> np.ndarray:
    """Whether each sheet may be in a validation or test part: bool, shape (n,); all where no `chosen` column is."""
    if "chosen" not in sheets:
        return np.ones(len(sheets), bool)
    may = sheets["chosen"].fillna("").isin(RANDOM).to_numpy()
    if not may.all() and may.sum() < FEWEST:
        raise UserError(
            f"{may.sum()} labels are of randomly chosen sheets, and {FEWEST} or more are needed to validate and test:"
            " label more sheets at random (x on the label page)"
        )
    return may


def shares_among(shares: tuple[float, float, float], sheets: int, testable: int) -> tuple[float, float, float]:
    """Shares of the parts among the testable sheets, so that validation and test are as large as `shares` ask for.

    `shares` are of all sheets. Where there are too few, validation and test share all of them in their proportion.
    """
    wanted = np.array(shares[1:]) * sheets
    validation, test = wanted / max(testable, wanted.sum())
    return max(0.0, 1.0 - validation - test), float(validation), float(test)
