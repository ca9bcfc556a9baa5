"""Plain hosts: pictures by name at `/images/{name}`, whose bytes a test can make by itself, and what is hostile."""

import functools
import gzip
import hashlib
import io
import struct
import zlib

import numpy as np
from aiohttp import web
from PIL import Image

from tests.services.store import STORE

routes = web.RouteTableDef()


@functools.cache
def _base(variant: int, size: tuple[int, int]) -> bytes:
    pixels = np.random.default_rng(variant).integers(0, 255, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def picture(name: str, size: tuple[int, int] = (200, 150)) -> bytes:
    """A JPEG of its own for each name: one of 16 pictures with the name as a comment."""
    base = _base(hashlib.sha256(name.encode()).digest()[0] % 16, size)
    comment = name.encode()
    return base[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + base[2:]


def bomb() -> bytes:
    """The beginning of a PNG of 30,000 x 30,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    beginning = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return beginning + struct.pack(">I", 10**6) + b"IDAT" + zlib.compress(bytes(10**6))


@routes.get("/images/{name:.+}")
async def image(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    body = picture(request.app[STORE].get("versions", {}).get(name, name))
    etag = request.app[STORE].get("etag", f'"{hashlib.md5(body).hexdigest()}"')
    return web.Response(body=body, content_type="image/jpeg", headers={"ETag": etag} if etag else {})


@routes.get("/hostile/bomb")
async def pixels(request: web.Request) -> web.Response:
    return web.Response(body=bomb(), content_type="image/png")


@routes.get("/hostile/gzip")
async def compressed(request: web.Request) -> web.Response:
    body = gzip.compress(bytes(2**27))
    return web.Response(body=body, content_type="image/jpeg", headers={"Content-Encoding": "gzip"})


@routes.get("/hostile/{kind:huge|endless}")
async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    if request.match_info["kind"] == "huge":
        response.content_length = 10 * 2**30
    await response.prepare(request)
    await response.write(picture("beginning"))
    for _ in range(10 * 2**14):
        await response.write(bytes(2**16))
    return response


@routes.get("/redirect")
async def redirect(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": request.query["to"]})


@routes.get("/round")
async def round_and_round(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/round"})


@routes.get("/headers")
async def headers(request: web.Request) -> web.Response:
    return web.json_response({name.lower(): value for name, value in request.headers.items()})
