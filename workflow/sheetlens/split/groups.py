"""Which sheets belong together: relations between them, and the groups they form."""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sheetlens.common import files
from sheetlens.common.barcodes import specimen, without_suffix
from sheetlens.config import Split
from sheetlens.split.sheets import read_sheets

log = logging.getLogger(__name__)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?=$|T)")  # a date known to the day, the form of Darwin Core; a range is none
NOBODY = re.compile(r"(anon(ym(ous|us))?|unknown|not (stated|recorded)|s\.? ?(coll|leg|n)|sine .*)?\W*")
NUMBERED = re.compile(r"(.*?)(\d+)")
RELATIONS = {  # name in the config and in the leakage report -> what it is for people
    "specimen": "the same specimen",
    "exact_duplicate": "the same picture",
    "near_duplicate": "the same sheet photographed twice",
    "event": "the same collecting event",
    "collector": "the same collector",
    "barcode_run": "barcodes in a row",
}


def relate(sheets: pd.DataFrame, duplicates: pd.DataFrame, barcode_run: int) -> dict[str, np.ndarray]:
    """Pairs of sheets that belong together, for each of RELATIONS: rows of `sheets`, int64, shape (m, 2).

    `sheets` has image_id, specimen_id, recordedBy, recordNumber and eventDate, and may have institutionCode and
    catalogNumber; what is unknown ("", "s.n.", a date without its day) joins nothing. `duplicates` are the pairs of
    `duplicates.find_duplicates`. A run holds `barcode_run` numbers in a row of one prefix. Of sheets that share a
    value only neighbours are paired, the rest follows.
    """
    row = pd.Series(np.arange(len(sheets)), index=sheets["image_id"])
    twins = duplicates[["first", "second"]].apply(lambda column: column.map(row)).to_numpy(np.int64).reshape(-1, 2)
    near = (duplicates["kind"] == "near").to_numpy()
    pairs = {"exact_duplicate": twins[~near], "near_duplicate": twins[near]}
    for name, values in _stated(sheets, barcode_run).items():
        pairs[name] = np.concatenate([_sharing(one) for one in values])
    return {name: pairs[name] for name in RELATIONS}


def comparable(sheets: pd.DataFrame, barcode_run: int) -> dict[str, float]:
    """The share of sheets (0 to 1) of which each of RELATIONS could be known: pictures can always be compared."""
    stated = _stated(sheets, barcode_run)
    return {
        name: float(np.any([one != "" for one in stated[name]], axis=0).mean()) if name in stated else 1.0
        for name in RELATIONS
    }


def _stated(sheets: pd.DataFrame, barcode_run: int) -> dict[str, list[pd.Series]]:
    """What sheets of a relation have in common, "" where nothing is stated; one of the values is enough."""
    person = sheets["recordedBy"].map(_person)
    number = sheets["recordNumber"].map(_number)
    day = sheets["eventDate"].map(lambda date: found[0] if (found := DAY.match(date)) else "")
    barcode = sheets["specimen_id"].map(without_suffix)
    return {
        "specimen": _specimens(sheets),
        "event": [_both(person, number), _both(person, day)],
        "collector": [person],
        "barcode_run": [barcode.map(lambda code: _run(code, barcode_run))],
    }


def _specimens(sheets: pd.DataFrame) -> list[pd.Series]:
    """Barcodes without what names a second picture; a mere number counts within its institution, where both say it."""
    nothing = pd.Series("", index=sheets.index)
    institution, catalogued = (sheets.get(name, nothing) for name in ("institutionCode", "catalogNumber"))
    names = sheets["specimen_id"].where(catalogued == "", catalogued)
    number = names.map(specimen)
    silent = (institution == "").groupby(number).transform("any")
    within = [specimen(*pair) for pair in zip(names, institution, strict=True)]
    return [number.where(silent, pd.Series(within, index=sheets.index))]


def group_sheets(sheets: pd.DataFrame, duplicates: pd.DataFrame, settings: Split) -> np.ndarray:
    """Number of the group of each sheet: those that any relation of the config's `split.groups` joins.

    "duplicate" there stands for both relations of pictures.
    """
    related = relate(sheets, duplicates, settings.barcode_run)
    names = [name for group in settings.groups for name in related if name == group or name.endswith(f"_{group}")]
    return find_groups(len(sheets), [related[name] for name in names])


def name_groups(sheets: pd.DataFrame, groups: np.ndarray) -> pd.DataFrame:
    """A table of image_id, specimen_id and group: the first image_id of those that belong together names them all."""
    first = sheets.groupby(groups)["image_id"].transform("min")
    return sheets[["image_id", "specimen_id"]].assign(group=first)


def write_groups(settings: Split, index: Path, manifest: Path, duplicates: Path, output: Path) -> None:
    """Write which sheets of an image set belong together."""
    sheets = read_sheets(index, manifest)
    groups = group_sheets(sheets, files.read_table(duplicates), settings)
    files.write_table(output, name_groups(sheets, groups))
    log.info("%d sheets in %d groups", len(sheets), groups.max() + 1)


def find_groups(size: int, pairs: list[np.ndarray]) -> np.ndarray:
    """Number of the group of each of `size` sheets: the connected components of all pairs."""
    rows, columns = np.concatenate([np.empty((0, 2), np.int64), *pairs]).T
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def _sharing(values: pd.Series) -> np.ndarray:
    """Pair each row with the next one that has the same value, unless that is empty."""
    rows = np.flatnonzero(values != "")
    rows = rows[np.argsort(values.to_numpy()[rows], kind="stable")]
    known = values.to_numpy()[rows]
    same = np.flatnonzero(known[:-1] == known[1:])
    return np.stack([rows[same], rows[same + 1]], axis=1).astype(np.int64)


def _both(first: pd.Series, second: pd.Series) -> pd.Series:
    return (first + "|" + second).where((first != "") & (second != ""), "")


def _person(name: str) -> str:
    """A collector's name without case and extra blanks; "" for nobody in particular."""
    plain = " ".join(name.split()).casefold()
    return "" if NOBODY.fullmatch(plain) else plain


def _number(number: str) -> str:
    """A collector's number; "" without a digit, such as "s.n." """
    plain = "".join(number.split()).casefold()
    return plain if any(letter.isdigit() for letter in plain) else ""


def _run(barcode: str, length: int) -> str:
    found = NUMBERED.fullmatch(barcode)
    return f"{found[1]}{int(found[2]) // length}" if found else ""
