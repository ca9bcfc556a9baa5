"""IIIF image servers of different abilities: `/iiif.example.org/{ability}/{id}/...`.

box2, box3: fit into a box (versions 2 and 3); listed: only sizes of a list; width: only `w,`; whole: only the
whole; huge: refuses the whole with 403; silent: no info.json, only the whole of version 2.
"""

import io

from aiohttp import web
from PIL import Image

routes = web.RouteTableDef()
WIDTH, HEIGHT = 3000, 4000
SIZES = [(150, 200), (600, 800), (1500, 2000)]
PREFIX = "/iiif.example.org/{ability}/{image}"


def picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(buffer, "JPEG")
    return buffer.getvalue()


@routes.get(PREFIX + "/info.json")
async def info(request: web.Request) -> web.Response:
    ability = request.match_info["ability"]
    if ability == "silent":
        raise web.HTTPNotFound
    version = 2 if ability in ("box2", "listed2") else 3
    found = {"@context": f"http://iiif.io/api/image/{version}/context.json", "width": WIDTH, "height": HEIGHT}
    if ability.startswith("listed"):
        found["sizes"] = [{"width": width, "height": height} for width, height in SIZES]
    if ability == "odd":
        found |= {"sizes": [7, {"width": "many"}], "width": None, "height": -3}
    return web.json_response(found)


@routes.get(PREFIX + "/full/{size}/0/default.jpg")
async def image(request: web.Request) -> web.Response:
    ability, size = request.match_info["ability"], request.match_info["size"]
    if ability.startswith("box") and size.startswith("!"):
        longest = int(size[1:].split(",")[0])
        return _sent(round(WIDTH * longest / HEIGHT), longest)
    listed = [f"{w}," if ability == "listed2" else f"{w},{h}" for w, h in SIZES]
    if ability.startswith("listed") and size in listed:
        return _sent(*SIZES[listed.index(size)])
    if ability == "width" and size.endswith(",") and size[:-1].isdecimal():
        return _sent(int(size[:-1]), round(int(size[:-1]) * HEIGHT / WIDTH))
    if (ability, size) in (("whole", "max"), ("odd", "max"), ("silent", "full")):
        return _sent(WIDTH, HEIGHT)
    if ability == "huge":
        raise web.HTTPForbidden
    raise web.HTTPBadRequest(text="unsupported size")


def _sent(width: int, height: int) -> web.Response:
    return web.Response(body=picture(width, height), content_type="image/jpeg")
