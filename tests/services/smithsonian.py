"""The Smithsonian: search API, shards of the metadata, image services.

Store under "smithsonian": rows (records of the search), shards {name: path}, refused (ids that IIIF does not give).
"""

import re
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from tests.services.faults import HTML
from tests.services.plain import picture
from tests.services.server import STORE

routes = web.RouteTableDef()
KEY = "k3y-of-api.data.gov"


def store(request: web.Request) -> dict:
    return request.config_dict[STORE].setdefault("smithsonian", {})


@routes.get("/api.si.edu/openaccess/api/v1.0/search")
async def search(request: web.Request) -> web.Response:
    if not request.headers.get("User-Agent", "").startswith("sheetlens/"):
        return web.Response(body=HTML, content_type="text/html")
    if request.headers.get("X-Api-Key") != KEY or "api_key" in request.query:
        return web.Response(status=403)
    words, start = request.query["q"], int(request.query.get("start", 0))
    families = re.findall(r'tax_family:"([^"]+)"', words)
    rows = [row for row in store(request)["rows"] if not isinstance(row, dict) or _family(row) in families]
    page = rows[start : start + min(int(request.query.get("rows", 10)), 1000)]
    return web.json_response(
        {"status": 200, "response": {"rows": page, "rowCount": len(rows), "message": "content found"}}
    )


def _family(row: dict) -> str:
    found = row.get("content", {}).get("indexedStructured", {}).get("tax_family") or [""]
    return found[0] if isinstance(found, list) else found


@routes.get("/metadata.example.org/{name}")
async def shard(request: web.Request) -> web.Response:
    path = store(request)["shards"].get(request.match_info["name"])
    if not path:
        return web.Response(status=404)
    return web.Response(body=Path(path).read_bytes(), content_type="application/x-bzip2")


@routes.get("/ids.si.edu/ids/iiif/{id}/full/{size}/0/default.jpg")
async def iiif(request: web.Request) -> web.Response:
    if request.match_info["id"] in store(request).get("refused", []):
        return web.Response(status=404)
    return web.Response(body=picture("iiif" + request.match_info["id"]), content_type="image/jpeg")


@routes.get("/ids.si.edu/ids/deliveryService")
async def delivery(request: web.Request) -> web.Response:
    return web.Response(
        body=picture("delivery" + request.query["id"] + request.query["max"]), content_type="image/jpeg"
    )


@routes.get("/ids.si.edu/ids/deliveryService/id/{ark:ark:/.+}/{size:\\d+}")
async def delivery_by_ark(request: web.Request) -> web.Response:
    return web.Response(body=picture("ark" + unquote(request.match_info["ark"])), content_type="image/jpeg")
