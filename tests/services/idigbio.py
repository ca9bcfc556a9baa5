"""iDigBio: search of records and media, and the copies of pictures.

Store under "idigbio": records and media (items of the search), missing (uuids whose copy was never made).
"""

import random

from aiohttp import web

from tests.services.faults import SVG
from tests.services.plain import picture
from tests.services.server import STORE

routes = web.RouteTableDef()


def store(request: web.Request) -> dict:
    return request.config_dict[STORE].setdefault("idigbio", {})


@routes.post("/search.idigbio.org/v2/search/{kind:records|media}/")
async def search(request: web.Request) -> web.Response:
    body, kind = await request.json(), request.match_info["kind"]
    limit, offset, query = body.get("limit", 100), body.get("offset", 0), body["rq"]
    if limit > 5000 or offset + limit > 50_000:
        return web.Response(status=500, text="Result window is too large")
    records = [item for item in store(request)["records"] if _fits(item, query)]
    items = records
    if kind == "media":
        uuids = {item["uuid"] for item in records}
        items = [item for item in store(request)["media"] if not _records(item) or uuids & set(_records(item))]
    random.shuffle(items)  # pages of what is not sorted do not fit together
    if body.get("sort") == ["uuid"]:
        items = sorted(items, key=lambda item: str(item.get("uuid")) if isinstance(item, dict) else "")
    count = store(request).get("count", len(items))
    attribution = [{"uuid": "set-1", "name": "US Herbarium", "itemCount": len(records)}]
    return web.json_response({"itemCount": count, "items": items[offset : offset + limit], "attribution": attribution})


def _fits(item: dict, query: dict) -> bool:
    index = item["indexTerms"]
    wanted = {term: value if isinstance(value, list) else [value] for term, value in query.items()}
    return all(index.get(term) in values for term, values in wanted.items())


def _records(item: object) -> list:
    return (item.get("indexTerms") or {}).get("records") or [] if isinstance(item, dict) else []


@routes.get("/api.idigbio.org/v2/media/{uuid}")
async def copy(request: web.Request) -> web.Response:
    uuid, size = request.match_info["uuid"], request.query["size"]
    if uuid in store(request).get("missing", []):
        return web.Response(body=SVG, content_type="image/svg+xml")
    raise web.HTTPFound(f"https://s.idigbio.org/idigbio-images-prod-{size}/{uuid}.jpg")


@routes.get("/s.idigbio.org/{bucket}/{name}")
async def stored(request: web.Request) -> web.Response:
    return web.Response(body=picture(request.match_info["name"]), content_type="image/jpeg")
