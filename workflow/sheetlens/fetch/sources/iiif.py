"""Source `iiif`: pictures that the server sends in the size asked for (IIIF Image API 2 and 3).

Servers resize with filters of their own, so the route of a picture names the size that was asked for.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sheetlens.config import IiifSource
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.sources.urls import plan as plan_table
from sheetlens.fetch.sources.urls import request, rows

ENDING = "/0/default.jpg"


async def requests(settings: IiifSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """One request for each row, to fit into a square of the size asked for; see `alternatives`."""
    for row in rows(settings):
        base = row["url"].removesuffix("/info.json").rstrip("/")
        size = f"!{settings.size},{settings.size}"
        yield request(settings, {**row, "url": base}, f"{base}/full/{size}{ENDING}", f"iiif {size}")


async def alternatives(request: Request, session: Session) -> list[tuple[str, str]]:
    """What to ask for where a server does not fit pictures into a box: a listed size, a width, all of it."""
    base, _, rest = request.urls[0].rpartition("/full/!")
    size = int(rest.split(",")[0])
    try:
        info = await session.json(f"{base}/info.json")
    except (LaterError, RefusedError):
        info = {}
    return [(f"{base}/full/{form}{ENDING}", f"iiif {form}") for form in forms(info, size)]


def forms(info: Any, size: int) -> list[str]:
    """Size parameters to try in turn, from a server's info.json: the smallest listed size that is large
    enough on its longer side, then the width, then the whole.
    """
    info = info if isinstance(info, dict) else {}
    second = "image/2" in str(info.get("@context", "")) or "@id" in info
    width, height = _number(info.get("width")), _number(info.get("height"))
    listed = info.get("sizes")
    pairs = [
        (_number(one.get("width")), _number(one.get("height")))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    large = sorted(pair for pair in pairs if min(pair) > 0 and max(pair) >= size)
    found = [f"{w}," if second else f"{w},{h}" for w, h in large[:1]]
    fitting = round(width * min(1, size / max(width, height))) if width and height else size
    found.append(f"{min(fitting, _number(info.get('maxWidth')) or fitting)},")
    return [*dict.fromkeys(found), *(["full", "max"] if second or not info else ["max"])]


def plan(settings: IiifSource) -> list[Plan]:
    """One plan for each label of the table, read without the network."""
    return plan_table(settings)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**6 else 0
