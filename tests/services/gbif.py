"""GBIF: names, occurrence search, downloads, image cache.

Store under "gbif": names {name: answer of /v2/species/match}, records {taxonKey: [record]}, archives
{taxonKey: path}, states [status, ...] that a download goes through.
"""

import hashlib
from pathlib import Path

from aiohttp import encode_basic_auth, web

from tests.services.plain import picture
from tests.services.server import STORE

routes = web.RouteTableDef()
ACCOUNT = ("botanist", "s3cret-w0rd")


def store(request: web.Request) -> dict:
    return request.config_dict[STORE].setdefault("gbif", {})


@routes.get("/api.gbif.org/v2/species/match")
async def match(request: web.Request) -> web.Response:
    if not request.query.get("checklistKey"):
        return web.json_response({"usage": {"key": "6725"}, "diagnostics": {"matchType": "EXACT"}})
    nothing = {"synonym": False, "diagnostics": {"matchType": "NONE"}}
    return web.json_response(store(request).get("names", {}).get(request.query["scientificName"], nothing))


@routes.get("/api.gbif.org/v1/occurrence/search")
async def search(request: web.Request) -> web.Response:
    limit, offset = int(request.query.get("limit", 20)), int(request.query.get("offset", 0))
    if offset + limit > 100_000:
        return web.Response(status=400, text="Max offset of 100000 exceeded")
    wanted = {"basisOfRecord": "PRESERVED_SPECIMEN", "mediaType": "StillImage", "checklistKey": None, "taxonKey": None}
    if any(request.query.get(key, "") != (value or request.query.get(key)) for key, value in wanted.items()):
        return web.Response(status=400, text="not the query that was expected")
    records = store(request).get("records", {}).get(request.query["taxonKey"], [])
    if code := request.query.get("institutionCode"):
        records = [one for one in records if not isinstance(one, dict) or one.get("institutionCode") == code]
    page = records[offset : offset + min(limit, 300)]
    values = {"offset": offset, "limit": min(limit, 300), "count": store(request).get("count", len(records))}
    return web.json_response(values | {"endOfRecords": offset + len(page) >= len(records), "results": page})


@routes.post("/api.gbif.org/v1/occurrence/download/request")
async def order(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") != encode_basic_auth(*ACCOUNT):
        return web.Response(status=401)
    body = await request.json()
    keys = {predicate["key"]: predicate["value"] for predicate in body["predicate"]["predicates"]}
    if body["format"] != "DWCA" or "checklistKey" not in body or keys.get("BASIS_OF_RECORD") != "PRESERVED_SPECIMEN":
        return web.Response(status=400)
    orders = store(request).setdefault("orders", [])
    orders.append(keys)
    return web.Response(status=201, text=f"{len(orders):07d}-{keys['TAXON_KEY']}")


@routes.get("/api.gbif.org/v1/occurrence/download/{key}")
async def state(request: web.Request) -> web.Response:
    key, states = request.match_info["key"], store(request).setdefault("states", [])
    status = states.pop(0) if states else "SUCCEEDED"
    facts = {
        "key": key,
        "doi": f"10.15468/dl.{key}",
        "status": status,
        "totalRecords": 3,
        "request": {"creator": "botanist"},
    }
    return web.json_response(facts)


@routes.get("/api.gbif.org/v1/occurrence/download/request/{key}.zip")
async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"https://occurrence-download.gbif.org/{request.match_info['key']}.zip")


@routes.get("/occurrence-download.gbif.org/{key}.zip")
async def archive(request: web.Request) -> web.Response:
    if "Authorization" in request.headers:
        return web.Response(status=400, text="credentials have no place here")
    path = store(request)["archives"][request.match_info["key"].split("-", 1)[1]]
    return web.Response(body=Path(path).read_bytes(), content_type="application/zip")


@routes.get("/api.gbif.org/v1/image/cache/{size}/occurrence/{key}/media/{digest}")
async def cached(request: web.Request) -> web.Response:
    for records in store(request).get("records", {}).values():
        for record in records:
            for media in record.get("media") or []:
                address = media.get("identifier", "") if isinstance(media, dict) else ""
                if hashlib.md5(address.encode()).hexdigest() == request.match_info["digest"]:
                    return web.Response(body=picture(address, (32, 24)), content_type="image/jpeg")
    return web.Response(status=404)
