"""Requests that nobody's page sends: 4xx with our headers, and nothing on the server's terminal."""

import asyncio
import os

import numpy as np
import pytest
from aiohttp import web

from sheetlens.config import LIMITS
from sheetlens.label.server import make_app as make_label_app
from sheetlens.review.access import HEADERS, MARK, cookie_of
from sheetlens.review.connections import Door
from sheetlens.review.decisions import NAME, Journal
from sheetlens.review.photographs import read_picture
from sheetlens.review.queue import open_run
from sheetlens.review.server import make_app
from tests.browser.runs import write_run
from tests.unit.label.test_session import photographs, session  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("requests") / "run", 5)


def sent(app, door, head, body=b""):
    """Send one request as it is; the status and the head of the answer."""

    async def once():
        runner = web.AppRunner(app)
        await runner.setup()
        door.open(runner.server)
        async with await asyncio.get_running_loop().create_server(door, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            writer.write(b"\r\n".join(head) + b"\r\n" + length + body)
            said = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            await runner.cleanup()
            return int(said.split()[1]), said.split(b"\r\n\r\n")[0].decode()

    return asyncio.run(once())


def asked(run, head, body=b"", token=""):
    journal, door = Journal(run / NAME), Door()
    head = [line.replace(b"COOKIE", cookie_of(journal.run, token).encode()) for line in head]
    try:
        return sent(make_app(open_run(run), journal, token, door=door), door, head, body)
    finally:
        journal.close()


def post(*more, path=b"/decisions", kind=b"application/json"):
    return [b"POST %b HTTP/1.1" % path, b"Host: 127.0.0.1", b"Content-Type: " + kind, f"{MARK}: 1".encode(), *more]


GET = b"GET / HTTP/1.1"
ODD = {
    "an open bracket for a host": ([GET, b"Host: ["], b"", (400,)),
    "a closed bracket for a host": ([GET, b"Host: ]"], b"", (400,)),
    "a host of brackets": ([GET, b"Host: [::1"], b"", (400,)),
    "a port that is none": ([GET, b"Host: 127.0.0.1:x"], b"", (200, 400, 403)),
    "an origin that is none": (post(b"Origin: http://["), b"[]", (400,)),
    "our cookie with half a character": ([GET, b"Host: 127.0.0.1", b"Cookie: COOKIE=\xff"], b"", (200, 400)),
    "letters that nobody knows": (post(kind=b"application/json; charset=nonsense"), b"[{}]", (400,)),
    "gzip that is none": (post(b"Content-Encoding: gzip"), b"[]", (400,)),
    "deflate that is none": (post(b"Content-Encoding: deflate"), b"[]" * 99, (400,)),
    "half of a JSON": (post(), b"[{", (400,)),
    "bytes": (post(), b"\xff\xfe\xfd", (400,)),
    "a number": (post(), b"5", (400,)),
    "nothing": (post(), b"null", (400,)),
    "an object": (post(), b'{"id": 1}', (400,)),
    "a list of numbers": (post(), b"[5]", (400,)),
    "half a character for a key": (post(), b'[{"key": "\\ud800", "\\ud800": 1}]', (400,)),
    "too deep": (post(), b"[" * 100_000, (400,)),
    "a number without end": (post(), b"[" + b"9" * 5000 + b"]", (400,)),
    "a wish that nobody fulfils": ([GET, b"Host: 127.0.0.1", b"Expect: nonsense"], b"", (417,)),
    "a wish for what is not there": ([b"GET /x/y/z HTTP/1.1", b"Host: 127.0.0.1", b"Expect: nonsense"], b"", (417,)),
    "digits": ([b"GET /decisions?since=" + b"9" * 5000 + b" HTTP/1.1", b"Host: 127.0.0.1"], b"", (200,)),
}


def is_quiet(caplog):
    return not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@pytest.mark.parametrize("token", ["", "secret"])
@pytest.mark.parametrize("odd", ODD)
def test_what_nobodys_page_sends_is_refused_without_a_fault(run, caplog, odd, token):
    head, body, expected = ODD[odd]
    status, said = asked(run, head, body, token)
    assert status in expected or (token and status == 403)
    assert all(f"{name}: {value}" in said for name, value in HEADERS.items())
    assert is_quiet(caplog)


LABEL = {
    "a list": (post(path=b"/classes"), b"[]", 400),
    "a number": (post(path=b"/classes"), b"5", 400),
    "nothing": (post(path=b"/classes"), b"null", 400),
    "half of a JSON": (post(path=b"/classes"), b"{", 400),
    "half a character": (post(path=b"/classes"), b'{"name": "\\ud800"}', 400),
    "half a character for another": (post(path=b"/classes"), b'{"rename": "\\ud800", "name": "x"}', 400),
    "a list for a name": (post(path=b"/classes"), b'{"rename": ["a"], "name": ["x"]}', 400),
    "letters that nobody knows": (post(path=b"/classes", kind=b"application/json; charset=nonsense"), b"{", 400),
    "gzip that is none": (post(b"Content-Encoding: gzip"), b"[]", 400),
    "no decisions": (post(), b'[{"run": "\\ud800"}]', 409),
    "a host that is none": ([GET, b"Host: ["], b"", 400),
    "a wish that nobody fulfils": ([GET, b"Host: 127.0.0.1", b"Expect: nonsense"], b"", 417),
    "digits": ([b"GET /next.json?count=" + b"9" * 5000 + b" HTTP/1.1", b"Host: 127.0.0.1"], b"", 200),
    "digits of another script": ([b"GET /next.json?count=%C2%B2 HTTP/1.1", b"Host: 127.0.0.1"], b"", 200),
}


@pytest.mark.parametrize("odd", LABEL)
def test_what_nobodys_page_sends_to_a_labelling_is_refused_without_a_fault(session, caplog, odd):  # noqa: F811
    head, body, expected = LABEL[odd]
    door = Door()
    status, said = sent(make_label_app(session, "", "127.0.0.1", LIMITS, door), door, head, body)
    assert status == expected
    assert all(f"{name}: {value}" in said for name, value in HEADERS.items())
    assert is_quiet(caplog)


@pytest.mark.parametrize("size", [0, 7, 200, 100_000])
def test_an_image_set_that_was_cut_short_shows_nothing_and_is_no_fault(tmp_path, size):
    run = write_run(tmp_path / "run", 5)
    queue = open_run(run)
    queue.sheets["row"], queue.sheets["path"] = 0, ""
    (run / "images").mkdir()
    np.save(run / "images/pixels.npy", np.zeros((2, 3, 256, 256), np.uint8))
    assert read_picture(queue, 0).size == (256, 256)
    os.truncate(run / "images/pixels.npy", size)
    with pytest.raises(OSError, match=r"pixels\.npy is damaged .*: let the workflow make it again"):
        read_picture(queue, 0)
