"""Undo the Content-Encoding of an answer, although we ask for none.

Servers name an encoding that they did not apply, or what is no encoding at all ("utf-8", "binary"): the bytes decide.
"""

import re
import zlib

from sheetlens.common.refusals import Reason
from sheetlens.fetch.errors import LaterError, RefusedError

UNREAD = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")  # encodings that nobody asked for
READ = ("gzip", "x-gzip", "deflate")
LAYERS = 3  # encodings one upon the other
GZIP = b"\x1f\x8b"
# How pictures begin. Deflate without the head of zlib, as some servers send it, is known by what it holds alone.
PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|II[*+]\0|MM\0[*+]|\0\0\0\x0cjP|\xff\x4f\xff\x51|RIFF....WEBP|GIF8|BM", re.DOTALL
)


class Decoder:
    """Undoes the encodings that an answer names, the last one first, each within `limit` bytes."""

    def __init__(self, header: str, limit: int) -> None:
        """Take the Content-Encoding; raise RefusedError for one that we cannot undo."""
        names = [name.strip().lower() for name in header.split(",")]
        named = [name for name in names if name in READ]
        if missing := [name for name in names if name in UNREAD]:
            raise RefusedError(Reason("encoded", what=missing[0]))
        if len(named) > LAYERS:
            raise RefusedError(Reason("encoded", what=f"{len(named)} times"))
        self._layers = [_Layer(limit) for _ in named]

    @property
    def applied(self) -> bool:
        """Whether the bytes that came were encoded; they tell once there are some."""
        return any(layer.applied for layer in self._layers)

    def undo(self, piece: bytes) -> bytes:
        """What the next piece of the answer holds; the first one should be long enough to tell.

        Raises RefusedError beyond the limit and LaterError for what is broken.
        """
        for layer in reversed(self._layers):
            piece = layer.undo(piece)
        return piece


class _Layer:
    """One encoding: the members of a gzip one after the other (RFC 1952, 2.2), zlib, bare deflate, or none."""

    def __init__(self, limit: int) -> None:
        self._limit, self._received, self._rest = limit, 0, b""
        self._state: zlib._Decompress | None = None
        self._begun = self.applied = False

    def undo(self, piece: bytes) -> bytes:
        if self._begun and not self.applied:
            return piece
        found: list[bytes] = []
        data, self._rest = self._rest + piece, b""
        while data:
            if self._state is None or self._state.eof:
                if len(data) < len(GZIP):
                    self._rest = data
                    break
                if not self._begin(data):
                    return b"".join(found) if self.applied else data
            found.append(self._decompress(data))
            data = self._state.unused_data if self._state else b""
        return b"".join(found)

    def _begin(self, data: bytes) -> bool:
        """Begin a member; what follows the last one is none, and padding."""
        bits = 31 if data.startswith(GZIP) else 0 if self._begun else _bits_of_deflate(data)
        self._begun = True
        if bits:
            self._state, self.applied = zlib.decompressobj(wbits=bits), True
        return bits != 0

    def _decompress(self, data: bytes) -> bytes:
        assert self._state  # noqa: S101 - a member has begun
        try:
            body = self._state.decompress(data, self._limit - self._received + 1)
        except zlib.error:
            raise LaterError(Reason("encoded", what="and broken")) from None
        self._received += len(body)
        if self._received > self._limit:
            raise RefusedError(Reason("too_many_bytes", limit=self._limit))
        return body


def _bits_of_deflate(data: bytes) -> int:
    """How zlib is to read what begins like this (zlib.h, inflateInit2); 0 for what is not encoded."""
    if data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0:  # RFC 1950, 2.2
        return 15
    try:
        bare = zlib.decompressobj(wbits=-15).decompress(data, 16)
    except zlib.error:
        return 0
    return -15 if PICTURE.match(bare) and not PICTURE.match(data) else 0
