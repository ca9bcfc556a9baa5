"""What is known of a collection beside the network's answers: a check by people, measurements by instruments."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.barcodes import normalise, without_suffix
from sheetlens.common.errors import UserError
from sheetlens.config.records import METHODS, Method
from sheetlens.hotspots.estimates import estimate_shares
from sheetlens.hotspots.measurements import Measurements, read_measurements
from sheetlens.predict.checked import read_checked
from sheetlens.statistics.measured import learn
from sheetlens.statistics.prevalence import Counts

LEFT, SURE = 2, 0.95  # enough is tested when fewer than LEFT treated cabinets are left, with this probability
MANY = 5  # sheets of a cabinet that were measured, from which on it counts as tested
LARGEST = 1e3  # that results of sheets may speak for or against a cabinet, so that no model is believed without limit


@dataclass(frozen=True)
class Check:
    """What `sheetlens assess` found: error rates as (right, tested), the class's share, the sheets that were seen."""

    known: tuple[Counts, Counts]
    prevalence: dict[str, float | None]
    verdict: str
    confidence: float
    sheets: pd.DataFrame  # if_so, if_not, by the index of the collection's sheets
    lost: int  # sheets of the check that are none of the collection's


@dataclass(frozen=True)
class Tested:
    """What measurements say of cabinets: how likely they are treated, which are tested, whether it is enough."""

    treated: pd.Series
    cabinets: list[str]
    enough: float  # probability that fewer than LEFT treated cabinets are left


def read_check(path: Path, model: Path, sheets: pd.DataFrame, label: str) -> Check:
    """Read a check.json for the collection's `sheets`; UserError where it is of another model, or lacks the class."""
    facts = read_checked(path, files.sha256(model / "package.json"))
    if label not in facts["classes"]:
        raise UserError(f"{path} says nothing of the class '{label}'; it knows {', '.join(facts['classes'])}")
    if "confidence" not in facts:
        raise UserError(f"{path} does not say how sure it is: check the answers again with this version")
    own = facts["classes"][label]
    places = {name: row for row, name in enumerate(sheets["image_id"])}
    by_barcode = _by_barcode(sheets)
    found: dict[int, float] = {}
    lost = 0
    for look in facts["looks"]:
        row = places.get(look["image_id"], by_barcode.get(normalise(look["barcode"])))
        if row is None:
            lost += 1
        else:
            found[row] = float(look["label"] == label)
    so = pd.Series(found, dtype=float)
    return Check(
        (tuple(own["sensitivity"]["local"]), tuple(own["specificity"]["local"])),
        own["prevalence"],
        own["verdict"],
        facts["confidence"],
        pd.DataFrame({"if_so": so, "if_not": 1 - so}),
        lost,
    )


def _by_barcode(sheets: pd.DataFrame) -> dict[str, int]:
    """Rows by barcode, also without what names a second picture; "" is none."""
    found: dict[str, int] = {}
    for row, name in enumerate(sheets["specimen_id"]):
        for key in (normalise(name), without_suffix(name)):
            if key:
                found.setdefault(key, row)
    return found


def read_results(path: Path, sheets: pd.DataFrame, methods: Mapping[str, Method]) -> Measurements:
    """Read measurements (see `measurements`) with the row of the sheet that each is of, -1 for a cabinet's."""
    by_barcode = _by_barcode(sheets)
    found = read_measurements(path, by_barcode.keys(), set(sheets["cabinet"]) - {""}, methods)
    found.table["sheet"] = [by_barcode.get(key, -1) for key in found.table["key"]]
    return found


def of_sheets(found: Measurements, methods: Mapping[str, Method]) -> pd.DataFrame:
    """if_so and if_not of each sheet that was measured, over all its results."""
    return _likelihoods(found.used[found.used["sheet"] >= 0], "sheet", methods)


def _likelihoods(rows: pd.DataFrame, by: str, methods: Mapping[str, Method]) -> pd.DataFrame:
    known = METHODS | dict(methods)
    positive = rows["positive"] == "yes"
    finds = np.array([known[name].sensitivity for name in rows["method"]], float)
    spares = np.array([known[name].specificity for name in rows["method"]], float)
    table = rows[[by]].assign(if_so=np.where(positive, finds, 1 - finds), if_not=np.where(positive, 1 - spares, spares))
    return table.groupby(by)[["if_so", "if_not"]].prod()


def weigh_cabinets(
    sheets: pd.DataFrame,
    known: tuple[Counts, Counts],
    checks: pd.Series,
    checked: np.ndarray,
    seen: pd.DataFrame,
    found: Measurements,
    methods: Mapping[str, Method],
) -> Tested:
    """Let measurements speak of cabinets, of others of the same family, and of all (see `statistics.measured`).

    `seen` are the sheets that people looked at. Results of single sheets speak for their cabinet by what they change in
    its probability to be treated; a cabinet with MANY measured sheets, or all, counts as tested.
    """
    before = _treated(sheets, known, checks, checked, seen)
    measured = of_sheets(found, methods)
    evidence = pd.DataFrame({"if_so": 1.0, "if_not": 1.0}, index=before.index)
    counts = sheets.loc[measured.index, "cabinet"].value_counts()
    if len(measured):
        after = _treated(sheets, known, checks, checked, both(seen, measured))
        odds = _odds(after) / _odds(before)
        evidence.loc[evidence.index.isin(counts.index), "if_so"] = odds.clip(1 / LARGEST, LARGEST)
    whole = _likelihoods(found.used[found.used["sheet"] < 0], "cabinet", methods).reindex(before.index).fillna(1.0)
    evidence *= whole
    family = sheets.assign(family=sheets["family"].fillna("")).groupby("cabinet")["family"].agg(_usual)
    names, kin = np.unique(family.reindex(before.index).fillna(""), return_inverse=True)
    kin = np.where(names[kin] == "", -1, kin)
    learnt = learn(before.to_numpy(), kin, evidence["if_so"].to_numpy(), evidence["if_not"].to_numpy())
    sizes = sheets["cabinet"].value_counts().reindex(before.index)
    tested = (whole["if_so"] != whole["if_not"]) | (counts.reindex(before.index).fillna(0) >= np.minimum(MANY, sizes))
    treated = pd.Series(learnt.treated, before.index)
    return Tested(treated, list(before.index[tested]), learnt.fewer_left(LEFT, tested.to_numpy(bool)))


def both(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The evidence of two tables on sheets together."""
    return first.mul(second, fill_value=1.0)


def _treated(
    sheets: pd.DataFrame, known: tuple[Counts, Counts], checks: pd.Series, checked: np.ndarray, seen: pd.DataFrame
) -> pd.Series:
    table, _ = estimate_shares(sheets["cabinet"], sheets["named"], known, checks, checked, seen)
    return table.set_index("group")["treated"].sort_index()


def _odds(chance: pd.Series) -> pd.Series:
    bounded = chance.clip(1 / (2 * LARGEST), 1 - 1 / (2 * LARGEST))
    return bounded / (1 - bounded)


def _usual(names: pd.Series) -> str:
    counts = names[names != ""].value_counts()
    return str(counts.index[0]) if len(counts) else ""


def results_text(row: Mapping[Any, Any]) -> str:
    """A result in words: "XRF: positive, 12 ppm (limit 10), 2026-11-24"."""
    value = " ".join(part for part in (row["value"], row["unit"]) if part)
    limit = f" (limit {row['limit']})" if value and row["limit"] else ""
    said = [f"{row['method']}: {'positive' if row['positive'] == 'yes' else 'negative'}"]
    return ", ".join([*said, *([value + limit] if value else []), *([row["date"]] if row["date"] else [])])


def results_by(found: Measurements, by: str) -> dict[Any, str]:
    """Results in words for each sheet (its row) or cabinet."""
    used = found.used[(found.used["sheet"] >= 0) == (by == "sheet")]
    return {key: "; ".join(map(results_text, rows.to_dict("records"))) for key, rows in used.groupby(by)}
