"""Source `iiif`: pictures that the server sends in the size asked for (IIIF Image API 2 and 3).

Servers resize with filters of their own, so the route of a picture names the size that was asked for.
"""

import dataclasses
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sheetlens.common.refusals import Reason
from sheetlens.config import IiifSource
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.sources import Source
from sheetlens.fetch.sources.urls import plan as plan_table
from sheetlens.fetch.sources.urls import request, rows

ENDING = "/0/default.jpg"
# region/size/rotation/quality.format (IIIF Image API 2 and 3, section 4) at the end of a picture's address
PICTURE = re.compile(
    r"/(full|square|(pct:)?[\d.]+(,[\d.]+){3})/(\^?(full|max|!?\d*,\d*|pct:[\d.]+))/!?[\d.]+"
    r"/(default|color|gray|bitonal|native)(\.\w+)?$"
)
# The address of a manifest or collection of the Presentation API, as most servers spell it
MANIFEST = re.compile(r"/(manifest|collection)(\.json)?/?([?#]|$)|/presentation/[^?]*$", re.IGNORECASE)


async def requests(settings: IiifSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """One request for each row, to fit into a square of the size asked for; see `alternatives`.

    A row may name the image service, its info.json or any picture of it. That of a manifest is refused.
    """
    for row in rows(settings):
        before, after = service(row["url"])
        size = f"!{settings.size},{settings.size}"
        made = request(settings, {**row, "url": before + after}, f"{before}/full/{size}{ENDING}{after}", f"iiif {size}")
        if MANIFEST.search(row["url"]) and not made.refused:
            made = dataclasses.replace(made, refused=Reason("iiif_manifest"))
        yield made


def service(url: str) -> tuple[str, str]:
    """The address of an image service, in what comes before and after the picture's parameters.

    Some servers take the parameters in their query (`?IIIF=`); another query stays where it is, at the end.
    """
    address, mark, query = url.partition("?")
    if mark and query.upper().startswith("IIIF="):
        address, mark, query = url, "", ""
    base = PICTURE.sub("", address).removesuffix("/info.json").rstrip("/")
    return base, mark + query


async def alternatives(request: Request, session: Session) -> list[tuple[str, str]]:
    """What to ask for where a server does not fit pictures into a box: a listed size, a width, all of it."""
    base, _, rest = request.urls[0].rpartition("/full/!")
    size, after = int(rest.split(",")[0]), rest.partition(ENDING)[2]
    try:
        info = await session.json(f"{base}/info.json{after}")
    except (LaterError, RefusedError):
        info = {}
    return [(f"{base}/full/{form}{ENDING}{after}", f"iiif {form}") for form in forms(info, size)]


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


SOURCE = Source(plan, requests=requests, alternatives=alternatives)
