"""What people decided about sheets: who, when, on which sheet, what, and how the sheet was chosen.

One journal for a run's review, for labelling and for check samples: a file that only grows, one JSON object a line,
each on the disk before it counts. Every decision names its run; a small file beside the journal does so from the start,
and where the two differ the file decides: the journal of another run may have been copied here.
"""

import contextlib
import json
import logging
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.journals import GrowingFile, refuse_links
from sheetlens.review.entries import CHOSEN, DECISIONS, NOTHING, RUN, Entry, check, how_chosen, standing, utc

__all__ = [
    "CHOSEN", "DECISIONS", "NAME", "Contents", "Entry", "Journal", "Refused", "check", "how_chosen", "identify",
    "name_on_pages", "read_contents", "read_entries", "standing", "summary", "utc",
]  # fmt: skip

NAME, PLACE = "review/decisions.jsonl", "review/decisions.place"  # below the run's folder
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refused:
    """A line that is no decision of this run: its number, from 1, and why. It stays in the file."""

    line: int
    reason: str


def summary(refused: Iterable[Refused]) -> list[Refused]:
    """The first line that is refused for each reason, which then says how many more are: journals have thousands."""
    lines = defaultdict[str, list[int]](list)
    for one in refused:
        lines[one.reason].append(one.line)
    more = {reason: f", and so are {len(which) - 1:,} more" * (len(which) > 1) for reason, which in lines.items()}
    return [Refused(which[0], reason + more[reason]) for reason, which in lines.items()]


@dataclass
class Contents:
    """What stands in a journal, in its order; of lines with the same id the first counts."""

    run: str = ""
    entries: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    lines: int = 0
    ids: set[str] = field(default_factory=set)

    def take(self, line: bytes) -> None:
        """Take in the next line."""
        self.lines += 1
        if not line.strip():
            return
        try:
            self.add(json.loads(line))
        except (ValueError, RecursionError) as error:
            self.refused.append(Refused(self.lines, str(error) or "nested too deep"))

    def add(self, entry: Any) -> None:
        """Add an entry unless its id is there; raise ValueError for what is none of this run."""
        self.check(entry)
        self.run = self.run or entry.get("run", "")
        if entry["id"] not in self.ids:
            self.ids.add(entry["id"])
            self.entries.append(NOTHING | entry)

    def check(self, entry: Any) -> None:
        """Raise ValueError for what is no decision of this run."""
        check(entry)
        if self.run and entry.get("run", self.run) != self.run:
            raise ValueError(f"it is a decision of another run ({entry['run']})")


class Journal:
    """The journal of one run, held against other processes; to be used from any number of threads.

    `run` is the run's identity, `on_pages` what pages call it, `entries` are its decisions in their
    order, `refused` the lines that are none.
    An entry has id (made by the page, so that what is sent twice is there once), run, image_id, reviewer, decision
    (one of DECISIONS), label (the class, or ""), before (what stood in the run, or ""), reasons (names), time (UTC,
    ISO 8601), chosen ({"how": one of CHOSEN, "probability": of being chosen, with "random"}) and, for "undo", undoes
    (the id of the decision that is taken back). Further keys are kept as they are.
    """

    def __init__(self, path: Path) -> None:
        """Open or begin it; a last line without its end is mended, or put beside the journal and cut off.

        Raises UserError for a link, and where another process writes it; OSError where it cannot be written.
        """
        self.path, self._lock = path, threading.Lock()
        self._file = GrowingFile(path, lasting=True)
        self.cut: list[Path] = []  # copies of what was cut off
        try:
            named = _read_run(path)
            self._known = Contents(named)
            self._take_up()
            self._known.run = named or _write_run(path, self._known.run or secrets.token_hex(8))
            self.on_pages = name_on_pages(self.run, path.parent.parent)
        except BaseException:
            self._file.close()
            raise

    @property
    def run(self) -> str:
        """The run's identity: made with the journal, the same for as long as the journal is there."""
        return self._known.run

    @property
    def entries(self) -> list[Entry]:
        """The decisions, in their order."""
        return self._known.entries

    @property
    def refused(self) -> list[Refused]:
        """The lines that are no decisions of this run."""
        return self._known.refused

    def append(self, entries: Iterable[Entry]) -> None:
        """Add those whose id is not there yet; when this returns they are on the disk.

        Raises ValueError for what is no decision of this run and OSError where they cannot be written; then none of
        them is in the journal.
        """
        with self._lock:
            if self._file.size() != self._file.end:  # a fault left something, or somebody added lines
                self._take_up()
            new: dict[str, Entry] = {}
            for entry in (NOTHING | {"run": self.run} | given for given in entries):
                self._known.check(entry)
                if entry["id"] not in self._known.ids:
                    new.setdefault(entry["id"], entry)
            self._file.append(b"".join(map(_line, new.values())))
            self._known.entries += new.values()
            self._known.ids.update(new)

    def check_place(self) -> None:
        """Raise MovedError where the journal is no longer where it was opened."""
        self._file.check_place()

    def close(self) -> None:
        """Close it and let others in."""
        with self._lock:
            self._file.close()

    def _take_up(self) -> None:
        """Take in what stands behind the lines that are known."""
        *lines, last = self._file.read_from(self._file.end).split(b"\n")
        for line in lines:
            self._known.take(line)
            self._file.end += len(line) + 1
        if not last:
            return
        if _is_whole(last):
            self._file.end += len(last)
            self._known.take(last)
            self._file.append(b"\n")
        elif copy := self._file.cut(self._file.end):
            self.cut.append(copy)


def _run_file(path: Path) -> Path:
    return path.with_suffix(".run")


def _read_run(path: Path) -> str:
    """The identity that stands beside a journal, or "" where none does; UserError for what is none."""
    file = _run_file(path)
    refuse_links(file)
    run = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    if run and not RUN.fullmatch(run):
        raise UserError(f"{file} names no run: delete it, the decisions beside it name their run as well")
    return run


def _write_run(path: Path, run: str) -> str:
    with files.whole(_run_file(path)) as part:
        part.write_text(f"{run}\n")
    return run


def read_contents(path: Path) -> Contents:
    """What stands in a journal, also while a server writes it; empty where there is none. It changes nothing.

    Raises UserError for a link, as it may lead to the decisions of another run.
    """
    refuse_links(path)
    found = Contents(_read_run(path))
    if path.parent.exists() and not path.parent.is_dir():
        raise UserError(f"{path.parent} is no folder: move it away")
    if path.exists():
        if not path.is_file():
            raise UserError(f"{path} is no file: move it away")
        *lines, last = path.read_bytes().split(b"\n")
        for line in (*lines, last) if _is_whole(last) else lines:
            found.take(line)
        if last and not _is_whole(last):
            found.refused.append(Refused(found.lines + 1, "it is torn, or is being written"))
    return found


def read_entries(path: Path) -> list[Entry]:
    """The decisions in a journal (see `read_contents`), for who counts them: what is left out is said."""
    found = read_contents(path)
    for one in summary(found.refused):
        told = (one.line, path, one.reason)
        log.warning("line %d of %s is left out (%s): mend it and run the same command again", *told)
    return found.entries


def tell(journal: Journal) -> None:
    """Say what in a journal is not as it should be; nothing of it is lost."""
    path = journal.path
    for copy in journal.cut:
        log.warning("the last line of %s was torn, so it is no decision; it is kept in %s", path, copy)
    for line in summary(journal.refused):
        log.warning("line %d of %s does not count (%s): mend it while no review is open", line.line, path, line.reason)


def identify(folder: Path) -> str:
    """The identity of the run in a folder; its journal is begun where there is none.

    Where nothing can be written the folder's path stands for it: no decision is kept there either.
    """
    path = folder / NAME
    if run := read_contents(path).run:
        return run
    try:
        journal = Journal(path)
    except OSError:
        return str(folder.resolve())
    tell(journal)
    journal.close()
    return journal.run


def name_on_pages(run: str, folder: Path) -> str:
    """What pages call a run, and browsers keep decisions under: its identity; a copy of it has a name of its own.

    The name and the folder that it was given to are noted beside the journal, where they can be: if that folder is
    still there and has the same name, this one is a copy of it, and else it has moved.
    """
    here, (name, place) = str(folder.resolve()), _read_place(folder)
    if name != run and not name.startswith(f"{run}-"):
        name = run
    elif place == here:
        return name
    elif _is_copy(folder, name, Path(place)):
        name = f"{run}-{secrets.token_hex(4)}"
        told = (folder, place)
        log.warning("review/ in %s is a copy of that in %s: what was decided there before counts here, too", *told)
    if (folder / PLACE).parent.is_dir():
        with contextlib.suppress(OSError):  # where nothing can be written no decision is kept either
            files.write_json(folder / PLACE, {"name": name, "place": here})
    return name


def _is_copy(folder: Path, name: str, first: Path) -> bool:
    try:
        return _read_place(first)[0] == name and not (first / PLACE).samefile(folder / PLACE)
    except OSError:
        return False


def _read_place(folder: Path) -> tuple[str, str]:
    try:
        noted = files.read_json(folder / PLACE)
        return str(noted["name"]), str(noted["place"])
    except (OSError, UserError, KeyError, TypeError):
        return "", ""


def _is_whole(line: bytes) -> bool:
    """Whether a last line lacks nothing but its line break."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _line(entry: Entry) -> bytes:
    return json.dumps(entry).encode() + b"\n"
