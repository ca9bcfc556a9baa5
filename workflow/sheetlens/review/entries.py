"""What one decision says, when it is one, and which of them count."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

DECISIONS = ("class", "unsure", "undo")
CHOSEN = (  # how a sheet came before a person: only those chosen at random may estimate an error
    "random",  # with the probability that stands beside it
    "suggested",  # a model asked for it
    "doubted",  # the run gave a reason to look at it
    "picked",  # the person went to it
)
Entry = dict[str, Any]
RUN = re.compile(r"[\w-]{1,64}", re.ASCII)  # an identity: it stands in the names of cookies, too
NOTHING: Entry = {"reasons": []}  # what an entry may lack, and every reader finds
FIELDS = ("id", "image_id", "reviewer", "decision", "label", "before", "time")  # text, in every entry


def check(entry: Any) -> None:
    """Raise ValueError for what is no decision, with the reason."""
    if not isinstance(entry, dict):
        raise ValueError("it is no object")
    fields = (*FIELDS, "undoes") if entry.get("decision") == "undo" else FIELDS
    if wrong := [name for name in fields if not isinstance(entry.get(name), str)]:
        raise ValueError(f"its {wrong[0]} is missing, or no text")
    if "run" in entry and not (isinstance(entry["run"], str) and RUN.fullmatch(entry["run"])):
        raise ValueError("its run is no identity of one")
    if entry["decision"] not in DECISIONS:
        raise ValueError(f"its decision is none of {', '.join(DECISIONS)}")
    if any(not entry[name] for name in ("id", "image_id", "reviewer")):
        raise ValueError("its id, image_id or reviewer is empty")
    if (entry["decision"] == "class") != bool(entry["label"]):
        raise ValueError("a class needs a label, and nothing else has one")
    reasons = entry.get("reasons", [])
    if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
        raise ValueError("its reasons are no list of texts")
    if entry.get("chosen") is not None:
        _check_chosen(entry["chosen"])
    datetime.fromisoformat(entry["time"])
    try:
        json.dumps(entry, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds half a character (U+{ord(error.object[error.start]):04X})") from None


def _check_chosen(chosen: Any) -> None:
    if not isinstance(chosen, dict) or chosen.get("how") not in CHOSEN:
        raise ValueError(f"it does not say how its sheet was chosen: {', '.join(CHOSEN)}")
    probability = chosen.get("probability")
    if chosen["how"] == "random" and not (isinstance(probability, int | float) and 0 < probability <= 1):
        raise ValueError("a sheet chosen at random has no probability above 0 and up to 1")


def utc(time: str) -> str:
    """A time (ISO 8601) as it stands in an entry; raises ValueError or OverflowError for what is none."""
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="seconds")


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


def how_chosen(entry: Entry) -> str:
    """How the sheet of an entry was chosen, one of CHOSEN; of entries from before this was noted, by their reasons."""
    chosen = entry.get("chosen") or {}
    return str(chosen.get("how") or ("doubted" if entry.get("reasons") else "picked"))
