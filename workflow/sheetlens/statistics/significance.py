"""Is it chance? A permutation test for held-out predictions, and intervals for paired gains."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sheetlens.statistics.clusters import one_of_each

PERMUTATIONS = 9999
RESAMPLES = 2000
CHUNK = 500  # permutations held in memory at once


def held_out(table: pd.DataFrame) -> pd.DataFrame:
    """The sheets a baseline's training knows nothing of: one for each group that has none in training.

    `table` has group, image_id and part. Sheets of one specimen or gathering are no independent evidence: they share a
    class and often the day and the camera.
    """
    seen = set(table.loc[table["part"] == "train", "group"])
    rest = table[(table["part"] != "train") & ~table["group"].isin(seen)].sort_values("image_id")
    return rest.iloc[one_of_each(pd.factorize(rest["group"])[0])]


def permutation_p(probabilities: NDArray[np.floating], truth: NDArray[np.integer], seed: int = 0) -> float:
    """How often labels dealt at random agree with the predictions as well as the true ones do.

    `probabilities` has the shape (n, classes), `truth` (n,). The statistic is the mean probability given to a
    sheet's label. Where labels are independent of what the model saw, held-out labels are exchangeable,
    and the value is at most p in a share p of the cases (Phipson & Smyth 2010 count the true
    order in, so that it is never 0).
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(truth))
    # Rounded, so that sums in another order are still ties.
    reached = round(float(probabilities[rows, truth].mean(dtype=np.float64)), 9)
    as_good = 0
    for start in range(0, PERMUTATIONS, CHUNK):
        dealt = rng.permuted(np.tile(truth, (min(CHUNK, PERMUTATIONS - start), 1)), axis=1)
        means = probabilities[rows, dealt].mean(axis=1, dtype=np.float64)
        as_good += int((means.round(9) >= reached).sum())
    return (as_good + 1) / (PERMUTATIONS + 1)


def combine_p(values: list[float]) -> float:
    """One p for several seeds that share sheets: twice the median, valid whatever their dependence.

    Ruschendorf 1982, J. Appl. Prob. 19: 496-503. With one seed, its p.
    """
    return min(1.0, (2 if len(values) > 1 else 1) * float(np.median(values)))


def holm(values: dict[str, float]) -> dict[str, float]:
    """Holm's correction for several tests: adjusted p by name (Holm 1979, Scand. J. Stat. 6: 65-70)."""
    adjusted, worst = {}, 0.0
    for rank, name in enumerate(sorted(values, key=lambda name: values[name])):
        worst = max(worst, min(1.0, (len(values) - rank) * values[name]))
        adjusted[name] = worst
    return {name: adjusted[name] for name in values}


def area(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """Area under the ROC curve, the mean over the classes that occur; 0.5 is chance."""
    classes = [code for code in range(probabilities.shape[1]) if 0 < (truth == code).sum() < len(truth)]
    if not classes:
        return 0.5
    return float(np.mean([roc_auc_score(truth == code, probabilities[:, code]) for code in classes]))


def paired_gain(tests: pd.DataFrame, confidence: float, seed: int = 0) -> dict[str, float]:
    """Mean gain over paired tests with a bootstrap interval over groups of sheets.

    `tests` has group and gain, one row for each test of a sheet (one sheet may be tested with several seeds); whole
    groups are drawn, so that their tests stay together. The interval is the percentile one.
    """
    sheets = tests.groupby("group", sort=True)["gain"].agg(["sum", "size"])
    interval = ratio_interval(sheets["sum"].to_numpy(float), sheets["size"].to_numpy(float), confidence, seed)
    return {"gain": interval.pop("ratio"), **interval}


def ratio_interval(
    above: NDArray[np.floating], below: NDArray[np.floating], confidence: float, seed: int = 0
) -> dict[str, float]:
    """Ratio of two sums over sheets, both of shape (n,), with a percentile interval from drawing sheets anew."""
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(above), np.full(len(above), 1 / len(above)), RESAMPLES)
    ratios = (draws @ above) / np.maximum(draws @ below, 1e-12)
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"ratio": float(above.sum()) / max(float(below.sum()), 1e-12), "low": float(low), "high": float(high)}
