"""Ask servers over HTTP: politely, again where it helps, and trusting no answer for its status alone."""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import aiohttp
from yarl import URL

from sheetlens import __version__
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason
from sheetlens.common.secrets import without_secrets
from sheetlens.config import Fetch
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.addresses import SHOWN, PrivateAddressError, check_url, guard
from sheetlens.fetch.http.rate_limits import Limit, Politeness, retry_after

REDIRECTS = (301, 302, 303, 307, 308)
HOPS = 10
# 420: GBIF's word for 429; 520 to 524 and 529: Cloudflare's for a server behind it that is down or busy
LATER = (408, 420, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
WAF = "x-amzn-waf-action"
LONGEST_PAUSE = 3600.0  # seconds; a server that asks for more is left alone in this run
METADATA = 256 * 2**20  # most bytes of an answer that is held in memory
PIECE = 2**16
HEADER = 2**16  # most bytes of one line of an answer's head: content policies get long
BEGINNING = 2000  # bytes that are enough to tell a web page by
# How web pages begin, after comments and the like. What a server says they are counts for nothing.
PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?>(?:<!--.*?-->\s*|<\?.*?\?>\s*)*)"
    rb"<(?:!doctype\s+html|html|head|body|meta|title|script|div|p|h1)\b",
    re.IGNORECASE | re.DOTALL,
)
T = TypeVar("T")


class Session:
    """An HTTP session for all of a run's requests; use it as an asynchronous context manager.

    `limits` are politeness limits that a source knows of (host or host/path -> Limit). `seed` fixes the
    jitter of the pauses.
    """

    def __init__(self, settings: Fetch, limits: Mapping[str, Limit] | None = None, seed: int | None = None) -> None:
        """Take the config's section `fetch`."""
        self.settings = settings
        self.received = 0  # bytes of bodies
        self.politeness = Politeness(settings, limits)
        self._mirrors = {host: URL(base.rstrip("/")) for host, base in settings.mirrors.items()}
        self._seats = asyncio.Semaphore(settings.connections)
        self._random = random.Random(seed)  # noqa: S311
        agent = f"sheetlens/{__version__}"
        self._agent = f"{agent} ({settings.contact})" if settings.contact else agent

    async def __aenter__(self) -> Self:
        """Open the pool of connections."""
        connector = aiohttp.TCPConnector(limit=0, socket_factory=guard(self.settings.allow), happy_eyeballs_delay=None)
        patience = self.settings.patience
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience, sock_read=patience),
            headers={"User-Agent": self._agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=HEADER,
            max_field_size=HEADER,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._client.close()

    @asynccontextmanager
    async def open(
        self, url: str, *, accept: tuple[int, ...] = (200,), method: str = "GET", **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask once, follow redirects, and give the answer if its status is one of `accept`.

        Each hop waits for the turn of its own host and may only lead to a public address; credentials stay
        with the first host; cookies that a redirect sets are shown to the host that set them, until the file has
        come. `options` go to aiohttp (headers, params, json, auth). The host's seat is held
        until the block ends: read the body inside it.
        Raises LaterError or RefusedError, also for what happens to the connection inside the block.
        """
        target = check_url(url)
        cookies: dict[URL, dict[str, str]] = {}  # by origin
        try:
            for _ in range(HOPS):
                turn = self.politeness.at(target).turn()
                shown = {"cookies": known} if (known := cookies.get(target.origin())) else {}
                async with turn, self._seats, await self._ask(method, target, options | shown) as response:
                    if response.status not in REDIRECTS:
                        self._judge(response, target, accept)
                        yield response
                        return
                    found = {name: one.value for name, one in response.cookies.items()}
                    cookies.setdefault(target.origin(), {}).update(found)
                    target, method, options = _redirected(response, target, method, options)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise _translated(error, self.settings.patience) from error
        raise RefusedError(Reason("redirects", hops=HOPS))

    async def read(
        self,
        url: str,
        *,
        limit: int = METADATA,
        take: Callable[[aiohttp.ClientResponse, bytes], T] = lambda _, body: body,  # type: ignore[assignment,return-value]
        **options: Any,
    ) -> T:
        """Read a small answer whole, asking again where it helps; `take` turns response and body into the result.

        Raises RefusedError when it is not to be had and LaterError when all attempts were in vain.
        """

        async def ask() -> T:
            async with self.open(url, **options) as response:
                body = b"".join([piece async for piece in self.pieces(response, limit)])
                return take(response, body)

        return await self.again(ask, url)

    async def json(self, url: str, **options: Any) -> Any:
        """Read an answer in JSON; a page in HTML in its place counts as no answer."""

        def take(response: aiohttp.ClientResponse, body: bytes) -> Any:
            try:
                return json.loads(body)
            except (ValueError, RecursionError):  # also brackets within brackets without end
                host = response.url.host
                page = Reason("html", host=host, what="data")
                raise LaterError(page if is_html(body) else Reason("not_json", host=host)) from None

        return await self.read(url, take=take, **options)

    async def again(self, ask: Callable[[], Awaitable[T]], url: str) -> T:
        """Repeat what raises LaterError, with pauses that double, up to the config's number of attempts."""
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return await ask()
            except LaterError as error:
                if attempt == self.settings.attempts or (error.seconds or 0) > LONGEST_PAUSE:
                    said = Reason("after_attempts", what=f"{url}: {error}", attempts=attempt)
                    raise LaterError(said, error.seconds, error.of_host) from error
                await asyncio.sleep(self.back_off(attempt, error))
        raise AssertionError("there is at least one attempt")

    def back_off(self, attempt: int, error: LaterError) -> float:
        """Seconds to wait after a failed attempt: doubling, with jitter, never less than the server asked for."""
        pause = self.settings.pause * 2 ** (attempt - 1)
        return max(min(pause, LONGEST_PAUSE) * self._random.uniform(0.5, 1), error.seconds or 0)

    async def pieces(self, response: aiohttp.ClientResponse, limit: int) -> AsyncIterator[bytes]:
        """Give a body piece by piece.

        Raises RefusedError beyond `limit` bytes and LaterError when it comes slower than the config allows.
        """
        received = window = 0
        since = time.monotonic()
        async for piece in response.content.iter_chunked(PIECE):
            received += len(piece)
            if received > limit:
                raise RefusedError(Reason("too_many_bytes", limit=limit))
            self.received += len(piece)
            yield piece
            window += len(piece)
            if (passed := time.monotonic() - since) > self.settings.patience:
                if window < self.settings.slowest * passed:
                    raise LaterError(Reason("too_slow", slowest=self.settings.slowest))
                window, since = 0, time.monotonic()

    async def _ask(self, method: str, target: URL, options: Mapping[str, Any]) -> aiohttp.ClientResponse:
        wire = target
        if base := self._mirrors.get(target.host or ""):
            wire = URL(f"{base}{target.raw_path_qs}", encoded=True)
        try:
            async with asyncio.timeout(self.settings.patience * 2):  # headers that drip
                return await self._client.request(method, wire, allow_redirects=False, **options)
        except ValueError as error:  # an address that only the library finds out to be none
            raise RefusedError(
                Reason("not_an_address", what=f"{without_secrets(str(target))[:SHOWN]} ({error})")
            ) from None

    def _judge(self, response: aiohttp.ClientResponse, target: URL, accept: tuple[int, ...]) -> None:
        status, host = response.status, target.host
        if WAF in response.headers:
            raise LaterError(Reason("firewall", host=host, status=status))
        if status in accept:
            return
        said = Reason("status", host=host, status=f"{status} {response.reason or ''}".rstrip())
        if status in LATER:
            seconds = retry_after(response.headers.get("Retry-After", ""))
            if seconds and seconds <= LONGEST_PAUSE:
                self.politeness.at(target).pause(seconds)
            raise LaterError(said, seconds, status=status)
        if 200 <= status < 300:
            raise LaterError(Reason("no_file", host=host, status=status))
        raise RefusedError(said, stop=status in (401, 403), status=status)


def _redirected(
    response: aiohttp.ClientResponse, target: URL, method: str, options: dict[str, Any]
) -> tuple[URL, str, dict[str, Any]]:
    """Where a redirect leads, and what is asked there: never the credentials meant for another host."""
    place = response.headers.get("Location", "").strip()
    if not place:
        raise RefusedError(Reason("redirect", what="the answer names no address to go on to"), status=response.status)
    try:
        reached = check_url(str(target.join(URL(place, encoded=True))))
    except ValueError:
        raise RefusedError(
            Reason("redirect", what=f"to what is no address: {without_secrets(place)[:SHOWN]!r}")
        ) from None
    except RefusedError as error:
        raise RefusedError(Reason("redirect", what=str(error))) from None
    options = {key: value for key, value in options.items() if key != "params"}
    if response.status == 303 or (method == "POST" and response.status in (301, 302)):
        method = "GET"
        options.pop("json", None)
    if reached.origin() != target.origin():
        options.pop("auth", None)
        hidden = ("authorization", "cookie", "x-api-key")
        options["headers"] = {k: v for k, v in (options.get("headers") or {}).items() if k.lower() not in hidden}
    return reached, method, options


def _translated(error: Exception, patience: float) -> UserError:
    """A fault of the connection in words."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, PrivateAddressError):
        return RefusedError(cause.reason)
    if isinstance(error, TimeoutError):
        return LaterError(Reason("no_answer", seconds=patience))
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return RefusedError(Reason("not_an_address", what=without_secrets(str(cause))[:SHOWN]))
    said = cause.message if isinstance(cause, aiohttp.ClientResponseError) else str(cause)
    return LaterError(Reason("connection", what=said.split("\n")[0] or type(error).__name__))


def is_html(body: bytes) -> bool:
    """Whether a body is a page for people, whatever the server calls it."""
    return PAGE.match(body[:BEGINNING]) is not None
