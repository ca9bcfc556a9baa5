"""Faults that a stand-in can show in place of an answer, or do to one."""

import asyncio
import email.utils
import random
import time

from aiohttp import web

HTML = b"<!DOCTYPE html><html><body>Request Rejected</body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><text>No Preview</text></svg>'
RANDOM = ["503", "429 now", "500", "waf", "html", "reset", "short", "wrong", "empty", "drop"]


class Faults:
    """What is to go wrong: for a path the next so many times, for a path always, or at random."""

    def __init__(self) -> None:
        self.next: dict[str, list] = {}
        self.always: dict[str, str] = {}
        self.share, self.prefix, self.kinds = 0.0, "/", RANDOM
        self.random = random.Random(0)

    def set(self, orders: dict) -> None:
        for path, kinds in orders.get("next", {}).items():
            self.next[path] = list(kinds)
        self.always |= orders.get("always", {})
        if "share" in orders:
            self.share, self.prefix = orders["share"], orders.get("prefix", "/")
            self.kinds = orders.get("kinds", RANDOM)
            self.random = random.Random(orders.get("seed", 0))

    def take(self, path: str) -> str:
        if self.next.get(path):
            return self.next[path].pop(0)
        if path in self.always:
            return self.always[path]
        if self.share and path.startswith(self.prefix) and self.random.random() < self.share:
            return self.random.choice(self.kinds)
        return ""


def answer(kind: str) -> web.Response | None:
    """The answer that stands in the place of the right one; None where the right one is needed to spoil it."""
    if kind.isdigit():
        headers = {"Retry-After": "1"} if kind in ("429", "420") else {}
        return web.Response(status=int(kind), headers=headers)
    later = email.utils.formatdate(time.time() + 2, usegmt=True)
    return {
        "429 now": web.Response(status=429, headers={"Retry-After": "0"}),
        "429 date": web.Response(status=429, headers={"Retry-After": later}),
        "429 long": web.Response(status=429, headers={"Retry-After": "999999"}),
        "waf": web.Response(status=202, headers={"x-amzn-waf-action": "challenge"}),
        "202": web.Response(status=202),
        "html": web.Response(body=HTML, content_type="text/html"),
        "html as jpeg": web.Response(body=HTML, content_type="image/jpeg"),
        "svg": web.Response(body=SVG, content_type="image/svg+xml"),
        "empty": web.Response(body=b"", content_type="image/jpeg"),
    }.get(kind)


async def spoil(kind: str, request: web.Request, right: web.Response) -> web.StreamResponse:
    """Send the right answer in a wrong way."""
    body = bytes(right.body or b"")
    if kind == "slow":
        await asyncio.sleep(0.1)
        return right
    if kind == "drop":
        request.transport.abort()
        return right
    if kind in ("wrong", "always wrong"):
        middle = len(body) // 2 + (random.randrange(len(body) // 2 - 8) if kind == "wrong" else 0)
        body = body[:middle] + bytes(255 - byte for byte in body[middle : middle + 8]) + body[middle + 8 :]
        return web.Response(body=body, status=right.status, headers=right.headers)
    if kind == "elsewhere" and right.status == 206:  # another part than the one asked for
        start, _, rest = right.headers["Content-Range"].removeprefix("bytes ").partition("-")
        headers = {"ETag": right.headers["ETag"], "Content-Range": f"bytes {int(start) - 1}-{rest}"}
        return web.Response(body=b"?" + body[:-1], status=206, headers=headers)
    if kind == "less" and right.status == 206:  # a part that ends before the end
        headers = {"ETag": right.headers["ETag"], "Content-Range": right.headers["Content-Range"]}
        return web.Response(body=body[:50], status=206, headers=headers)
    if kind == "other" and right.status == 206:  # a part of another version, though If-Range forbids it
        return web.Response(body=body[::-1], status=206, headers={**right.headers, "ETag": '"OTHER"'})
    if kind in ("elsewhere", "less", "other"):
        return right
    response = web.StreamResponse(status=right.status, headers=right.headers)
    half = body[: len(body) // 2]
    if kind == "cut":  # a well-formed answer that ends too early
        response.headers.popall("Content-Length", None)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(half)
        await response.write_eof()
        return response
    response.content_length = len(body)
    await response.prepare(request)
    if kind == "drip":
        for number in range(len(body)):
            await response.write(body[number : number + 1])
            await asyncio.sleep(0.05)
    elif kind == "stall":
        await response.write(half)
        await asyncio.sleep(600)
    elif kind in ("reset", "short"):
        await response.write(half)
        await asyncio.sleep(0.02)
        request.transport.abort() if kind == "reset" else request.transport.close()
    else:
        raise ValueError(f"no fault is called {kind!r}")
    return response
