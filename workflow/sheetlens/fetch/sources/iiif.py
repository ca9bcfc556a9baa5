"""Source `iiif`: pictures that the server sends in the size asked for (IIIF Image API 2 and 3).

Servers resize with filters of their own, so the route of a picture names the size that was asked for.
"""

import dataclasses
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sheetlens.common.refusals import Reason
from sheetlens.config import IiifSource
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.sources import Source
from sheetlens.fetch.sources.urls import plan as plan_table
from sheetlens.fetch.sources.urls import request, rows

ENDING = "/0/default.jpg"
# region/size/rotation/quality.format (IIIF Image API 1 to 3, section 4): the last four parts of a picture's address
PICTURE = re.compile(
    r"(full|square|(pct:)?[\d.]+(,[\d.]+){3})/\^?(full|max|!?\d*,\d*|pct:[\d.]+)/!?[\d.]+"
    r"/(default|color|gray|grey|bitonal|native)(\.\w+)?",
    re.IGNORECASE,
)
INFO = "info.json"
# The address of what the Presentation API gives: manifests, collections and their parts, as most servers spell it
MANIFEST = re.compile(
    r"/(manifest|[\w.-]*manifest\.json(ld)?|manifests?[:/].+|(collections?|sequence|canvas)(/[^/]+)?(\.json(ld)?)?"
    r"|presentation/.*)/?([;?#]|$)|[?&]manifest=",
    re.IGNORECASE,
)


async def requests(settings: IiifSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """One request for each row, to fit into a square of the size asked for; see `alternatives`.

    A row may name the image service, its info.json or any picture of it. That of a manifest is refused.
    """
    for row in rows(settings):
        before, after = service(row["url"])
        size = f"!{settings.size},{settings.size}"
        made = request(settings, {**row, "url": before + after}, f"{before}/full/{size}{ENDING}{after}", f"iiif {size}")
        if is_manifest(row["url"]) and not made.refused:
            made = dataclasses.replace(made, refused=Reason("iiif_manifest"))
        yield made


def service(url: str) -> tuple[str, str]:
    """The address of an image service, in what comes before and after the picture's parameters.

    Some servers take the parameters in their query (`?IIIF=`); another query stays where it is, at the end.
    """
    base, _, after = _parts(url)
    return base, after


def is_manifest(url: str) -> bool:
    """Whether an address is that of a manifest and the like; one that asks for a picture is none, whatever its name."""
    return not _parts(url)[1] and MANIFEST.search(url) is not None


def _parts(url: str) -> tuple[str, str, str]:
    """The image service of an address, what of it is asked for ("" for an address that does not say), the query."""
    whole = url.partition("#")[0]
    address, mark, query = whole.partition("?")
    if not _asked(address) and re.search(r"(^|&)IIIF=", query, re.IGNORECASE):
        address, mark, query = whole, "", ""
    asked = _asked(address)
    return address.rstrip("/").removesuffix(asked).rstrip("/"), asked, mark + query


def _asked(address: str) -> str:
    """The end of an address, as it is spelt there, that asks an image service for something; "" if none does."""
    *_, last = parts = address.rstrip("/").split("/")[-4:]
    if last == INFO:
        return last
    end = "/".join(parts)
    return end if PICTURE.fullmatch(unquote(end)) else ""  # as in %21512%2C512


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
    fitting = max(1, round(width * min(1, size / max(width, height)))) if width and height else size
    found.append(f"{min(fitting, _number(info.get('maxWidth')) or fitting)},")
    return [*dict.fromkeys(found), *(["full", "max"] if second or not info else ["max"])]


def plan(settings: IiifSource) -> list[Plan]:
    """One plan for each label of the table, read without the network."""
    return plan_table(settings)


def _number(value: Any) -> int:
    """Pixels that a server states, as a number or as text; 0 for what is none."""
    try:
        number = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return round(number) if 0 < number < 10**6 else 0


SOURCE = Source(plan, requests=requests, alternatives=alternatives)
