"""What instruments found: a table of results by barcode or cabinet, read with whatever is odd counted and named.

Columns: barcode or cabinet, method, and any of value, unit, limit, positive, date, instrument. Every row is used, or is
listed with the reason why not.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.common.barcodes import normalise
from sheetlens.common.errors import UserError
from sheetlens.common.tables import plain_cell, read_rows
from sheetlens.config.records import METHODS, Method

COLUMNS = ("barcode", "cabinet", "method", "value", "unit", "limit", "positive", "date", "instrument")
YES = ("yes", "y", "true", "t", "1", "+", "positive", "pos", "treated", "x", "detected")
NO = ("no", "n", "false", "f", "0", "-", "negative", "neg", "untreated", "not detected", "nd")
NUMBER = re.compile(r"([<>≤≥]?)=?\s*([+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)", re.IGNORECASE)  # "<0,05" too
DATE = re.compile(r"(\d{1,4})[./-](\d{1,2}|[A-Za-z]{3,9})[./-](\d{1,4})|(\d{1,2}) ([A-Za-z]{3,9})\.? (\d{4})")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PLACES = ("value", "limit", "unit", "date", "instrument", "method")
UNKNOWN_CABINET = "no sheet that was read stands in this cabinet"
UNKNOWN_SHEET = "the sheet was never photographed, or its photograph could not be read"
REPEATED = "the same result stands there twice"
NAMED = 5  # rows named for each oddity


@dataclass
class Measurements:
    """`table` has a row for each row of the file: its number, COLUMNS as they were, and what was made of them.

    Made: key (normalised barcode), positive (yes, no), date (ISO 8601, or ""), used, and reason, why it does not count
    as evidence. `oddities` has what is odd -> rows and examples, of those that are used as well.
    """

    table: pd.DataFrame
    oddities: dict[str, list[str]] = field(default_factory=dict)

    @property
    def used(self) -> pd.DataFrame:
        """The rows that are evidence."""
        return self.table[self.table["used"]]

    def note(self, what: str, row: Mapping[Any, Any]) -> None:
        """Count and name an oddity."""
        name = row["barcode"] or row["cabinet"] or "no name"
        self.oddities.setdefault(what, []).append(f"{name} (row {row['row']})")

    def told(self) -> list[dict[str, object]]:
        """Oddities for people: what, how many rows, the first NAMED."""
        return [{"what": what, "rows": len(names), "named": names[:NAMED]} for what, names in self.oddities.items()]


def read_measurements(
    path: Path, barcodes: Collection[str], cabinets: Collection[str], methods: Mapping[str, Method]
) -> Measurements:
    """Read a table of results; `barcodes` (normalised) and `cabinets` are those of the sheets that were read.

    `methods` stand beside METHODS. Raises UserError for a table without a method or without barcode and cabinet.
    """
    rows = [
        {"row": str(number)} | {name: plain_cell(found.get(name, "")) for name in COLUMNS}
        for number, found in enumerate(read_rows(path, {name: name for name in COLUMNS}, ("method",)), start=2)
    ]
    if not rows:
        raise UserError(f"{path} has no results: give a table with a row for each")
    if not any(row["barcode"] or row["cabinet"] for row in rows):
        raise UserError(
            f"{path} says neither of which sheets its results are (barcode) nor of which cabinets (cabinet)"
        )
    found = Measurements(pd.DataFrame())
    known = {_plain(name): name for name in (*METHODS, *methods)}
    places = {_plain(name): name for name in cabinets if name}
    order, limits = _date_order(rows), _usual_limits(rows)
    seen: set[tuple[str, ...]] = set()
    made = [_read_row(row, known, limits, order, found) for row in rows]
    for row in made:
        row["key"] = normalise(row["barcode"])
        row["cabinet"] = places.get(_plain(row["cabinet"]), row["cabinet"])
        if not row["reason"]:
            row["reason"] = _unknown(row, barcodes, places)
        same = tuple(row[name] for name in ("key", *([] if row["key"] else ["cabinet"]), "positive", *PLACES))
        if not row["reason"] and same in seen:
            row["reason"] = REPEATED
        seen.add(same)
        if row["reason"]:
            found.note(row["reason"], row)
    found.table = pd.DataFrame(made).assign(used=[not row["reason"] for row in made])
    _look_across(found)
    return found


def _read_row(
    row: dict[str, str],
    known: Mapping[str, str],
    limits: Mapping[tuple[str, str], str],
    order: str,
    found: Measurements,
) -> dict[str, str]:
    """The row with its method, result and date as they are understood, and the reason where they are not."""
    row = row | {"reason": "", "given": row["date"]}
    method = known.get(_plain(row["method"]))
    row["date"] = _date(row["date"], order)
    if row["given"] and not row["date"]:
        found.note("the date cannot be read, or can be read in two ways: it is left out", row)
    if not row["barcode"] and not row["cabinet"]:
        return row | {"reason": "neither a barcode nor a cabinet"}
    if method is None:
        return row | {"reason": f"the method '{row['method']}' is not known: say how often it errs (--methods)"}
    limit = row["limit"] or limits.get((_plain(row["method"]), _unit(row["unit"])), "")
    by_value, said = _above(row["value"], limit), _answer(row["positive"])
    row["method"] = method
    if said is None and row["positive"]:
        return row | {"reason": f"'{row['positive']}' is neither yes nor no (positive)"}
    if said is not None and by_value is not None and said != by_value:
        return row | {"reason": "positive and value contradict one another at this limit"}
    if said is None and by_value is None:
        return row | {"reason": "no result: neither positive, nor a value with a limit"}
    if said is None and not row["limit"]:
        found.note("no limit of its own: that of the other rows of the method and unit is taken", row)
    return row | {"positive": "yes" if (by_value if said is None else said) else "no"}


def _unknown(row: Mapping[str, str], barcodes: Collection[str], places: Mapping[str, str]) -> str:
    if row["barcode"]:
        return "" if row["key"] in barcodes else UNKNOWN_SHEET
    return "" if _plain(row["cabinet"]) in places else UNKNOWN_CABINET


def _look_across(found: Measurements) -> None:
    """Note what shows only when rows are compared: units mixed, results that contradict one another."""
    for method, rows in found.used.groupby("method"):
        units = Counter(_unit(unit) for unit in rows["unit"] if unit)
        usual = units.most_common(1)[0][0] if units else ""
        for row in rows.to_dict("records"):
            if row["unit"] and _unit(row["unit"]) != usual:
                what = (
                    f"{method}: another unit than most rows ({usual}); each value is compared with its own limit only"
                )
                found.note(what, row)
    names = found.used.assign(
        place=found.used["key"].where(found.used["key"] != "", "cabinet " + found.used["cabinet"])
    )
    for _, rows in names.groupby("place"):
        if rows["positive"].nunique() > 1:
            for row in rows.to_dict("records"):
                found.note(
                    "positive and negative results of one sheet or cabinet: all count, with their methods' errors", row
                )


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text).strip().casefold()


def _unit(text: str) -> str:
    return text.replace("µ", "u").replace("μ", "u").replace("³", "3").replace("^", "").replace(" ", "").casefold()


def _answer(text: str) -> bool | None:
    plain = text.strip().casefold()
    return True if plain in YES else False if plain in NO else None


def _above(value: str, limit: str) -> bool | None:
    """Whether a value reaches the limit; None where that is not known. "<5" is below 5, and so below a limit of 5."""
    one, other = NUMBER.fullmatch(value.strip()), NUMBER.fullmatch(limit.strip())
    if not one or not other:
        return None
    number, bound = (float(found[2].replace(",", ".")) for found in (one, other))
    if one[1] in ("<", "≤"):
        return False if number <= bound else None
    if one[1] in (">", "≥"):
        return True if number >= bound else None
    return number >= bound


def _usual_limits(rows: list[dict[str, str]]) -> dict[tuple[str, str], str]:
    """The limit of a method and unit, where all rows that state one agree."""
    limits: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row["limit"]:
            limits.setdefault((_plain(row["method"]), _unit(row["unit"])), set()).add(row["limit"])
    return {key: stated.pop() for key, stated in limits.items() if len(stated) == 1}


def _parts(text: str) -> tuple[str, ...] | None:
    found = DATE.fullmatch(text)
    return tuple(part for part in found.groups() if part) if found else None


def _date_order(rows: list[dict[str, str]]) -> str:
    """Whether "day" or "month" comes first in dates with slashes; "" where no row tells, or rows differ."""
    orders = set()
    for row in rows:
        parts = _parts(row["date"].strip()[:10]) if "/" in row["date"] else None
        if parts and len(parts[0]) < 3 and parts[1].isdigit():
            orders |= {"day"} if int(parts[0]) > 12 else set()
            orders |= {"month"} if int(parts[1]) > 12 else set()
    return orders.pop() if len(orders) == 1 else ""


def _date(text: str, order: str) -> str:
    """A date as ISO 8601, or "": 2026-11-24, 24.11.2026, 24/11/2026, 24 Nov 2026, with a time behind it or without."""
    text = re.split(r"[T ](?=\d{1,2}:)", text.strip())[0]
    parts = _parts(text)
    if not parts:
        return ""
    first, second, third = parts
    month = MONTHS.index(second[:3].casefold()) + 1 if second[:3].casefold() in MONTHS else 0
    if len(first) == 4:
        year, month, day = first, month or int(second), int(third)
    elif not second.isdigit():
        year, day = third, int(first)
    else:
        year, one, other = third, int(first), int(second)
        # Points are of countries where the day comes first; slashes say nothing by themselves.
        told = "day" if "." in text or one > 12 else "month" if other > 12 else order
        if not told and one != other:
            return ""
        day, month = (other, one) if told == "month" else (one, other)
    try:
        return date(int(year), month, day).isoformat() if len(year) == 4 else ""
    except ValueError:
        return ""
