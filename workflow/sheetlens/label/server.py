"""The labelling's server: the page, its pictures, what comes next, and decisions, which it keeps."""

import asyncio
import logging
import secrets
import threading
from pathlib import Path
from typing import Any

from aiohttp import web

from sheetlens.common.errors import UserError, sentence_for
from sheetlens.config import Limits
from sheetlens.label.export import LABELS, check_output, write_labels
from sheetlens.label.numbers import describe
from sheetlens.label.session import Session
from sheetlens.label.sheets import Sheets
from sheetlens.prepare.decoding.decoder_processes import shared_readers
from sheetlens.prepare.resize import RefusedImageError
from sheetlens.review import decisions
from sheetlens.review.access import guarded, is_local, read_json, refusal, to_open, whole_number
from sheetlens.review.connections import Door, open_more_files
from sheetlens.review.decisions import NAME, Journal
from sheetlens.review.photographs import CLOSE_UP_PIXELS, PICTURE_PIXELS, to_jpeg
from sheetlens.review.server import NAMES, check_run, run_app, tell

log = logging.getLogger(__name__)
HERE, REVIEW = Path(__file__).parent, Path(decisions.__file__).parent
PAGE = {
    "": (HERE / "label.html", "text/html"),
    "label.js": (HERE / "label.js", "text/javascript"),
    "keep.js": (REVIEW / "keep.js", "text/javascript"),
    "closer.js": (REVIEW / "closer.js", "text/javascript"),
    "label.css": (HERE / "label.css", "text/css"),
    "review.css": (REVIEW / "review.css", "text/css"),
}
MOST = 50  # sheets handed out at once


def serve(source: Path, folder: Path, classes: tuple[str, ...], host: str, port: int, limits: Limits) -> None:
    """Serve the page until it is interrupted; the labels are in `folder`, as decisions and as labels.csv.

    Raises UserError for a folder that is none of a labelling (see `check_output`).
    """
    check_output(folder)
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / NAME)
    tell(journal)
    try:
        sheets = Sheets(source, folder, journal.run, limits, journal.entries)
        session = Session(sheets, journal, folder, classes)
        token = "" if is_local(host) else secrets.token_urlsafe(24)
        door = Door()
        app = make_app(session, token, host, limits, door)

        def ready(port: int) -> None:
            end = f"?token={token}" if token else ""
            shown = {"as_it_is": True}  # the token is for whoever started the server
            log.info("%d photographs; open http://%s:%d/%s", len(sheets), to_open(host), port, end, extra=shown)
            log.info("labels are kept in %s; stop with Ctrl+C", folder / LABELS)

        open_more_files()
        sheets.start()
        session.start()
        try:
            asyncio.run(run_app(app, door, host, port, ready))
        finally:
            session.close()
            sheets.close()
            journal.check_place()
            log.info("%d labels in %s", write_labels(session, folder / LABELS), folder / LABELS)
    finally:
        journal.close()


def make_app(session: Session, token: str, host: str, limits: Limits, door: Door | None = None) -> web.Application:
    """The application: page, pictures, the next sheets, a wall of them, decisions, classes and numbers."""
    app = guarded(token, host, session.journal.run, door)
    sheets, journal = session.sheets, session.journal
    writing = threading.Lock()  # of labels.csv: two at once would take each other's file away

    def write() -> None:
        with writing:
            write_labels(session, session.folder / LABELS)

    async def page(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in PAGE:
            raise web.HTTPNotFound
        path, kind = PAGE[name]
        return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8")

    async def start(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "run": journal.on_pages,
                "folder": session.folder.resolve().name,
                "classes": session.classes,
                "sheets": len(sheets),
            }
        )

    async def following(request: web.Request) -> web.Response:
        query = request.query
        count = min(whole_number(query.get("count", "8"), MOST), MOST)
        skip = set(query.get("skip", "").split(","))
        reviewer, mode = query.get("reviewer", ""), query.get("mode", "suggested")
        return web.json_response(_shown(await asyncio.to_thread(session.next_sheets, reviewer, mode, count, skip)))

    async def wall(request: web.Request) -> web.Response:
        skip = set(request.query.get("skip", "").split(","))
        return web.json_response(_shown(session.wall(request.query.get("class", ""), skip)))

    async def photograph(request: web.Request) -> web.Response:
        row = _row(sheets, request)
        longest = CLOSE_UP_PIXELS if "large" in request.query else PICTURE_PIXELS
        return _jpeg(await asyncio.to_thread(_show, sheets, row, longest, limits))

    async def thumbnail(request: web.Request) -> web.Response:
        row = _row(sheets, request)
        small = sheets.store.picture(sheets.table["image_id"].iloc[row])
        return _jpeg(small if small else await asyncio.to_thread(_show, sheets, row, 256, limits))

    described: dict[Any, Any] = {}  # the numbers of the last state: pages ask every few seconds

    async def numbers(request: web.Request) -> web.Response:
        state = (len(journal.entries), sheets.version, session.classes)
        if state not in described:
            found = await asyncio.to_thread(describe, session)
            described.clear()
            described[state] = found
        return web.json_response(described[state])

    async def classes(request: web.Request) -> web.Response:
        given = await read_json(request, dict)
        try:
            if given.get("rename"):
                session.rename_class(str(given["rename"]), str(given.get("name", "")))
            else:
                session.add_class(str(given.get("name", "")))
            await asyncio.to_thread(write)
        except OSError as error:
            log.error("the classes are not kept: %s", sentence_for(error) or error)
            raise refusal(web.HTTPServiceUnavailable, sentence_for(error) or error) from None
        except UserError as error:
            raise refusal(web.HTTPBadRequest, error) from None
        return web.json_response({"classes": session.classes})

    async def decide(request: web.Request) -> web.Response:
        given = await read_json(request, list)
        try:
            entries = [_entry(session, one) for one in given]
            await asyncio.shield(asyncio.to_thread(session.decide, entries))
            await asyncio.to_thread(write)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise refusal(web.HTTPBadRequest, f"not decisions: {error}") from None
        except OSError as error:
            log.error("decisions are not kept: %s", sentence_for(error) or error)
            raise refusal(web.HTTPServiceUnavailable, sentence_for(error) or error) from None
        return web.json_response({"kept": [entry["id"] for entry in entries]})

    app.add_routes([web.get("/start.json", start), web.get("/next.json", following), web.get("/wall.json", wall)])
    app.add_routes([web.get("/pictures/{key}.jpg", photograph), web.get("/thumbnails/{key}.jpg", thumbnail)])
    app.add_routes([web.get("/numbers.json", numbers), web.post("/decisions", decide), web.post("/classes", classes)])
    app.add_routes([web.get("/{name:[^/]*}", page)])
    return app


def _shown(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "row"} for one in found]


def _row(sheets: Sheets, request: web.Request) -> int:
    row = sheets.row.get(request.match_info["key"])
    if row is None:
        raise web.HTTPNotFound
    return row


def _show(sheets: Sheets, row: int, longest: int, limits: Limits) -> bytes:
    try:
        return to_jpeg(shared_readers(limits).show(Path(sheets.table["path"].iloc[row]), longest))
    except (OSError, RefusedImageError) as error:
        raise refusal(web.HTTPNotFound, error) from None


def _jpeg(content: bytes) -> web.Response:
    return web.Response(body=content, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _entry(session: Session, given: dict[str, Any]) -> decisions.Entry:
    """A decision for the journal, which checks it; raises ValueError or KeyError for none of this labelling's."""
    check_run(given["run"], session.journal.on_pages, session.folder)
    texts = {name: given[name] for name in ("id", "reviewer", "decision", "label", "time", "undoes")}
    if any(not isinstance(text, str) or len(text) > NAMES for text in texts.values()):
        raise ValueError("a field is no text, or too long")
    row = session.sheets.row.get(given["key"])
    if row is None or (texts["decision"] == "class" and session.now(texts["label"]) not in session.classes):
        raise ValueError("an unknown sheet or class")
    facts = {"image_id": session.sheets.table["image_id"].iloc[row], "before": "", "reasons": []}
    facts["bytes"] = session.sheets.bytes_of(row)  # by which another photograph of this name is noticed
    facts["chosen"] = session.chosen(given["key"]) | {"blind": bool(given.get("blind"))}
    return texts | facts | {"time": decisions.utc(texts["time"])}
