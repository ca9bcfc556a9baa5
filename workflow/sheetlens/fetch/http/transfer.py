"""Bring one body to disk: whole, of the right length and digest, taken up where it broke off."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sheetlens.common.refusals import Reason, code_of
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.encodings import Decoder
from sheetlens.fetch.http.session import BEGINNING, PIECE, Session, is_html
from sheetlens.fetch.request_log import Taken

WHOLE = (200, 203)  # answers that are a whole file; 203: by a proxy that changed something about it
ACCEPTED = (*WHOLE, 206, 416)
PAGES = ("a page", "a page again")  # in place of the digest of a spoilt body: a third page is the answer


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
        headers = {"Accept": "image/*,*/*;q=0.8", "Accept-Encoding": "identity"}
        if digests.bytes:
            headers |= {"Range": f"bytes={digests.bytes}-", "If-Range": taken.etag}
        try:
            async with session.open(url, accept=ACCEPTED, headers=headers, auto_decompress=False) as response:
                content_type = response.content_type
                if _is_whole(response, taken):
                    digests = _Digests()
                elif "Range" not in headers:
                    raise RefusedError(Reason("status", host=response.url.host, status=_unasked(response.status)))
                elif not _continues(response, taken, digests.bytes):
                    raise RefusedError(Reason("not_continued", host=response.url.host))
                await _receive(session, response, taken, url, part, begin, largest, digests)
        except (RefusedError, LaterError) as error:
            if "Range" not in headers or not _minds_ranges(error):
                raise
            part.unlink(missing_ok=True)  # asked for all of it, the server may have no objection
            return await transfer(session, taken, url, part, begin, largest)
    _check(taken, part, digests)
    return Body(digests.bytes, digests.md5.hexdigest(), digests.sha256.hexdigest(), content_type)


def _unasked(status: int) -> str:
    """What an answer to a request for the rest of a file says where none was made."""
    what = "with a part of the file" if status == 206 else "as if for a part of the file"
    return f"{status} {what}, though all of it was asked for"


def _minds_ranges(error: RefusedError | LaterError) -> bool:
    """Whether an answer may be one to our asking for the rest of a file, and not to the file."""
    if isinstance(error, RefusedError):
        return error.status > 0 or code_of(error.reason) == "not_continued"
    return error.status == 500


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
        raise RefusedError(Reason("announced", total=total, limit=limit))
    decoder = Decoder("" if offset else response.headers.get("Content-Encoding", ""), limit)
    pieces = session.pieces(response, limit - offset)
    body = decoder.undo(await _beginning(pieces))
    coded = decoder.applied
    if not offset:
        _check_kind(taken, response, body)
        begin(url, "" if coded else _validator(response), 0 if coded else total, response.content_type)
    with part.open("ab" if offset else "wb", buffering=0) as file:
        file.write(body)
        digests.update(body)
        async for piece in pieces:
            body = decoder.undo(piece)
            file.write(body)
            digests.update(body)
    if total and not coded and digests.bytes != total:
        raise LaterError(Reason("ended_early", bytes=digests.bytes, total=total))


async def _beginning(pieces: AsyncIterator[bytes]) -> bytes:
    """As much of a body as tells what it is: the first piece may have a single byte."""
    first = b""
    while len(first) < BEGINNING and (piece := await anext(pieces, b"")):
        first += piece
    return first


def _is_whole(response: aiohttp.ClientResponse, taken: Taken) -> bool:
    """Whether an answer is a whole file; some servers say of it that it is the part from 0 to its end."""
    found = re.fullmatch(r"bytes 0-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
    every = found is not None and int(found[1]) + 1 == int(found[2])
    return response.status in WHOLE or (response.status == 206 and every)


def _continues(response: aiohttp.ClientResponse, taken: Taken, offset: int) -> bool:
    """Whether a 206 is the rest of the file that is here, and not of another one or from elsewhere."""
    unit, _, place = response.headers.get("Content-Range", "").partition(" ")
    known = response.headers.get("ETag" if taken.etag.startswith('"') else "Last-Modified", taken.etag) == taken.etag
    end = (f"/{taken.total}", "/*") if taken.total else ""
    return (
        response.status == 206 and unit == "bytes" and place.startswith(f"{offset}-") and place.endswith(end) and known
    )


def _validator(response: aiohttp.ClientResponse) -> str:
    """What identifies a version of a file strongly enough to join parts of it (RFC 9110, 13.1.5)."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _check_kind(taken: Taken, response: aiohttp.ClientResponse, beginning: bytes) -> None:
    """Refuse what is no file at all; a page not at once, for it may be one of a bad moment."""
    if is_html(beginning):
        reason = Reason("html", host=response.url.host, what="the file")
        if taken.spoilt == PAGES[-1]:
            raise RefusedError(reason)
        taken.spoilt = PAGES[PAGES.index(taken.spoilt) + 1] if taken.spoilt in PAGES else PAGES[0]
        raise LaterError(reason, of_host=False)
    if b"<svg" in beginning[:500]:
        raise RefusedError(Reason("svg"))


def _check(taken: Taken, part: Path, digests: _Digests) -> None:
    request, found = taken.request, digests.sha256.hexdigest()
    reason = ""
    if not digests.bytes:
        part.unlink(missing_ok=True)
        raise LaterError(Reason("no_bytes"))
    if request.bytes and digests.bytes != request.bytes:
        reason = f"{digests.bytes:,} bytes, {request.bytes:,}"
    elif request.md5 and digests.md5.hexdigest() != request.md5.lower():
        reason = f"the MD5 {digests.md5.hexdigest()}, {request.md5.lower()}"
    elif request.sha256 and found != request.sha256.lower():
        reason = f"the SHA-256 {found}, {request.sha256.lower()}"
    if reason:
        spoil(taken, part, found, Reason("not_as_expected", what=reason))


def spoil(taken: Taken, part: Path, sha256: str, reason: str) -> None:
    """Drop a body that is not what it should be; raise RefusedError if the same came before, else SpoiltError."""
    part.unlink(missing_ok=True)
    if taken.spoilt == sha256:
        raise RefusedError(Reason.of({"reason": f"{reason} (twice the same)", "reason_code": code_of(reason)}))
    taken.spoilt = sha256
    raise SpoiltError(reason, of_host=False)
