"""The decisions of a review on disk: a file that only grows, one JSON object a line, each there before it counts."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from sheetlens.common import files
from sheetlens.common.errors import UserError

NAME = "review/decisions.jsonl"  # below the run's folder
Entry = dict[str, Any]
FIELDS = ("id", "image_id", "reviewer", "decision", "label", "before", "time")  # text, in every entry


class Journal:
    """The journal of one run, held against other processes; `entries` are what stands in it, in its order.

    An entry has id (made by the page, so that what is sent twice is there once), image_id, reviewer, decision
    ("class", "unsure" or "undo"), label (the class, or ""), before (what stood in the run), reasons, time (UTC, ISO
    8601) and, for "undo", undoes (the id of the decision that is taken back).
    """

    def __init__(self, path: Path) -> None:
        """Open or begin it; what a kill left of a last line is cut off: nobody was told that it was there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("a+b", buffering=0)
        files.keep_others_out(self._file, path)
        self.entries, end = _read(self._file, path)
        self._file.truncate(end)
        self._known = {entry["id"] for entry in self.entries}

    def append(self, entries: Iterable[Entry]) -> None:
        """Add those that are not there yet; on return they are on the disk."""
        new = list({entry["id"]: entry for entry in entries if entry["id"] not in self._known}.values())
        if not new:
            return
        end = os.fstat(self._file.fileno()).st_size
        try:
            files.write_all(self._file, b"".join(json.dumps(entry).encode() + b"\n" for entry in new))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)  # a full disk: no half line for the next one to run into
            raise
        self.entries += new
        self._known |= {entry["id"] for entry in new}

    def close(self) -> None:
        """Close it and let others in."""
        self._file.close()


def read_entries(path: Path) -> list[Entry]:
    """What stands in a journal, also while a server writes it; nothing where there is none."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return _read(file, path)[0]


def _read(file: BinaryIO, path: Path) -> tuple[list[Entry], int]:
    """The whole lines, and where they end."""
    file.seek(0)
    data = file.read()
    end = data.rfind(b"\n") + 1
    try:
        return [_entry(line) for line in data[:end].splitlines()], end
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): mend the line or put the file aside") from None


def _entry(line: bytes) -> Entry:
    entry = json.loads(line)
    fields = (*FIELDS, "undoes") if isinstance(entry, dict) and entry.get("decision") == "undo" else FIELDS
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in fields):
        raise ValueError(f"no decision: {line[:60]!r}")
    return entry


def standing(entries: Iterable[Entry]) -> dict[str, dict[str, Entry]]:
    """What counts: image_id -> reviewer -> the last decision of theirs on it that they have not taken back."""
    undone, stacks = set(), defaultdict[str, dict[str, list[Entry]]](lambda: defaultdict(list))
    for entry in entries:
        if entry["decision"] == "undo":
            undone.add(entry["undoes"])
        else:
            stacks[entry["image_id"]][entry["reviewer"]].append(entry)
    found: dict[str, dict[str, Entry]] = {}
    for image_id, reviewers in stacks.items():
        for reviewer, made in reviewers.items():
            if kept := [entry for entry in made if entry["id"] not in undone]:
                found.setdefault(image_id, {})[reviewer] = kept[-1]
    return found
