"""A labelling under way: decisions, the head fitted on them, and which sheet comes next and why."""

import logging
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetlens.common.errors import UserError
from sheetlens.label.classes import Classes
from sheetlens.label.sheets import Sheets
from sheetlens.label.suggestions import Suggestion, compare, suggest
from sheetlens.review.decisions import Entry, Journal, standing
from sheetlens.statistics import active_learning

RANDOM_EVERY = 5  # each so many-th sheet that is handed out is the next one in random order
AGAIN_EVERY = 10  # each so many-th has been decided before, and is shown again
AGAIN_AFTER = 20  # decisions between a person's two looks at a sheet
WALL = 24
log = logging.getLogger(__name__)


class Session:
    """What the page's server asks. Safe for any number of threads; the head is fitted in one of its own."""

    def __init__(self, sheets: Sheets, journal: Journal, folder: Path, classes: tuple[str, ...]) -> None:
        """Take up what was decided before; `classes` are added to those that are known."""
        self.sheets, self.journal, self.folder = sheets, journal, folder
        self._lock = threading.RLock()
        self._names = Classes(folder / "classes.json")
        for name in classes:
            self._names.add(name)
        for name in dict.fromkeys(entry["label"] for entry in journal.entries if entry["label"]):
            try:
                self._names.add(name)
            except UserError as error:
                log.warning("decisions in %s are left out: %s", journal.path, error)
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

    def now(self, name: str) -> str:
        """Today's name of a class: a page may still have the one before."""
        return self._names.now(name)

    def add_class(self, name: str) -> None:
        """Add a class; UserError for a name that cannot be one."""
        self.journal.check_place()  # else a folder of the labelling's name would be begun where it lay
        self._names.add(name)

    def rename_class(self, old: str, new: str) -> None:
        """Give a class another name; what was decided counts under the new one. UserError for an unknown class."""
        self.journal.check_place()
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
                now = {who: self._names.now(entry["label"]) for who, entry in given.items()}
                now = {who: name for who, name in now.items() if not name or name in self._names.names}
                if row is not None and now:
                    decided[row] = now
                    for who in now:
                        self._by[who].add(row)
            self._decided, self._fresh = decided, 0
            while self._fresh in decided or self._fresh in self.sheets.unreadable:
                self._fresh += 1

    def _fit_again_and_again(self) -> None:
        seen, units, components = -1, np.empty((0, 0), np.float32), None
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
                    units, components = compare(features, known, components)
                    seen = version
                labels = {row: name for row, name in self.labels().items() if known[row]}
                self._last = suggest(features, known, units, labels, set(self.decided()))
            except Exception:
                log.exception("no suggestions; labelling goes on in random order")
