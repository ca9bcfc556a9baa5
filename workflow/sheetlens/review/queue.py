"""The queue of a review: the sheets of a run, the doubtful ones first, each with the reasons to look at it."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.barcodes import normalise
from sheetlens.common.errors import UserError
from sheetlens.common.formats.file_kinds import listed
from sheetlens.common.tables import class_names, plain_cell, probability_column, probability_columns, read_rows
from sheetlens.config import LIMITS, Limits
from sheetlens.predict.model_package import REVIEW
from sheetlens.review.decisions import identify, name_on_pages
from sheetlens.statistics.calibration import log_odds

REASONS = {  # in the order of the queue
    "suspect": "label suspect",
    "mistake": "model contradicts the label",
    "threshold": "model not sure enough",
    "unlike": "unlike the training's sheets",
    "refused": "could not be read",
}
UNDECIDED = 0.1  # share of a study's sheets that count as not sure enough: what the paper set aside
KEY = 16  # hexadecimal digits that stand for a sheet of this run in addresses and in file names
# What becomes of tables and summaries that no run of ours wrote.
FAULTS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
TEXTS = ("image_id", "path", "barcode", "current", "decided", "reason")  # columns of every queue
TERMS = (  # of the record, as they are shown
    "scientificName", "family", "genus", "recordedBy", "recordNumber", "eventDate", "countryCode", "stateProvince",
    "locality", "storageLocation", "institutionCode", "collectionCode", "catalogNumber", "licence", "rights_holder",
)  # fmt: skip


@dataclass(frozen=True)
class Queue:
    """Sheets to look at: `sheets` has a row for each, in order, `classes` are those that a sheet can be given.

    `run` is the run as pages name it. It is part of each key: a decision on a sheet of one run names none of another.
    Columns: key, image_id, barcode, current (the label, or the class a model gave; "" where none did), decided (what
    stood in the run: a label, a class, "review" or "" for a refused file), reasons (names of REASONS), reason (the
    run's own sentence, or ""), chosen (how the sheet comes before a person, as a decision notes it), path, row (of the
    image set, or -1), distance, probability_{class} and the record's TERMS.
    """

    title: str
    classes: list[str]
    sheets: pd.DataFrame
    folder: Path
    run: str
    limits: Limits = LIMITS  # what decoding one photograph may cost
    blind: bool = False  # the page begins with the model's prediction hidden until one's own decision
    named: bool = False  # the sheets are those that somebody named, doubtful or not
    _places: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index the keys."""
        places = dict(zip(self.sheets["key"], range(len(self.sheets)), strict=True))
        object.__setattr__(self, "_places", places)

    def find(self, key: str) -> int | None:
        """The place of a sheet in the queue, by its key."""
        return self._places.get(key)

    def light(self) -> dict[str, Any]:
        """What a page needs to walk the queue: a few numbers for each sheet, nothing of its record."""
        numbers = {name: 1 << bit for bit, name in enumerate(REASONS)}
        classes = {name: number for number, name in enumerate(self.classes)}
        return {
            "title": self.title,
            "run": self.run,
            "folder": self.folder.resolve().name,
            "blind": self.blind,
            "named": self.named,
            "classes": self.classes,
            "reasons": [[name, text] for name, text in REASONS.items()],
            "keys": self.sheets["key"].tolist(),
            "marks": [sum(numbers[name] for name in reasons) for reasons in self.sheets["reasons"]],
            "current": [classes.get(name, -1) for name in self.sheets["current"]],
        }

    def detail(self, place: int) -> dict[str, Any]:
        """All that is shown of a sheet."""
        row = self.sheets.iloc[place]
        scores = [row[probability_column(name)] for name in self.classes]
        return {
            "image_id": row["image_id"],
            "barcode": row["barcode"],
            "before": row["decided"],
            "reasons": row["reasons"],
            "reason": row["reason"],
            "probabilities": None if any(score != score for score in scores) else [float(score) for score in scores],
            "distance": None if row["distance"] != row["distance"] else float(row["distance"]),
            "record": [[term, str(row[term])] for term in TERMS if row.get(term) not in (None, "")],
        }

    def photograph(self, place: int) -> Path | None:
        """The file of a sheet, where it still is; relative paths start here, or at a folder above the run's."""
        path = Path(self.sheets["path"].iloc[place])
        places = [path, *(folder / path for folder in self.folder.resolve().parents)]
        return next((found for found in places if found.is_file()), None)


def open_run(folder: Path, limits: Limits = LIMITS) -> Queue:
    """The queue of a folder of `predict`, or of a finished study's data set (results/{dataset}/).

    `limits` hold for decoding its photographs.

    Raises UserError for any other folder, and where a table is not what it should be.
    """
    try:
        if (folder / "list.parquet").is_file() and (folder / "predictions.parquet").is_file():
            return replace(_of_collection(folder), limits=limits)
        if (folder / "manifest.parquet").is_file() and list(folder.glob("models/*/*/predictions.parquet")):
            return replace(_of_study(folder), limits=limits)
    except FAULTS as error:
        lacking = f"has no {error}" if type(error) is KeyError else f"is not that of a run ({error})"
        raise UserError(f"a table or summary in {folder} {lacking}: make it again with this version") from None
    raise UserError(
        f"{folder} is no run: give the folder that `sheetlens predict` wrote, or results/{{dataset}}/ of a study that"
        " is finished"
    )


def only(queue: Queue, table: Path) -> Queue:
    """The queue of exactly the sheets that a table (.csv, .tsv, .parquet; column image_id) names, in its order.

    Raises UserError where it names none, or some that the run does not have.
    """
    names = queue.sheets["image_id"].tolist()
    places = {name.strip(): place for place, name in enumerate(names)}
    places |= {name: place for place, name in enumerate(names)}
    found: dict[str, int | None] = {}
    for row in read_rows(table, {"image_id": "image_id"}):
        name = row["image_id"]
        found[name] = places.get(name, places.get(plain_cell(name)))
    if unknown := [name or "a row without a name" for name, place in found.items() if place is None]:
        raise UserError(
            f"{table} names {len(unknown):,} sheet{'s' * (len(unknown) != 1)} that {queue.folder} does not have"
            f" ({listed(unknown)}): take them out, or give the run that has them"
        )
    if not found:
        raise UserError(f"{table} names no sheets: give their names in a column image_id, one a row")
    rows = [place for place in dict.fromkeys(found.values()) if place is not None]
    chosen: list[Any] = [{"how": "picked"} for _ in rows]
    sheets = queue.sheets.iloc[rows].reset_index(drop=True).assign(chosen=chosen)
    return replace(queue, sheets=sheets, named=True)


def _of_collection(folder: Path) -> Queue:
    answers = files.read_table(folder / "predictions.parquet")
    listed = files.read_table(folder / "list.parquet", ["image_id", "path"])
    summary = files.read_json(folder / "summary.json")
    classes, threshold = summary["model"]["classes"], summary["asked"]["threshold"]
    if len(listed) != len(answers) or (listed["image_id"] != answers["image_id"]).any():
        raise UserError(f"list.parquet and predictions.parquet in {folder} are of different runs: predict again")
    sheets = answers.assign(path=listed["path"])
    scores = sheets[probability_columns(classes)].to_numpy(np.float64)
    known = ~np.isnan(scores).any(axis=1)
    best = np.where(known, np.nan_to_num(scores).argmax(axis=1), 0)
    sure = np.where(known, log_odds(np.nan_to_num(scores)), 0)
    unlike = sheets["unlike"].fillna(False).to_numpy(bool)
    marks = {
        "threshold": (sheets["decision"] == REVIEW).to_numpy() & ~unlike,
        "unlike": unlike,
        "refused": (sheets["decision"] == "").to_numpy(),
    }
    near = np.abs(sure - threshold) if threshold is not None else sure
    sheets["current"] = np.where(known, np.array(classes, dtype=object)[best], "")
    sheets["decided"] = sheets["decision"]
    ranks = {"threshold": near, "unlike": -sheets["distance"].fillna(np.inf).to_numpy(), "refused": near}
    return _queue(summary["model"]["title"], classes, sheets.assign(row=-1), marks, ranks, near, folder)


def _of_study(folder: Path) -> Queue:
    found = sorted(folder.glob("models/*/*/predictions.parquet"))
    tables = [_judged(path) for path in found]
    classes = class_names(tables[0])
    columns = probability_columns(classes)
    unseen = pd.concat([table[table["part"] != "train"] for table in tables], ignore_index=True)
    scores = unseen.groupby("image_id")[[*columns, "distance"]].mean()
    index = files.read_table(folder / "images/index.parquet", ["image_id", "row"])
    manifest = files.read_table(folder / "manifest.parquet")
    manifest = manifest[manifest["status"] == "ok"]
    sheets = manifest.merge(index, on="image_id").merge(scores, left_on="image_id", right_index=True, how="left")
    sheets = sheets.reset_index(drop=True)
    sheets["current"] = sheets["decided"] = sheets["label"]
    sheets["barcode"] = [normalise(name) for name in sheets["specimen_id"]]
    values = sheets[columns].to_numpy(np.float64)
    known, sure = ~np.isnan(values).any(axis=1), np.nan_to_num(values).max(axis=1)
    names = np.array(classes, dtype=object)[np.nan_to_num(values).argmax(axis=1)]
    limit = np.quantile(sure[known], UNDECIDED) if known.any() else 0.0
    listed = _suspects(folder)
    suspicion = sheets["image_id"].map(listed)
    far = sheets["distance"].fillna(0).to_numpy()
    marks = {
        "suspect": suspicion.notna().to_numpy(),
        "mistake": known & (names != sheets["label"].to_numpy()),
        "threshold": known & (sure <= limit),
        "unlike": far > 1,
    }
    ranks = {"suspect": suspicion.to_numpy(), "mistake": -sure, "threshold": sure, "unlike": -far}
    facts = found[0].parent / "package.json"
    title = files.read_json(facts)["title"] if facts.is_file() else folder.name
    return _queue(title, classes, sheets, marks, ranks, sure, folder)


def _judged(path: Path) -> pd.DataFrame:
    """A model's predictions, with distances in units of its limit where it has one."""
    table, facts = files.read_table(path), path.parent / "package.json"
    limit = files.read_json(facts)["limit"] if facts.is_file() and "distance" in table else None
    return table.assign(distance=table["distance"] / limit if limit else np.nan)


def _suspects(folder: Path) -> dict[str, int]:
    """The suspect labels of the audit and their ranks; none where it has not been run."""
    path = folder / "audits/labels.csv"
    if not path.is_file():
        return {}
    table = files.read_table(path)
    table = table[table["suspect"] == "True"]
    return dict(zip(table["image_id"].map(plain_cell), table["rank"].astype(int), strict=True))


def _queue(
    title: str, classes: list[str], sheets: pd.DataFrame, marks: dict[str, Any], ranks: dict[str, Any], rest: Any,
    folder: Path,
) -> Queue:  # fmt: skip
    """Put the sheets in order: by their first reason, within it by `ranks`, those without one last, by `rest`."""
    sheets = sheets.assign(path=sheets["path"].fillna(""), row=sheets["row"].astype(np.int64))
    _check(title, classes, sheets)
    numbers = ("distance", *probability_columns(classes))
    sheets = sheets.assign(**{name: sheets[name].astype(np.float64) for name in numbers})
    first, rank = np.full(len(sheets), len(REASONS)), np.array(rest, float)
    for number, name in reversed(list(enumerate(REASONS))):
        if name in marks:
            first = np.where(marks[name], number, first)
            rank = np.where(marks[name], ranks[name], rank)
    lists = {name: marked.tolist() for name, marked in marks.items()}
    reasons = [[name for name in lists if lists[name][row]] for row in range(len(sheets))]
    chosen = [{"how": "doubted" if some else "picked"} for some in reasons]
    sheets = sheets.assign(reasons=pd.Series(reasons, dtype=object), chosen=pd.Series(chosen, dtype=object))
    run = name_on_pages(identify(folder), folder)
    sheets["key"] = [_digest(f"{run}/{name}")[:KEY] for name in sheets["image_id"]]
    order = np.lexsort((sheets["image_id"].map(_digest), rank, first))
    return Queue(title, classes, sheets.iloc[order].reset_index(drop=True), folder, run)


def _check(title: Any, classes: Any, sheets: pd.DataFrame) -> None:
    """Raise TypeError for what a page could not show, or a decision not name."""
    if not (isinstance(title, str) and isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise TypeError("its title is no text, or its classes are no list of names")
    for name in TEXTS:
        if not all(isinstance(value, str) for value in sheets[name]):
            raise TypeError(f"its {name} is not always text")
    if sheets["image_id"].duplicated().any():
        raise ValueError("an image_id names more than one sheet")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
