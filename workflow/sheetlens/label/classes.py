"""The classes of a labelling: added and renamed on the way, while what was decided stays as it is."""

import json
import threading
from pathlib import Path

from sheetlens.common import files
from sheetlens.common.errors import UserError


class Classes:
    """The classes and their names before, in a small file."""

    def __init__(self, path: Path) -> None:
        """Take them up from their file, if it is there."""
        self._path, self._lock = path, threading.Lock()
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.names: tuple[str, ...] = tuple(known.get("classes", ()))
        self._renamed: dict[str, str] = dict(known.get("renamed", {}))

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


def _usable(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 100 or name == "review" or not name.isprintable():
        raise UserError(f"'{name[:100]}' cannot name a class: 1 to 100 letters, and not 'review'")
    return name
