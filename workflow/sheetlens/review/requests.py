"""What stands in a request, and answers that refuse it: anybody may send anything, and gets 4xx for what is none."""

import json
from typing import Any

from aiohttp import web

DIGITS = 9  # of the largest number that is asked for


def refusal(kind: type[web.HTTPException], why: object) -> web.HTTPException:
    """An answer that says why in letters that can be sent: half a character, or a name that is no UTF-8, cannot."""
    return kind(text=str(why).encode("utf-8", "backslashreplace").decode())


async def read_json(request: web.Request, kind: type) -> Any:
    """What a page sent, as JSON of a kind; HTTPBadRequest for anything else, whatever its headers say of it."""
    try:
        given = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise refusal(web.HTTPBadRequest, f"it is no JSON: {error}") from None
    if not isinstance(given, kind):
        raise refusal(web.HTTPBadRequest, f"it is no {kind.__name__} in JSON")
    return given


def whole_number(text: str, otherwise: int) -> int:
    """A whole number of an address, from 0 on; another one where there is none."""
    return int(text) if text.isdecimal() and len(text) <= DIGITS else otherwise
