"""The classes of a labelling: added and renamed on the way, while what was decided stays as it is."""

import json
import threading
from pathlib import Path

from sheetlens.common import files
from sheetlens.common.errors import UserError


class Classes:
    """The classes and their names before, in a small file."""

    def __init__(self, path: Path) -> None:
        """Take them up from their file, if it is there; UserError for one that is damaged."""
        self._path, self._lock = path, threading.Lock()
        self.names, self._renamed = _read(path)

    def now(self, name: str) -> str:
        """Today's name of a class."""
        while name in self._renamed:
            name = self._renamed[name]
        return name

    def add(self, name: str) -> None:
        """Add one unless it is there; UserError for a name that cannot be one."""
        name = self.now(_usable(name))
        with self._lock:
            if name not in self.names:
                self._write((*self.names, name), self._renamed)

    def rename(self, old: str, new: str) -> None:
        """Call one otherwise from now on; UserError where there is none of that name."""
        new = _usable(new)
        with self._lock:
            if old not in self.names or old == new:
                raise UserError(f"there is no class '{old}' to rename")
            renamed = {**self._renamed, old: new}
            renamed.pop(new, None)
            self._write(tuple(dict.fromkeys(new if name == old else name for name in self.names)), renamed)

    def _write(self, names: tuple[str, ...], renamed: dict[str, str]) -> None:
        with files.whole(self._path) as part:
            part.write_text(json.dumps({"classes": names, "renamed": renamed}), encoding="utf-8")
        self.names, self._renamed = names, renamed


def _read(path: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """The classes and the names of those that were renamed: before -> afterwards."""
    if not path.exists():
        return (), {}
    if not path.is_file():
        raise UserError(f"{path} is no file: move it away")
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        names, renamed = known["classes"], known["renamed"]
        if not (isinstance(names, list) and isinstance(renamed, dict)):
            raise TypeError("it holds no classes")
        for name in (*names, *renamed, *renamed.values()):
            if _usable(name) != name:
                raise ValueError(f"'{name}' names no class")
        if len(set(names)) < len(names) or _lead_back(renamed):
            raise ValueError("it contradicts itself")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}), and nothing but a copy holds the names that classes"
            " were given: put a copy in its place, or move it away and add and rename the classes again"
        ) from None
    return tuple(names), renamed


def _lead_back(renamed: dict[str, str]) -> bool:
    """Whether a name was given for another and that for it: nobody could say which is today's."""
    for name in renamed:
        seen = {name}
        while (name := renamed.get(name, "")) and name not in seen:
            seen.add(name)
        if name:
            return True
    return False


def _usable(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 100 or name == "review" or not name.isprintable():
        raise UserError(f"'{name[:100]}' cannot name a class: 1 to 100 letters, and not 'review'")
    return name
