"""Bring one body to disk: whole, of the right length and digest, taken up where it broke off."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import PIECE, Session, is_html
from sheetlens.fetch.request_log import Taken


class SpoiltError(LaterError):
    """A whole body that is not what it should be; the same bytes a second time are refused."""


@dataclass(slots=True)
class Body:
    """What arrived."""

    bytes: int
    md5: str
    sha256: str
    content_type: str


class _Digests:
    def __init__(self) -> None:
        self.bytes, self.md5, self.sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()

    def update(self, piece: bytes) -> None:
        self.bytes += len(piece)
        self.md5.update(piece)
        self.sha256.update(piece)

    def read(self, path: Path) -> "_Digests":
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                self.update(piece)
        return self


async def transfer(
    session: Session, taken: Taken, url: str, part: Path, begin: Callable[[str, str, int, str], None], largest: int
) -> Body:
    """Bring what is at an address to the file `part` and check it.

    What is there already is kept if the server confirms that it still has the same file; `begin` is told
    the address, the ETag, the length and the type of a new body. `largest` is the most bytes it may have.
    Raises LaterError, leaving what came for the next attempt, or RefusedError.
    """
    digests, content_type = _Digests(), taken.content_type
    same = taken.begun == url and taken.etag and part.exists()
    if same:
        await asyncio.to_thread(digests.read, part)
    if not (same and digests.bytes == taken.total > 0):
        headers = {"Accept-Encoding": "identity"}
        if digests.bytes:
            headers |= {"Range": f"bytes={digests.bytes}-", "If-Range": taken.etag}
        async with session.open(url, accept=(200, 206, 416), headers=headers) as response:
            content_type = response.content_type
            if response.status != 200 and not _continues(response, taken, digests.bytes):
                part.unlink()
                raise LaterError(f"{response.url.host} did not continue the file where it broke off")
            if response.status == 200:
                digests = _Digests()
            await _receive(session, response, taken, url, part, begin, largest, digests)
    _check(taken, part, digests)
    return Body(digests.bytes, digests.md5.hexdigest(), digests.sha256.hexdigest(), content_type)


async def _receive(
    session: Session,
    response: aiohttp.ClientResponse,
    taken: Taken,
    url: str,
    part: Path,
    begin: Callable[[str, str, int, str], None],
    largest: int,
    digests: _Digests,
) -> None:
    offset = digests.bytes
    length = response.content_length
    total = taken.total if offset else (length or 0)
    limit = min(largest, taken.request.bytes or largest)
    if total > limit:
        part.unlink(missing_ok=True)
        raise RefusedError(f"announces {total:,} bytes, more than the {limit:,} allowed or expected")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise RefusedError("compressed, though it was asked for as it is")
    if not offset:
        begin(url, _validator(response), total, response.content_type)
    with part.open("ab" if offset else "wb", buffering=0) as file:
        async for piece in session.pieces(response, limit - offset):
            if not digests.bytes:
                _check_kind(response, piece)
            file.write(piece)
            digests.update(piece)
    if total and digests.bytes != total:
        raise LaterError(f"ended after {digests.bytes:,} of {total:,} bytes")


def _continues(response: aiohttp.ClientResponse, taken: Taken, offset: int) -> bool:
    """Whether a 206 is the rest of the file that is here, and not of another one or from elsewhere."""
    unit, _, place = response.headers.get("Content-Range", "").partition(" ")
    known = response.headers.get("ETag" if taken.etag.startswith('"') else "Last-Modified", taken.etag) == taken.etag
    end = f"/{taken.total}" if taken.total else ""
    return (
        response.status == 206 and unit == "bytes" and place.startswith(f"{offset}-") and place.endswith(end) and known
    )


def _validator(response: aiohttp.ClientResponse) -> str:
    """What identifies a version of a file strongly enough to join parts of it (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _check_kind(response: aiohttp.ClientResponse, beginning: bytes) -> None:
    if is_html(response, beginning):
        raise LaterError(f"{response.url.host} answered with an HTML page, not the file")
    if "svg" in response.content_type or b"<svg" in beginning[:500]:
        raise RefusedError("a drawing (SVG) in place of the photograph: the service does not have it")


def _check(taken: Taken, part: Path, digests: _Digests) -> None:
    request, found = taken.request, digests.sha256.hexdigest()
    reason = ""
    if not digests.bytes:
        part.unlink(missing_ok=True)
        raise LaterError("the answer was empty")
    if request.bytes and digests.bytes != request.bytes:
        reason = f"has {digests.bytes:,} bytes, {request.bytes:,} expected"
    elif request.md5 and digests.md5.hexdigest() != request.md5.lower():
        reason = f"has the MD5 {digests.md5.hexdigest()}, {request.md5.lower()} expected"
    elif request.sha256 and found != request.sha256.lower():
        reason = f"has the SHA-256 {found}, {request.sha256.lower()} expected"
    if reason:
        spoil(taken, part, found, reason)


def spoil(taken: Taken, part: Path, sha256: str, reason: str) -> None:
    """Drop a body that is not what it should be; raise RefusedError if the same came before, else SpoiltError."""
    part.unlink(missing_ok=True)
    if taken.spoilt == sha256:
        raise RefusedError(f"{reason} (twice the same)")
    taken.spoilt = sha256
    raise SpoiltError(reason)
