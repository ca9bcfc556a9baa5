"""A labelling under way: decisions, the head fitted on them, and which sheet comes next and why."""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetlens.features.head import Head, fit_head
from sheetlens.label.classes import Classes
from sheetlens.label.sheets import Sheets
from sheetlens.review.decisions import Entry, Journal, standing
from sheetlens.statistics import active_learning

RANDOM_EVERY = 5  # each so many-th sheet that is handed out is the next one in random order
AGAIN_EVERY = 10  # each so many-th has been decided before, and is shown again
AGAIN_AFTER = 20  # decisions between a person's two looks at a sheet
QUEUE = 64  # suggested sheets that are kept ready
TYPICAL = 16  # sheets that stand for the others, shown before there is anything to be unsure of
STRENGTH = 0.1  # of the head while labels come in (see features.head); choosing it takes longer than fitting
COMPONENTS = 128  # of the features, by which sheets are compared
WALL = 24
CHUNK = 2048  # sheets that are computed with at a time
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Suggestion:
    """What the last fit says: probabilities, float64, shape (n, classes), and the rows to look at, best first."""

    classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float64] | None = None
    rows: tuple[int, ...] = ()
    units: NDArray[np.float32] | None = None
    known: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


class Session:
    """What the page's server asks. Safe for any number of threads; the head is fitted in one of its own."""

    def __init__(self, sheets: Sheets, journal: Journal, folder: Path, classes: tuple[str, ...]) -> None:
        """Take up what was decided before; `classes` are added to those that are known."""
        self.sheets, self.journal, self.folder = sheets, journal, folder
        self._lock = threading.RLock()
        self._names = Classes(folder / "classes.json")
        for name in (*classes, *(entry["label"] for entry in journal.entries if entry["label"])):
            self._names.add(name)
        self._handed: dict[str, dict[str, Any]] = {}
        self._by: dict[str, set[int]] = defaultdict(set)  # reviewer -> rows they decided
        self._counts: Counter[str] = Counter()
        self._decided: dict[int, dict[str, str]] = {}
        self._fresh = 0  # first row of the random order that nobody has decided
        self._last = Suggestion()
        self._wanted, self._stop = threading.Event(), threading.Event()
        self._note_decisions()
        self._thread = threading.Thread(target=self._fit_again_and_again, name="fitting", daemon=True)

    def start(self) -> None:
        """Fit in the background."""
        self._wanted.set()
        self._thread.start()

    def close(self) -> None:
        """Stop fitting."""
        self._stop.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their keys."""
        return self._names.names

    def add_class(self, name: str) -> None:
        """Add a class; UserError for a name that cannot be one."""
        self._names.add(name)

    def rename_class(self, old: str, new: str) -> None:
        """Give a class another name; what was decided counts under the new one. UserError for an unknown class."""
        self._names.rename(old, new)
        self._note_decisions()
        self._wanted.set()

    def decide(self, entries: list[Entry]) -> None:
        """Keep decisions (see `Journal.append`), and let the head follow."""
        self.journal.append(entries)
        with self._lock:
            self._note_decisions()
        self._wanted.set()

    def chosen(self, key: str) -> dict[str, Any]:
        """How a sheet came before a person, as a decision notes it."""
        with self._lock:
            return dict(self._handed.get(key, {"how": "picked"}))

    def labels(self) -> dict[int, str]:
        """Class of each row that has one: that of all its reviewers, where they agree."""
        with self._lock:
            found = {}
            for row, given in self._decided.items():
                names = set(given.values())
                if len(names) == 1 and (name := names.pop()):
                    found[row] = name
            return found

    def decided(self) -> dict[int, dict[str, str]]:
        """Row -> reviewer -> class, "" for unsure."""
        with self._lock:
            return {row: dict(given) for row, given in self._decided.items()}

    def random_rows(self) -> int:
        """How many rows, from the first of the random order, are all decided or no photographs: the random sample.

        A sheet of it that was suggested before its turn came belongs to it, too: whether it does depends on its place
        in the order alone, and not on its class.
        """
        with self._lock:
            return self._fresh

    def next_sheets(self, reviewer: str, mode: str, count: int, skip: set[str]) -> list[dict[str, Any]]:
        """The next sheets for a reviewer: key, image_id, why, chosen and the head's probabilities (or None).

        `mode` is "suggested", "random", "more:CLASS" or "like:KEY".
        """
        with self._lock:
            taken = self._by[reviewer] | {self.sheets.row[key] for key in skip if key in self.sheets.row}
            found: list[dict[str, Any]] = []
            for _ in range(count):
                given = self._one(reviewer, mode, taken)
                if given is None:
                    break
                taken.add(given["row"])
                self._handed[given["key"]] = given["chosen"]
                found.append(given)
            return found

    def wall(self, label: str, skip: set[str]) -> list[dict[str, Any]]:
        """WALL undecided sheets that the head takes for one class, the surest first."""
        with self._lock:
            last = self._last
            if last.probabilities is None or label not in last.classes:
                return []
            number = last.classes.index(label)
            left = self._left({self.sheets.row[key] for key in skip if key in self.sheets.row}, last)
            left = left[last.probabilities[left].argmax(axis=1) == number]
            rows = active_learning.likely(last.probabilities, left, number)[:WALL]
            chosen = {"how": "suggested", "wall": True}
            found = [self._told(int(row), f"the model takes it for {label}", chosen) for row in rows]
            for one in found:
                self._handed[one["key"]] = one["chosen"]
            return found

    def _one(self, reviewer: str, mode: str, taken: set[int]) -> dict[str, Any] | None:
        self._counts[reviewer] += 1
        turn = self._counts[reviewer]
        # One turn earlier than the random ones, which it would take the place of.
        if (turn + 1) % AGAIN_EVERY == 0 and (row := self._again(reviewer, taken)) is not None:
            return self._told(row, "shown again, to see how sure the labels are", self._how(row) | {"again": True})
        if mode == "random" or turn % RANDOM_EVERY == 0:
            return self._random(taken)
        last = self._last
        if mode.startswith("more:") and last.probabilities is not None and mode[5:] in last.classes:
            name = mode[5:]
            rows = active_learning.likely(last.probabilities, self._left(taken, last), last.classes.index(name))
            why = f"likely {name}"
        elif mode.startswith("like:") and last.units is not None and mode[5:] in self.sheets.row:
            row = self.sheets.row[mode[5:]]
            rows, why = active_learning.alike(last.units, row, self._left(taken, last)), "looks like the one you chose"
        else:
            rows = np.array([row for row in last.rows if row not in taken and row not in self._decided], np.int64)
            why = "the model is unsure of it" if last.probabilities is not None else "typical of many sheets"
        if not len(rows):
            return self._random(taken)
        return self._told(int(rows[0]), why, {"how": "suggested"})

    def _random(self, taken: set[int]) -> dict[str, Any] | None:
        taken = taken | self.sheets.unreadable
        row = next(
            (row for row in range(self._fresh, len(self.sheets)) if row not in taken and row not in self._decided), None
        )
        return None if row is None else self._told(row, "drawn at random", self._how(row))

    def _how(self, row: int) -> dict[str, Any]:
        """A sheet that comes in its turn of the random order, whose beginnings are samples of equal probability."""
        return {"how": "random", "probability": (row + 1) / len(self.sheets)}

    def _again(self, reviewer: str, taken: set[int]) -> int | None:
        """A sheet of another reviewer's, or, without one, of their own from some time ago; each once."""
        entries = [entry for entry in self.journal.entries if entry["decision"] == "class"]
        seen = Counter(entry["image_id"] for entry in entries)
        others = [entry for entry in entries if entry["reviewer"] != reviewer]
        for entry in others or entries[:-AGAIN_AFTER]:
            row = self.sheets.row_of.get(entry["image_id"])
            if row is not None and seen[entry["image_id"]] == 1 and (not others or row not in taken):
                return row
        return None

    def _left(self, taken: set[int], last: Suggestion) -> NDArray[np.int64]:
        free = last.known.copy()
        free[list(taken | self._decided.keys())] = False
        return np.flatnonzero(free)

    def _told(self, row: int, why: str, chosen: dict[str, Any]) -> dict[str, Any]:
        sheet, last = self.sheets.table.iloc[row], self._last
        guess = None
        if last.probabilities is not None and row < len(last.known) and last.known[row]:
            guess = dict(zip(last.classes, map(float, last.probabilities[row]), strict=True))
        told = {"row": row, "key": sheet["key"], "image_id": sheet["image_id"], "why": why}
        return told | {"chosen": chosen, "probabilities": guess}

    def _note_decisions(self) -> None:
        with self._lock:
            decided: dict[int, dict[str, str]] = {}
            for image_id, given in standing(self.journal.entries).items():
                row = self.sheets.row_of.get(image_id)
                if row is not None:
                    decided[row] = {who: self._names.now(entry["label"]) for who, entry in given.items()}
                    for who in given:
                        self._by[who].add(row)
            self._decided, self._fresh = decided, 0
            while self._fresh in decided or self._fresh in self.sheets.unreadable:
                self._fresh += 1

    def _fit_again_and_again(self) -> None:
        seen, units, components = -1, None, None
        while not self._stop.is_set():
            self._wanted.wait(timeout=1)
            if self._stop.is_set():
                return
            _, known, version = self.sheets.read()
            if not self._wanted.is_set() and version == seen:
                continue
            self._wanted.clear()
            try:
                features, known, version = self.sheets.read()
                if known.sum() < 2:
                    continue
                if version != seen:
                    units, components = _compare(features, known, components)
                    seen = version
                self._last = self._suggest(features, known, units)
            except Exception:
                log.exception("no suggestions; labelling goes on in random order")

    def _suggest(self, features: Any, known: NDArray[np.bool_], units: Any) -> Suggestion:
        labels = {row: name for row, name in self.labels().items() if known[row]}
        counts = Counter(labels.values())
        classes = tuple(sorted(name for name, count in counts.items() if count))
        with self._lock:
            done = set(self._decided)
        left = np.array([row for row in np.flatnonzero(known) if row not in done], np.int64)
        if len(classes) < 2 or min(counts.values()) < 2:
            rows = left[active_learning.typical(units[left], min(TYPICAL, len(left)), 0)] if len(left) else left
            return Suggestion((), None, tuple(rows.tolist()), units, known)
        head = fit_labels(features, labels, classes)
        probabilities = np.full((len(known), len(classes)), 1 / len(classes))
        for rows in _chunks(known):
            probabilities[rows] = head.probabilities(features[rows])
        rows = active_learning.unsure(units, probabilities, list(labels), left, QUEUE) if len(left) else left
        return Suggestion(classes, probabilities, tuple(rows.tolist()), units, known)


def fit_labels(
    features: NDArray[np.float16] | NDArray[np.float32], labels: dict[int, str], classes: tuple[str, ...]
) -> Head:
    """The head on the labels so far; classes count alike, however many labels each has."""
    rows = np.array(sorted(labels), np.int64)
    numbers = np.array([classes.index(labels[row]) for row in rows.tolist()])
    return fit_head(features[rows], numbers, len(classes), balanced=True, strength=STRENGTH)


def _compare(
    features: NDArray[np.float16], known: NDArray[np.bool_], components: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sheets as directions in few dimensions, zeros where nothing is known; the projection is fixed once it can be."""
    if components is None or len(components) != features.shape[1]:
        random = np.random.default_rng(0)
        components = random.standard_normal((features.shape[1], COMPONENTS)).astype(np.float32)
    some = features[next(_chunks(known))].astype(np.float32)
    mean, spread = some.mean(axis=0), np.maximum(some.std(axis=0), 1e-6)
    units = np.zeros((len(known), COMPONENTS), np.float32)
    for rows in _chunks(known):
        units[rows] = ((features[rows] - mean) / spread) @ components
    units[known] = active_learning.directions(units[known])
    return units, components


def _chunks(known: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """The rows that have features, some at a time: a collection's in float64 would fill the memory."""
    rows = np.flatnonzero(known)
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
