"""The review page as files, to be opened or put on any web server: decisions stay in the browser that made them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sheetlens.common.files import whole
from sheetlens.pages.render import safety_warning
from sheetlens.prepare.corrections import COLUMNS
from sheetlens.prepare.resize import RefusedImageError
from sheetlens.review.photographs import read_picture, to_jpeg
from sheetlens.review.queue import Queue

HERE = Path(__file__).parent
FILES = ("keep.js", "closer.js", "review.js", "review.css")  # beside the page
# Nothing but the page's own files; as a tag it cannot say who may frame the page.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'"
TOGETHER = 200  # sheets in one file


def write_static(
    queue: Queue, output: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, int]:
    """Write the page (index.html) with the doubtful sheets of a queue, or with all where somebody named them.

    Returns how many there are, and with a picture.

    Beside it: queue.js and sheets/ (what is told of the sheets, as scripts, since an opened file may load no other
    data) and pictures/. A picture that is there and not older than its photograph is kept: after a kill the same
    command goes on.
    """
    wanted = queue.sheets if queue.named else queue.sheets[queue.sheets["reasons"].str.len() > 0]
    queue = replace(queue, sheets=wanted.reset_index(drop=True))
    values = queue.light() | {"warning": safety_warning(queue.classes), "evidence": False, "likeness": False}
    values |= {"columns": COLUMNS, "together": TOGETHER}
    _write(output / "queue.js", f"globalThis.sheetlensFiles = {{ queue: {json.dumps(values)}, sheets: {{}} }};\n")
    for start in range(0, len(wanted), TOGETHER):
        sheets = [queue.detail(place) for place in range(start, min(start + TOGETHER, len(wanted)))]
        number = start // TOGETHER
        _write(output / f"sheets/{number}.js", f"sheetlensFiles.sheets[{number}] = {json.dumps(sheets)};\n")
    shown = 0
    for place, key in enumerate(queue.sheets["key"]):
        shown += _write_picture(queue, place, output / f"pictures/{key}.jpg")
        progress(place + 1, len(wanted))
    for name in FILES:
        _write(output / name, (HERE / name).read_text(encoding="utf-8"))
    _write(output / "index.html", page())
    return {"sheets": len(wanted), "shown": shown}


def page() -> str:
    """The page, told to load its files and nothing else."""
    text = (HERE / "review.html").read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}')
    return text.replace("<script ", '<script src="queue.js" defer></script>\n<script ', 1)


def _write(path: Path, text: str) -> None:
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def _write_picture(queue: Queue, place: int, path: Path) -> bool:
    """Write a sheet's picture unless it is there; whether there is one."""
    photograph: Any = queue.photograph(place) or queue.folder / "images/pixels.npy"
    if path.is_file() and photograph.is_file() and path.stat().st_mtime >= photograph.stat().st_mtime:
        return True
    try:
        content = to_jpeg(read_picture(queue, place))
    except (OSError, RefusedImageError):
        return False
    with whole(path) as part:
        part.write_bytes(content)
    return True
