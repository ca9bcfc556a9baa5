"""One HTTP server that stands in for every service; each service's routes are in a module of its own.

A service named `api.example.org` answers below `/api.example.org/`: point the config's `fetch.mirrors` there.
Plain hosts are the addresses 127.0.0.1 to 127.0.0.4. `/control/...` sets faults and reads the counters.
"""

import importlib
import pkgutil

from aiohttp import web

from tests.services import faults
from tests.services.counters import Counters
from tests.services.store import STORE

FAULTS = web.AppKey("faults", faults.Faults)
COUNTERS = web.AppKey("counters", Counters)


def host_of(request: web.Request) -> str:
    first = request.path.split("/")[1]
    if "." in first:
        return first
    return (request.host or "").split(":")[0]


@web.middleware
async def watch(request: web.Request, handler) -> web.StreamResponse:
    if request.path.startswith("/control"):
        return await handler(request)
    counters, host = request.app[COUNTERS], host_of(request)
    counters.arrive(host, request)
    try:
        return await _answer(request, handler, counters)
    finally:
        counters.leave(host)


async def _answer(request: web.Request, handler, counters: Counters) -> web.StreamResponse:
    kind = request.app[FAULTS].take(request.path)
    if kind and (instead := faults.answer(kind)):
        response: web.StreamResponse = instead
    else:
        response = await handler(request)
        if not response.prepared:
            response = _ranged(request, response)
            if kind:
                response = await faults.spoil(kind, request, response)
    if not response.prepared and request.transport is not None:
        await response.prepare(request)
        await response.write_eof()
    if not kind and response.status == 200:
        counters.completed[request.path] += 1
    return response


def _ranged(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Answer a Range as servers do: 206 if the entity is still the same one, 416 beyond its end."""
    wanted, etag = request.headers.get("Range"), response.headers.get("ETag")
    if not wanted or not etag or response.status != 200 or not isinstance(response, web.Response):
        return response
    if request.headers.get("If-Range", etag) != etag:
        return response
    body, start = bytes(response.body or b""), int(wanted.removeprefix("bytes=").split("-")[0])
    if start >= len(body):
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
    headers = {"ETag": etag, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
    return web.Response(status=206, body=body[start:], content_type=response.content_type, headers=headers)


async def set_faults(request: web.Request) -> web.Response:
    request.app[FAULTS].set(await request.json())
    return web.Response()


async def set_store(request: web.Request) -> web.Response:
    request.app[STORE].update(await request.json())
    return web.Response()


async def read_counters(request: web.Request) -> web.Response:
    return web.json_response(request.app[COUNTERS].as_json())


async def reset(request: web.Request) -> web.Response:
    request.app[FAULTS].__init__()
    request.app[COUNTERS].__init__()
    request.app[STORE].clear()
    return web.Response()


def make() -> web.Application:
    app = web.Application(middlewares=[watch], client_max_size=2**28)
    app[FAULTS], app[COUNTERS], app[STORE] = faults.Faults(), Counters(), {}
    app.router.add_post("/control/faults", set_faults)
    app.router.add_post("/control/store", set_store)
    app.router.add_post("/control/reset", reset)
    app.router.add_get("/control/counters", read_counters)
    for module in pkgutil.iter_modules([__file__.rsplit("/", 1)[0]]):
        if module.name != "__main__":
            app.add_routes(getattr(importlib.import_module(f"tests.services.{module.name}"), "routes", []))
    return app
