"""People's own names in the rules: Snakemake takes words in braces for wildcards, and formats shell lines."""

import hashlib
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

LINKS = Path(".snakemake/sheetlens-inputs")


def fixed(value: Any) -> Callable[[Any], Any]:
    """Param: a value that stays as it is, braces and all; Snakemake looks for wildcards in any that is no function."""
    return lambda wildcards: value


def trackable(paths: Iterable[str]) -> list[str]:
    """Input: files as Snakemake can name them; a link stands for one with braces in its path."""
    return [_link(path) if set(path) & {"{", "}"} else path for path in paths]


def quoted(value: object) -> str:
    """A value for a shell line that Snakemake formats afterwards."""
    return shlex.quote(str(value)).replace("{", "{{").replace("}", "}}")


def _link(path: str) -> str:
    target = Path(path).expanduser().absolute()
    link = LINKS / f"{hashlib.sha256(str(target).encode()).hexdigest()[:16]}{target.suffix}"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    return str(link)
