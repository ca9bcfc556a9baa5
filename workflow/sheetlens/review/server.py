"""The review's server: one process, for the page and its pictures, and for decisions, which it keeps."""

import asyncio
import functools
import json
import logging
import secrets
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web

from sheetlens.common.errors import UserError, sentence_for
from sheetlens.pages.render import safety_warning
from sheetlens.prepare.resize import RefusedImageError
from sheetlens.review import decisions
from sheetlens.review.access import guarded, is_local, read_json, refusal, to_open, whole_number
from sheetlens.review.connections import BACKLOG, Door, open_more_files
from sheetlens.review.decisions import NAME, Journal, tell
from sheetlens.review.likeness import Likeness, open_likeness
from sheetlens.review.overlays import Evidence
from sheetlens.review.photographs import CLOSE_UP_PIXELS, PICTURE_PIXELS, read_picture, to_jpeg
from sheetlens.review.queue import Queue

log = logging.getLogger(__name__)
SCRIPTS = ("keep.js", "closer.js", "review.js")
PAGE = {"": "text/html", "review.css": "text/css"} | dict.fromkeys(SCRIPTS, "text/javascript")  # address -> type
KEPT = 64  # pictures in memory
NAMES = 100  # characters of a reviewer's name, of an id
PATIENCE = 5.0  # seconds that what is under way may take when the server is stopped


def serve(queue: Queue, host: str, port: int, evidence: Evidence | None) -> None:
    """Serve the page until it is interrupted. Any host but this machine's own asks for a token, which is printed."""
    journal = Journal(queue.folder / NAME)
    tell(journal)
    token = "" if is_local(host) else secrets.token_urlsafe(24)
    door = Door(open_more_files())
    app = make_app(queue, journal, token, evidence, host, door, open_likeness(queue))

    def ready(port: int) -> None:
        end = f"?token={token}" if token else ""
        shown = {"as_it_is": True}  # the token is for whoever started the server
        log.info("%d sheets; open http://%s:%d/%s", len(queue.sheets), to_open(host), port, end, extra=shown)
        log.info("decisions are kept in %s; stop with Ctrl+C", queue.folder / NAME)

    try:
        asyncio.run(run_app(app, door, host, port, ready))
    finally:
        journal.close()


async def run_app(app: web.Application, door: Door, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Answer until a signal asks to stop; `ready` is called with the port when the first request may come."""
    runner, stop = web.AppRunner(app, access_log=None, shutdown_timeout=PATIENCE), asyncio.Event()
    await runner.setup()
    door.open(runner.server)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        try:
            server = await loop.create_server(door, host, port, backlog=BACKLOG)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise UserError(f"cannot serve on {host}, port {port} ({why}): give another --host or --port") from None
        ready(server.sockets[0].getsockname()[1])
        await stop.wait()
        server.close()
    finally:
        await runner.cleanup()


def make_app(
    queue: Queue,
    journal: Journal,
    token: str,
    evidence: Evidence | None = None,
    host: str = "127.0.0.1",
    door: Door | None = None,
    likeness: Likeness | None = None,
) -> web.Application:
    """The application: page, queue, sheets, pictures, decisions; a model's evidence and like sheets where they are."""
    app = guarded(token, host, journal.run, door)
    offers = {"evidence": evidence is not None, "likeness": likeness is not None}
    light = json.dumps(queue.light() | {"warning": safety_warning(queue.classes)} | offers).encode()
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
            raise refusal(web.HTTPNotFound, error) from None
        headers = {"Cache-Control": "private, max-age=3600"}
        return web.Response(body=content, content_type="image/jpeg", headers=headers)

    async def overlay(request: web.Request) -> web.Response:
        place = _place(queue, request)
        if not evidence:
            raise web.HTTPNotFound(text="start `sheetlens review` with --model")
        try:
            found = await asyncio.get_running_loop().run_in_executor(looking, evidence.overlay, place)
        except (OSError, RefusedImageError, UserError) as error:
            raise refusal(web.HTTPNotFound, error) from None
        if request.match_info["kind"] == "json":
            return web.json_response(found.facts)
        return web.Response(body=found.picture, content_type="image/jpeg")

    async def alike(request: web.Request) -> web.Response:
        place = _place(queue, request)
        if not likeness:
            raise web.HTTPNotFound(text="the run has no features of its sheets")
        found = await asyncio.to_thread(likeness.nearest, place)
        return web.json_response({"keys": queue.sheets["key"].iloc[found].tolist()})

    async def changes(request: web.Request) -> web.Response:
        check_run(request.query.get("run"), queue.run, queue.folder)
        start, every = whole_number(request.query.get("since", ""), 0), journal.entries
        start = start if start <= len(every) else 0
        some = every[start:]  # others are added meanwhile
        new = [entry | {"key": keys[entry["image_id"]]} for entry in some if entry["image_id"] in keys]
        return web.json_response({"entries": new, "next": start + len(some)})

    async def decide(request: web.Request) -> web.Response:
        given = await read_json(request, list)
        try:
            for one in given:
                check_run(one.get("run"), queue.run, queue.folder)
            entries = [_entry(queue, one) for one in given]
            # Where the browser goes away meanwhile the decisions are kept all the same.
            await asyncio.shield(asyncio.to_thread(journal.append, entries))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise refusal(web.HTTPBadRequest, f"not decisions: {error}") from None
        except OSError as error:
            log.error("decisions are not kept: %s", sentence_for(error) or error)
            what = sentence_for(error).rpartition(": ")[0]  # what to do is for whoever started the server
            raise refusal(web.HTTPServiceUnavailable, what or error) from None
        return web.json_response({"kept": [entry["id"] for entry in entries]})

    app.add_routes([web.get("/queue.json", whole_queue), web.get("/sheets/{key}.json", sheet)])
    app.add_routes([web.get("/pictures/{key}.jpg", photograph), web.get("/evidence/{key}.{kind:json|jpg}", overlay)])
    app.add_routes([web.get("/alike/{key}.json", alike)])
    app.add_routes([web.get("/decisions", changes), web.post("/decisions", decide), web.get("/{name:[^/]*}", page)])
    return app


def _place(queue: Queue, request: web.Request) -> int:
    place = queue.find(request.match_info["key"])
    if place is None:
        raise web.HTTPNotFound
    return place


def check_run(given: Any, run: str, folder: Path) -> None:
    """Refuse what a page has for another run than that of a folder, which was served at this address before."""
    if given not in (None, run):
        raise refusal(web.HTTPConflict, f"another run is served here now: {folder.resolve().name}")


def _entry(queue: Queue, given: dict[str, Any]) -> decisions.Entry:
    """A decision as it goes into the journal; raises ValueError or KeyError for what is none."""
    texts = {name: given[name] for name in ("id", "reviewer", "decision", "label", "time", "undoes")}
    if any(not isinstance(text, str) or len(text) > NAMES for text in texts.values() if text != given["label"]):
        raise ValueError("a field is no text, or too long")
    place = queue.find(given["key"])
    if place is None or (texts["decision"] == "class" and texts["label"] not in queue.classes):
        raise ValueError("an unknown sheet or class")
    row = queue.sheets.iloc[place]
    chosen = row["chosen"] | {"blind": given.get("blind") is True}
    facts = {"image_id": row["image_id"], "before": row["decided"], "reasons": row["reasons"], "chosen": chosen}
    entry = texts | facts | {"time": decisions.utc(texts["time"])}
    decisions.check(entry)
    return entry
