"""Connections to the review's server: those that wait make room for others, and all answers have our headers."""

import asyncio
import resource
from typing import Any

from aiohttp import web

from sheetlens.review.access import HEADERS, UNREADABLE

LONGEST = 10.0  # seconds until a whole request must be here
WAITING = 400  # connections that may wait for a request; a browser opens six
BACKLOG = 50  # connections that are taken up at once, before any of them can be closed
FILES = 4096  # open files wanted: connections, pictures, the journal


class _Handler(web.RequestHandler):
    """What answers on one connection; also what is no HTTP is answered with our headers."""

    __slots__ = ()

    def handle_error(self, *arguments: Any, **named: Any) -> web.StreamResponse:
        answer = super().handle_error(*arguments, **named)
        answer.headers.update(HEADERS)
        return answer

    def log_exception(self, *arguments: Any, exc_info: Any = None, **named: Any) -> None:
        """Log a fault of ours; a body that is none is the sender's, who has an answer."""
        if not isinstance(exc_info, UNREADABLE):
            super().log_exception(*arguments, exc_info=exc_info, **named)


class Door:
    """Makes the handlers of connections. Half-sent requests must not use up the files that a process may open."""

    def __init__(self, most: int = WAITING) -> None:
        """Let so many wait."""
        self._waiting, self._server, self._most = dict[Any, None](), None, most

    def open(self, server: Any) -> None:
        """Stand before a server of aiohttp."""
        self._server = server

    def __call__(self) -> web.RequestHandler:
        """The handler of a new connection; the one that has waited longest for a request makes room for it."""
        loop = asyncio.get_running_loop()
        handler = _Handler(self._server, loop=loop, keepalive_timeout=LONGEST, access_log=None)  # type: ignore[arg-type]
        while len(self._waiting) >= self._most:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            loop.call_soon(oldest.force_close)  # not before its connection is made: it would stay open
        self._waiting[handler] = None
        return handler

    @web.middleware
    async def watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Middleware: a request has come on a connection; its body gets no longer than its head."""
        self._waiting.pop(request.protocol, None)
        try:
            async with asyncio.timeout(LONGEST):
                await request.read()
            answer: web.StreamResponse = await handler(request)
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the request did not come") from None
        finally:
            self._waiting[request.protocol] = None
        return answer


def open_more_files() -> int:
    """Let this process open as many files as it needs, where the system lets it; how many connections may wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(6, min(WAITING, wanted // 4))
