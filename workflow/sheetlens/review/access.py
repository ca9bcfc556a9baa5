"""Who may ask the review's server for what: names, tokens and origins of requests, what they bring, and all headers."""

import hashlib
import hmac
import ipaddress
import json
import logging
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from sheetlens.review import static_page

log = logging.getLogger(__name__)
POLICY = f"{static_page.POLICY}; connect-src 'self'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNREADABLE = (web.RequestPayloadError, ClientPayloadError, HttpProcessingError)  # a body that is none
COOKIE, MARK = "sheetlens-review", "X-Sheetlens-Review"
DIGITS = 9  # of the largest number that is asked for
ELSEWHERE = ("192.0.2.1", "2001:db8::1")  # RFC 5737, RFC 3849: addresses of documentation, to which nothing is sent


def guarded(token: str, host: str, run: str, door: Any = None) -> web.Application:
    """An application that lets in whom `guard` lets in, through a `connections.Door` if there is one.

    Every answer gets the HEADERS, those to faults included, also where no middleware is asked.
    """
    app = web.Application(middlewares=[guard(token, host, run), *([door.watch] if door else [])])
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(request: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(HEADERS)


def cookie_of(run: str, token: str) -> str:
    """The name of a server's cookie: cookies know no ports, and a copied run has the identity of the first."""
    return f"{COOKIE}-{run}-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def guard(token: str, host: str, run: str) -> Any:
    """The middleware that lets in who names this server, holds its token if any, and writes from our page.

    `host` is what the server was told to serve on, `run` the identity of its run.
    """
    cookie = cookie_of(run, token)

    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            _check(request, token, host, cookie)
            answer: web.StreamResponse = await handler(request)
        except web.HTTPException:
            raise
        except UNREADABLE:
            answer = web.Response(status=400, text="the request cannot be read")
        except Exception:
            log.exception("fault at %s", request.path)
            answer = web.Response(status=500, text="a fault of the server's, which its terminal shows")
        if token and request.query.get("token") and answer.status < 400:
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return answer

    return middleware


def _check(request: web.Request, token: str, host: str, cookie: str) -> None:
    """Raise HTTPForbidden for a request that is none of ours, HTTPBadRequest for one whose head makes no sense."""
    try:
        _check_head(request, token, host, cookie)
    except ValueError:  # names, addresses and cookies that are none
        raise web.HTTPBadRequest(text="the request cannot be read") from None


def _check_head(request: web.Request, token: str, host: str, cookie: str) -> None:
    if not _host_is_ours(request, token, host):
        raise web.HTTPForbidden(text="open the address that the server printed")
    asked = (request.query.get("token", ""), request.cookies.get(cookie, ""))
    if token and not any(hmac.compare_digest(given.encode(), token.encode()) for given in asked):
        raise web.HTTPForbidden(text="open the address that the server printed, with its token")
    # Another site's page can send a form, but neither this header nor this type without asking us first.
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    if request.method == "POST" and (
        foreign or MARK not in request.headers or request.content_type != "application/json"
    ):
        raise web.HTTPForbidden(text="decisions are taken from this server's own page only")


def is_local(host: str) -> bool:
    """Whether an address is served to this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def to_open(host: str) -> str:
    """The name to open a server by, as it stands in an address; where it serves everywhere, this machine's address."""
    if _is_everywhere(host):
        host = _own_address(socket.AF_INET6 if ":" in host else socket.AF_INET)
    return f"[{host}]" if ":" in host else host


def _is_everywhere(host: str) -> bool:
    """Whether a host means every address of this machine, however it is written: 0.0.0.0, 0, ::, ::0."""
    with suppress(OSError):
        return not any(socket.inet_pton(socket.AF_INET6, host) if ":" in host else socket.inet_aton(host))
    return not host


def _own_address(family: socket.AddressFamily) -> str:
    """The address by which other machines reach this one; the machine's own where it has no network."""
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect((ELSEWHERE[family == socket.AF_INET6], 9))
            return str(way.getsockname()[0])
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"


def _host_is_ours(request: web.Request, token: str, host: str) -> bool:
    """Whether a request names us: by the name that we serve on, or by address.

    Any other name was made to point here (DNS rebinding). Without a token it must be an address of this machine alone.
    """
    named = (urlsplit(f"//{request.host}").hostname or "").rstrip(".")
    if not token:
        return is_local(named)
    try:
        return bool(ipaddress.ip_address(named))
    except ValueError:
        return named in ("localhost", host.lower().rstrip("."), _in_letters_of_addresses(host))


def _in_letters_of_addresses(host: str) -> str:
    """A name as browsers send it: xn--… where it has other letters than ASCII's."""
    try:
        return host.lower().rstrip(".").encode("idna").decode()
    except UnicodeError:
        return host


def refusal(kind: type[web.HTTPException], why: object) -> web.HTTPException:
    """An answer that says why in letters that can be sent: half a character, or a name that is no UTF-8, cannot."""
    return kind(text=str(why).encode("utf-8", "backslashreplace").decode())


async def read_json(request: web.Request, kind: type) -> Any:
    """What a page sent, as JSON of a kind; HTTPBadRequest for anything else, whatever its headers say of it."""
    try:
        given = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise refusal(web.HTTPBadRequest, f"it is no JSON: {error}") from None
    if not isinstance(given, kind):
        raise refusal(web.HTTPBadRequest, f"it is no {kind.__name__} in JSON")
    return given


def whole_number(text: str, otherwise: int) -> int:
    """A whole number of an address, from 0 on; another one where there is none."""
    return int(text) if text.isdecimal() and len(text) <= DIGITS else otherwise
