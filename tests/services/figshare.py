"""figshare: articles, pages of files (10 unless asked for more), three ways to a file.

A test stores `articles`: {number: {..., "files": [file object, ...]}} and `bodies`: {file number: base64}.
"""

import base64

from aiohttp import web

from tests.services.store import STORE

routes = web.RouteTableDef()
SIGNED = "https://s3-eu-west-1.amazonaws.com/figshare/{}?X-Amz-Signature=abc%2Fdef&X-Amz-Expires=10"


def _article(request: web.Request) -> dict:
    article = request.app[STORE].get("articles", {}).get(request.match_info["article"])
    if article is None:
        body = '{"message": "Entity not found: article", "code": "EntityNotFound"}'
        raise web.HTTPNotFound(text=body, content_type="application/json")
    return article


@routes.get("/api.figshare.com/v2/articles/{article}")
@routes.get("/api.figshare.com/v2/articles/{article}/versions/{version}")
@routes.get("/api.figshare.com/v3/items/{article}")
async def article(request: web.Request) -> web.Response:
    found = _article(request)
    return web.json_response(found | {"files": found["files"][:10]})


@routes.get("/api.figshare.com/v2/articles/{article}/files")
@routes.get("/api.figshare.com/v2/articles/{article}/versions/{version}/files")
@routes.get("/api.figshare.com/v3/items/{article}/files")
async def files(request: web.Request) -> web.Response:
    size, page = int(request.query.get("page_size", 10)), int(request.query.get("page", 1))
    if size > 1000:
        raise web.HTTPBadRequest(text='{"message": "page_size", "code": "BadRequest"}', content_type="application/json")
    return web.json_response(_article(request)["files"][(page - 1) * size : page * size])


@routes.get("/api.figshare.com/v2/file/download/{file}")
@routes.get("/api.figshare.com/v3/file/download/{file}")
@routes.get("/ndownloader.figshare.com/files/{file}")
async def download(request: web.Request) -> web.Response:
    raise web.HTTPFound(SIGNED.format(request.match_info["file"]))


@routes.get("/figshare.com/ndownloader/files/{file}")
async def page(request: web.Request) -> web.Response:
    return web.Response(status=202, headers={"x-amzn-waf-action": "challenge"})


@routes.get("/s3-eu-west-1.amazonaws.com/figshare/{file}")
async def body(request: web.Request) -> web.Response:
    number = request.match_info["file"]
    if "X-Amz-Signature" not in request.query or number not in request.app[STORE].get("bodies", {}):
        raise web.HTTPForbidden(text="<Error><Code>AccessDenied</Code></Error>", content_type="application/xml")
    content = base64.b64decode(request.app[STORE]["bodies"][number])
    return web.Response(body=content, content_type="application/gzip", headers={"ETag": f'"{number}"'})
