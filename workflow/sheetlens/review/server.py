"""The review's server: one process, for the page and its pictures, and for decisions, which it keeps."""

import asyncio
import functools
import hmac
import ipaddress
import json
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from sheetlens.common.errors import UserError
from sheetlens.pages.render import SAFETY_WARNING
from sheetlens.prepare.resize import RefusedImageError
from sheetlens.review import static_page
from sheetlens.review.decisions import NAME, Journal
from sheetlens.review.overlays import Evidence
from sheetlens.review.photographs import CLOSE_UP_PIXELS, PICTURE_PIXELS, read_picture, to_jpeg
from sheetlens.review.queue import Queue

log = logging.getLogger(__name__)
PAGE = {"": "text/html", "review.js": "text/javascript", "review.css": "text/css"}  # address -> type, of our files
KEPT = 64  # pictures in memory
NAMES = 100  # characters of a reviewer's name, of an id
POLICY = f"{static_page.POLICY}; connect-src 'self'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
COOKIE, MARK = "sheetlens-review", "X-Sheetlens-Review"
DECISIONS = ("class", "unsure", "undo")


def serve(queue: Queue, host: str, port: int, evidence: Evidence | None) -> None:
    """Serve the page until it is interrupted. Any host but this machine's own asks for a token, which is printed."""
    journal = Journal(queue.folder / NAME)
    token = "" if _is_local(host) else secrets.token_urlsafe(24)
    shown = f"[{host}]" if ":" in host else host
    log.info("%d sheets; open http://%s:%d/%s", len(queue.sheets), shown, port, f"?token={token}" if token else "")
    log.info("decisions are kept in %s; stop with Ctrl+C", queue.folder / NAME)
    try:
        web.run_app(make_app(queue, journal, token, evidence), host=host, port=port, print=None, access_log=None)
    except OSError as error:
        raise UserError(f"{host}, port {port}, cannot be served on ({error.strerror}): give another --port") from None
    finally:
        journal.close()


def make_app(queue: Queue, journal: Journal, token: str, evidence: Evidence | None = None) -> web.Application:
    """The application: page, queue, sheets, pictures, a model's evidence if there is one, and decisions."""
    app = web.Application(middlewares=[_guard(token)])
    light = json.dumps(queue.light() | {"warning": SAFETY_WARNING, "evidence": evidence is not None}).encode()
    keys = dict(zip(queue.sheets["image_id"], queue.sheets["key"], strict=True))
    looking = ThreadPoolExecutor(1)  # one sheet after the other, and never in the way of decisions

    def read(place: int, longest: int) -> bytes:
        return to_jpeg(read_picture(queue, place, longest))

    kept = functools.lru_cache(KEPT)(read)

    async def page(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in PAGE:
            raise web.HTTPNotFound
        content = (Path(__file__).parent / (name or "review.html")).read_bytes()
        return web.Response(body=content, content_type=PAGE[name], charset="utf-8")

    async def whole_queue(request: web.Request) -> web.Response:
        answer = web.Response(body=light, content_type="application/json")
        answer.enable_compression()
        return answer

    async def sheet(request: web.Request) -> web.Response:
        return web.json_response(queue.detail(_place(queue, request)))

    async def photograph(request: web.Request) -> web.Response:
        place = _place(queue, request)
        large = "large" in request.query
        try:
            content = await asyncio.to_thread(
                read if large else kept, place, CLOSE_UP_PIXELS if large else PICTURE_PIXELS
            )
        except (OSError, RefusedImageError) as error:
            raise web.HTTPNotFound(text=str(error)) from None
        headers = {"Cache-Control": "private, max-age=3600"}
        return web.Response(body=content, content_type="image/jpeg", headers=headers)

    async def overlay(request: web.Request) -> web.Response:
        place = _place(queue, request)
        if not evidence:
            raise web.HTTPNotFound(text="start `sheetlens review` with --model")
        try:
            found = await asyncio.get_running_loop().run_in_executor(looking, evidence.overlay, place)
        except (OSError, RefusedImageError, UserError) as error:
            raise web.HTTPNotFound(text=str(error)) from None
        if request.match_info["kind"] == "json":
            return web.json_response(found.facts)
        return web.Response(body=found.picture, content_type="image/jpeg")

    async def decisions(request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        start = int(since) if since.isdecimal() else 0
        new = [
            entry | {"key": keys[entry["image_id"]]} for entry in journal.entries[start:] if entry["image_id"] in keys
        ]
        return web.json_response({"entries": new, "next": len(journal.entries)})

    async def decide(request: web.Request) -> web.Response:
        try:
            given = await request.json()
            entries = [_entry(queue, one) for one in given]
        except (ValueError, KeyError, TypeError) as error:
            raise web.HTTPBadRequest(text=f"not decisions: {error}") from None
        await asyncio.shield(asyncio.to_thread(journal.append, entries))
        return web.json_response({"kept": [entry["id"] for entry in entries]})

    app.add_routes([web.get("/queue.json", whole_queue), web.get("/sheets/{key}.json", sheet)])
    app.add_routes([web.get("/pictures/{key}.jpg", photograph), web.get("/evidence/{key}.{kind:json|jpg}", overlay)])
    app.add_routes([web.get("/decisions", decisions), web.post("/decisions", decide), web.get("/{name:[^/]*}", page)])
    return app


def _place(queue: Queue, request: web.Request) -> int:
    place = queue.find(request.match_info["key"])
    if place is None:
        raise web.HTTPNotFound
    return place


def _entry(queue: Queue, given: dict[str, Any]) -> dict[str, Any]:
    """A decision as it goes into the journal; raises ValueError or KeyError for what is none."""
    texts = {name: given[name] for name in ("id", "reviewer", "decision", "label", "time", "undoes")}
    if any(not isinstance(text, str) or len(text) > NAMES for text in texts.values() if text != given["label"]):
        raise ValueError("a field is no text, or too long")
    place = queue.find(given["key"])
    named = texts["label"] in queue.classes if texts["decision"] == "class" else texts["label"] == ""
    if place is None or texts["decision"] not in DECISIONS or not named or not texts["id"] or not texts["reviewer"]:
        raise ValueError("an unknown sheet, decision or class, or no reviewer")
    made = datetime.fromisoformat(texts["time"]).astimezone(UTC)
    row = queue.sheets.iloc[place]
    facts = {"image_id": row["image_id"], "before": row["decided"], "reasons": row["reasons"]}
    return texts | facts | {"time": made.isoformat(timespec="seconds")}


def _guard(token: str) -> Any:
    """The middleware that lets in who names this server, holds its token if any, and writes from our page."""

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        asked = request.query.get("token", "")
        if not _host_is_ours(request, token):
            raise web.HTTPForbidden(text="open the address that the server printed")
        if token and not any(
            hmac.compare_digest(given.encode(), token.encode()) for given in (asked, request.cookies.get(COOKIE, ""))
        ):
            raise web.HTTPForbidden(text="open the address that the server printed, with its token")
        # Another site's page can send a form, but neither this header nor this type without asking us first.
        origin = request.headers.get("Origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.host
        if request.method == "POST" and (
            foreign or MARK not in request.headers or request.content_type != "application/json"
        ):
            raise web.HTTPForbidden(text="decisions are taken from this server's own page only")
        answer: web.StreamResponse = await handler(request)
        answer.headers.update(HEADERS)
        if token and asked:
            answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
        return answer

    return guard


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_is_ours(request: web.Request, token: str) -> bool:
    """Whether a request names us by address: a name that was made to point here (DNS rebinding) is another's."""
    host = urlsplit(f"//{request.host}").hostname or ""
    if not token:
        return _is_local(host)
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost"
