"""How many sheets of each cabinet are treated, and which cabinets to test: from answers, known errors and checks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common.barcodes import normalise, without_suffix
from sheetlens.common.errors import UserError
from sheetlens.common.tables import read_rows
from sheetlens.statistics.hierarchical_prevalence import fit_shares
from sheetlens.statistics.measured import Looks
from sheetlens.statistics.prevalence import Counts

CONFIDENCE = 0.9  # of the intervals
TREATED = 0.2  # a cabinet counts as treated from this share of treated sheets
COLUMNS = ("group", "sheets", "named", "share", "low", "high", "fewest", "most", "treated")


def known_errors(model: dict[str, Any], label: str) -> tuple[Counts, Counts]:
    """Sensitivity and specificity of a class as (right, tested), in independent sheets of a package's test part."""
    try:
        found = model["errors"][label]
        sensitivity, specificity = (tuple(found[side]) for side in ("sensitivity", "specificity"))
    except (KeyError, TypeError):
        raise UserError(
            f"the model does not say how often it errs on '{label}': package it with this version"
        ) from None
    if not sensitivity[1] or not specificity[1]:
        raise UserError("the model's test part lacks sheets of the class or of the others: its errors are unknown")
    return sensitivity, specificity


def read_checks(path: Path | None, sheets: pd.DataFrame, classes: list[str], label: str) -> pd.Series:
    """What is known of each sheet from tests: 1.0 treated, 0.0 not, NaN not tested; a value for each row of `sheets`.

    The table at `path` has barcode and label, one of the model's classes. Raises UserError for another label, for lines
    that contradict one another, and where no barcode is one of the collection.
    """
    known: dict[str, float] = {}
    for row in read_rows(path, {"barcode": "barcode", "label": "label"}) if path else ():
        if row["label"] not in classes:
            raise UserError(f"{path}: the label '{row['label']}' is none of the model's classes {', '.join(classes)}")
        key, treated = normalise(row["barcode"]), float(row["label"] == label)
        if key and known.setdefault(key, treated) != treated:
            raise UserError(f"two lines of {path} contradict each other about '{row['barcode']}': keep one of them")
    named = sheets["specimen_id"].map(normalise), sheets["specimen_id"].map(without_suffix)
    checks = named[0].map(known).fillna(named[1].map(known)).astype(float)
    if known and checks.isna().all():
        raise UserError(f"{path}: none of its {len(known)} barcodes is one of the collection's sheets")
    return checks


def count_checks(sheets: pd.DataFrame, checks: pd.Series) -> np.ndarray:
    """Tested cabinets, int, shape (m, 4): named and all treated sheets, named and all others among those tested."""
    tested = sheets.assign(treated=checks)[checks.notna()]
    counts = [
        [int(part["named"].sum()) if part is not None else 0, len(part)]
        for _, cabinet in tested.groupby("cabinet")
        for part in (cabinet[cabinet["treated"] == 1], cabinet[cabinet["treated"] == 0])
    ]
    return np.array(counts, int).reshape(-1, 4)


def estimate_shares(
    groups: pd.Series,
    named: pd.Series,
    known: tuple[Counts, Counts],
    checks: pd.Series | None = None,
    checked: np.ndarray | None = None,
    seen: pd.DataFrame | None = None,
    treated: pd.Series | None = None,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Treated sheets by group, highest share first (COLUMNS), and of all sheets together.

    `fewest` and `most` are the ends of the interval in sheets among those that are there, `low` and `high` the same as
    shares; `treated` is the probability that the share is TREATED or more. What was tested is known (`checks`) and
    tells of the errors (`checked`). `seen` has if_so and if_not of some sheets (see `measured.Looks`), by their index
    in `groups`; `treated` the probability of groups of which more is known than their sheets tell. Sheets without a
    group ("") are left out of the table, but not of the whole.
    """
    tested = pd.Series(np.nan, groups.index) if checks is None else checks
    open_, found = tested.isna(), tested == 1
    counts = pd.DataFrame({"sheets": 1, "open": open_, "named": named & open_, "found": found, "all": named})
    table = counts.astype(int).groupby(groups, sort=True).sum().rename_axis("group").reset_index()
    looks = None
    if seen is not None and len(seen := seen[open_[seen.index]]):
        places = pd.Index(table["group"]).get_indexer(groups[seen.index])
        looks = Looks(places, named[seen.index].to_numpy(), seen["if_so"].to_numpy(), seen["if_not"].to_numpy())
    shares = fit_shares(table["open"].to_numpy(), table["named"].to_numpy(), *known, checked, looks)
    if treated is not None:
        needed = np.ceil(TREATED * table["sheets"] - 1e-9) - table["found"]
        own = shares.draws[shares.rows] >= needed.to_numpy()[:, None]
        chances = table["group"].map(treated).fillna(pd.Series(own.mean(axis=1)))
        shares = shares.conditioned(needed.to_numpy(int), chances.to_numpy(float))
    draws = shares.draws[shares.rows] + table["found"].to_numpy()[:, None]
    sheets = table["sheets"].to_numpy()
    fewest, most = (end + table["found"].to_numpy() for end in shares.interval(CONFIDENCE))
    mean = draws.mean(axis=1)
    table = table.assign(
        named=table["all"],
        share=mean / sheets,
        # The shortest interval of a skew distribution may lie below its mean; what is drawn holds both.
        low=np.minimum(fewest, mean) / sheets,
        high=np.maximum(most, mean) / sheets,
        fewest=fewest,
        most=most,
        treated=(draws >= np.ceil(TREATED * sheets - 1e-9)[:, None]).mean(axis=1),
    )
    total = draws.sum(axis=0) / sheets.sum()
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(total, [tail, 1 - tail])
    overall = {"estimate": float(total.mean()), "low": float(low), "high": float(high)}
    table = table.loc[table["group"] != "", list(COLUMNS)]
    return table.sort_values(["share", "sheets", "group"], ascending=[False, False, True], ignore_index=True), overall


def choose_tests(treated: np.ndarray, budget: int) -> np.ndarray:
    """The groups to test, surest first, from the probability of each to be treated.

    Expected finds add up, so that no other choice of `budget` groups is expected to find more. Probabilities that
    agree to three digits count as the same, and the order decides.
    """
    return np.argsort(-treated.round(3), kind="stable")[:budget]


def plan_tests(cabinets: pd.DataFrame, budget: int) -> pd.DataFrame:
    """The cabinets to test first, with the treated ones expected to be found so far, and by testing at random."""
    plan = cabinets.iloc[choose_tests(cabinets["treated"].to_numpy(), budget)].reset_index(drop=True)
    plan.insert(0, "rank", range(1, len(plan) + 1))
    at_random = cabinets["treated"].mean() if len(cabinets) else 0.0
    return plan.assign(expected=plan["treated"].cumsum(), expected_at_random=plan["rank"] * at_random)
