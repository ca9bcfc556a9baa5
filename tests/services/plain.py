"""Plain hosts: pictures by name at `/images/{name}`, whose bytes a test can make by itself."""

import functools
import hashlib
import io

import numpy as np
from aiohttp import web
from PIL import Image

routes = web.RouteTableDef()


@functools.cache
def _base(variant: int, size: tuple[int, int]) -> bytes:
    pixels = np.random.default_rng(variant).integers(0, 255, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def picture(name: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG of its own for each name: one of 16 pictures with the name as a comment."""
    base = _base(hashlib.sha256(name.encode()).digest()[0] % 16, size)
    comment = name.encode()
    return base[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + base[2:]


@routes.get("/images/{name:.+}")
async def image(request: web.Request) -> web.Response:
    body = picture(request.match_info["name"])
    return web.Response(body=body, content_type="image/jpeg", headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
