"""A server that answers byte by byte, as no library would: what to say stands in the test."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sheetlens.config import Fetch, HostLimit

Answer = Callable[[str, dict[str, str], int], bytes]  # path, headers (small letters), how often it was asked


def reply(body: bytes = b"", status: str = "200 OK", length: bool = True, **headers: str) -> bytes:
    """An answer; header names as Content_Type="..."."""
    lines = [f"HTTP/1.1 {status}", *([f"Content-Length: {len(body)}"] if length else [])]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def settings(**more) -> Fetch:
    """How such a server is asked: at once, and not for long."""
    hosts = {"127.0.0.1": HostLimit(rate=1000, connections=4)}
    return Fetch(**{"allow": ["127.0.0.0/8"], "hosts": hosts, "pause": 0.01, "attempts": 4, "patience": 5} | more)


@contextmanager
def odd_server(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Serve on this machine: the address it has, and the paths that were asked for."""
    asked: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        asked.append(path)
        pairs = (line.split(":", 1) for line in head[1:] if ":" in line)
        headers = {name.lower(): value.strip() for name, value in pairs}
        writer.write(answer(path, headers, asked.count(path)))
        await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(handle, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()
