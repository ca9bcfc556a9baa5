"""A portal that hands out archives: `https://portal.example.org/{name}` gives the file stored under that name."""

from pathlib import Path

from aiohttp import web

from tests.services.server import STORE

routes = web.RouteTableDef()


@routes.get("/portal.example.org/{name}")
async def archive(request: web.Request) -> web.Response:
    path = request.config_dict[STORE].get("files", {}).get(request.match_info["name"])
    if not path:
        return web.Response(status=404)
    return web.Response(body=Path(path).read_bytes(), content_type="application/zip")
