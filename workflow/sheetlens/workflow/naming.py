"""People's own names in the rules: Snakemake takes words in braces for wildcards, and formats shell lines."""

import hashlib
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sheetlens.common import files

LINKS = Path(".snakemake/sheetlens-inputs")


def fixed(value: Any) -> Callable[[Any], Any]:
    """Param: a value that stays as it is, braces and all; Snakemake looks for wildcards in any that is no function."""
    return lambda wildcards: value


def trackable(paths: Iterable[str]) -> list[str]:
    """Input: files as Snakemake can name them; a link stands for one with braces in its path."""
    return [_link(path) if set(path) & {"{", "}"} else os.path.normpath(path) for path in paths]


def quoted(value: object) -> str:
    """A value for a shell line that Snakemake formats afterwards."""
    return shlex.quote(str(value)).replace("{", "{{").replace("}", "}}")


def _link(path: str) -> str:
    target = files.at_home(path).absolute()
    suffix = "" if set(target.suffix) & {"{", "}"} else target.suffix
    link = LINKS / f"{hashlib.sha256(str(target).encode()).hexdigest()[:16]}{suffix}"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    return str(link)
