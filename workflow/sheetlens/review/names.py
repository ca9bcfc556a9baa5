"""What the pages of a run call it: its identity, also after its folder has moved; a copy gets a name of its own.

A browser keeps decisions under that name until the server has them. A small file beside the journal holds the name and
the folder that it was given to: where that folder is still there, and bears the same name, this one is a copy of it.
"""

import contextlib
import logging
import secrets
from pathlib import Path

from sheetlens.common import files
from sheetlens.common.errors import UserError

NOTE = "review/decisions.place"  # below the run's folder
log = logging.getLogger(__name__)


def name_on_pages(run: str, folder: Path) -> str:
    """The name of the run with this identity in this folder, which is noted where it can be."""
    here, (name, place) = str(folder.resolve()), _read(folder)
    if name != run and not name.startswith(f"{run}-"):
        name = run
    elif place == here:
        return name
    elif _is_copy(folder, name, Path(place)):
        name = f"{run}-{secrets.token_hex(4)}"
        log.warning(
            "review/ in %s is a copy of that in %s: what was decided there before counts here, too", folder, place
        )
    if (folder / NOTE).parent.is_dir():
        with contextlib.suppress(OSError):  # where nothing can be written no decision is kept either
            files.write_json(folder / NOTE, {"name": name, "place": here})
    return name


def _is_copy(folder: Path, name: str, first: Path) -> bool:
    """Whether the folder that the name was given to is still there, and another one."""
    try:
        return _read(first)[0] == name and not (first / NOTE).samefile(folder / NOTE)
    except OSError:
        return False


def _read(folder: Path) -> tuple[str, str]:
    """The name and the folder that it was given to; empty where no file tells them."""
    try:
        noted = files.read_json(folder / NOTE)
        return str(noted["name"]), str(noted["place"])
    except (OSError, UserError, KeyError, TypeError):
        return "", ""
