"""Which files of this package a rule depends on: what its module imports, and so on."""

import functools
import os
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# At the top or within a function; of a list in brackets all lines
IMPORT = re.compile(r"^ *from sheetlens(?:\.([\w.]+))? import (?:\(([^)]*)\)|(.+))", re.MULTILINE)
# Values arrive as params, and wording is no result. Changes there make nothing out of date.
UNTRACKED = ("config", "common.errors", "common.progress", "common.refusals")


def package_file(name: str | Path) -> str:
    """A file of the package, as seen from the folder the workflow runs in."""
    return os.path.relpath(PACKAGE / name)


def package_files(pattern: str) -> list[str]:
    """Files of the package that are no modules, such as templates."""
    return [package_file(path) for path in sorted(PACKAGE.glob(pattern))]


@functools.cache
def modules(*names: str) -> tuple[str, ...]:
    """Source files of modules ("split.parts") and of all modules of the package that they import, sorted."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in found or _untracked(name):
            continue
        found[name] = package_file(path)
        waiting += _imported(path)
    return tuple(sorted(found.values()))


def _file(name: str) -> Path | None:
    place = PACKAGE / name.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _untracked(name: str) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in UNTRACKED)


@functools.cache  # forty rules import much the same
def _imported(path: Path) -> tuple[str, ...]:
    """What a module imports from the package; a name may be a module, too."""
    names = []
    for inside, bracketed, line in IMPORT.findall(path.read_text(encoding="utf-8")):
        imported = re.findall(r"\w+", re.sub(r"#.*|\bas \w+", "", bracketed or line))
        names += [inside, *(f"{inside}.{name}".lstrip(".") for name in imported)]
    return tuple(names)
