"""Who is served: names, tokens, cookies, headers of every answer, and connections that ask for nothing."""

import asyncio
import json
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sheetlens.review.access import HEADERS, MARK, is_local, to_open
from sheetlens.review.decisions import NAME, Journal, read_entries
from sheetlens.review.queue import open_run
from sheetlens.review.server import make_app
from tests.browser.runs import write_run
from tests.unit.review.test_review import answer

FILES = 256  # that a server may open in the tests: fewer than there are half-sent requests


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("access") / "run", 5)


@contextmanager
def served(run, *options):
    """The command, with the address that it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))  # noqa: E731
    command = [sys.executable, "-m", "sheetlens", "review", str(run), "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=limit)
    try:
        line = next(line for line in process.stderr if "open http" in line or "error" in line)
        yield port, re.search(r"open (\S+)", line)[1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=20) as found:
            return found.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname()])
def test_the_address_that_is_printed_can_be_opened(run, host):
    with served(run, "--host", host) as (_, address):
        assert status(address) == 200
        assert "0.0.0.0" not in address and "[::]" not in address
        assert ("token=" in address) == (host not in ("localhost", "127.0.0.1", "::1"))
        if "token=" in address:
            assert status(address.split("?")[0]) == 403


@pytest.mark.parametrize("host", ["no-such-machine.invalid", "256.1.1.1", "a" * 300, "1.1.1.1"])
def test_what_cannot_be_served_on_is_one_sentence(run, host):
    command = [sys.executable, "-m", "sheetlens", "review", str(run), "--port", "8699", "--host", host]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "cannot serve on" in result.stderr and "Traceback" not in result.stderr


def test_only_what_is_served_to_this_machine_alone_goes_without_a_token():
    hosts = {"127.0.0.1": True, "127.8.8.8": True, "::1": True, "LOCALHOST": True, "10.0.0.1": False, "pc": False}
    assert {host: is_local(host) for host in hosts} == hosts
    assert to_open("::1") == "[::1]" and to_open("pc") == "pc"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nothing.js", None, 404),
        ("GET", "/pictures/x.jpg", None, 404),
        ("DELETE", "/decisions", None, 405),
        ("POST", "/decisions", b"{", 400),
        ("POST", "/decisions", b" " * 2**21, 413),
        ("GET", "/decisions?run=another", None, 409),
        ("GET", "/", None, 200),
    ],
)
def test_answers_to_faults_have_the_same_headers(run, method, path, body, expected):
    headers = {MARK: "1", "Content-Type": "application/json"} if body else {}
    given = answer(run, method, path, data=body, headers=headers)
    assert given.status == expected
    assert {name: given.headers.get(name) for name in HEADERS} == HEADERS
    assert given.headers["Content-Type"].split(";")[0] in ("text/plain", "text/html")


def test_a_fault_of_the_servers_own_has_them_too(run, monkeypatch):
    monkeypatch.setattr("sheetlens.review.queue.Queue.detail", lambda *_: 1 / 0)
    key = open_run(run).sheets["key"].iloc[0]
    given = answer(run, "GET", f"/sheets/{key}.json")
    assert given.status == 500 and {name: given.headers.get(name) for name in HEADERS} == HEADERS


def test_what_is_no_http_is_answered_with_the_same_headers(run):
    with served(run) as (port, _), socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n")
        said = connection.recv(10_000).decode()
    assert said.startswith("HTTP/1.1 400") or said.startswith("HTTP/1.0 400")
    assert all(f"{name}: {value}" in said for name, value in HEADERS.items())


def test_two_servers_of_one_machine_share_no_cookie(tmp_path):
    names = set()
    for name in ("a", "b"):
        given = answer(write_run(tmp_path / name, 3), "GET", "/?token=right", token="right")
        names.add(given.headers["Set-Cookie"].split("=")[0])
    assert len(names) == 2


def test_the_servers_of_a_run_and_of_its_copy_share_no_cookie(tmp_path):
    run = write_run(tmp_path / "a", 3)
    Journal(run / NAME).close()
    shutil.copytree(run, tmp_path / "b")
    given = [
        answer(folder, "GET", f"/?token={token}", token=token) for folder, token in ((run, "x"), (tmp_path / "b", "y"))
    ]
    assert len({one.headers["Set-Cookie"].split("=")[0] for one in given}) == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0", "0.0", "0x0", "::0", "0:0:0:0:0:0:0:0"])
def test_no_address_is_printed_that_means_every_one(host):
    assert to_open(host).strip("[]") not in ("", host) and not to_open(host).startswith("[::0")


def test_a_machine_with_other_letters_is_known_as_browsers_name_it(tmp_path):
    run = write_run(tmp_path / "a", 3)
    for sent, status in (("xn--mller-pc-65a", 200), ("m\u00fcller-pc", 200), ("xn--other", 403)):
        assert (
            answer(run, "GET", "/?token=x", token="x", host="m\u00fcller-pc", headers={"Host": sent}).status == status
        )


def test_a_cookie_of_another_server_lets_nobody_in(tmp_path):
    one, other = (write_run(tmp_path / name, 3) for name in ("a", "b"))
    cookie = answer(one, "GET", "/?token=right", token="right").headers["Set-Cookie"].split(";")[0]
    assert answer(one, "GET", "/", token="right", headers={"Cookie": cookie}).status == 200
    assert answer(other, "GET", "/", token="right", headers={"Cookie": cookie}).status == 403


def test_half_sent_requests_do_not_stop_the_server(run):
    with served(run) as (port, address):
        waiting = []
        for number in range(2 * FILES):
            try:
                connection = socket.create_connection(("127.0.0.1", port), 5)
            except OSError:
                break
            begun = [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: b\r\n", b"", b"POST /decisions HTTP/1.1\r\n"]
            connection.sendall(begun[number % 3])
            waiting.append(connection)
        start = time.monotonic()
        assert status(address) == 200
        assert time.monotonic() - start < 5
        for connection in waiting:
            connection.close()


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_a_head(run, monkeypatch):
    monkeypatch.setattr("sheetlens.review.connections.LONGEST", 0.5)
    from sheetlens.review.connections import Door

    async def once():
        journal, door = Journal(run / NAME), Door()
        app = make_app(open_run(run), journal, "", door=door)
        async with TestClient(TestServer(app)) as client:

            async def body():
                yield b"["
                await asyncio.sleep(5)
                yield b"]"

            headers = {MARK: "1", "Content-Type": "application/json"}
            given = await client.post("/decisions", data=body(), headers=headers)
            journal.close()
            return given.status

    assert asyncio.run(once()) == 408


def test_decisions_that_cannot_be_kept_are_refused_with_the_reason(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sheetlens.common.files.write_all", full)
    queue = open_run(run)
    entry = {"id": "1", "key": queue.sheets["key"].iloc[0], "reviewer": "Ada", "decision": "unsure", "label": ""}
    entry |= {"time": "2026-01-01T00:00:00Z", "undoes": ""}

    async def once():
        journal = Journal(run / NAME)
        async with TestClient(TestServer(make_app(queue, journal, ""))) as client:
            given = await client.post("/decisions", json=[entry], headers={MARK: "1"})
            journal.close()
            return given.status, await given.text()

    assert asyncio.run(once()) == (503, "the disk is full")


@pytest.mark.parametrize(
    "change", [{"run": "another"}, {"key": "0" * 16}, {"reviewer": "Ann \ud83d"}, {"time": "9" * 20}]
)
def test_decisions_of_another_run_and_half_characters_are_refused(run, change):
    queue = open_run(run)
    entry = {"id": "1", "key": queue.sheets["key"].iloc[0], "reviewer": "Ada", "decision": "unsure", "label": ""}
    entry |= {"time": "2026-01-01T00:00:00Z", "undoes": "", "run": queue.run} | change
    data = json.dumps([entry]).encode()
    headers = {MARK: "1", "Content-Type": "application/json"}
    assert answer(run, "POST", "/decisions", data=data, headers=headers).status == (409 if "run" in change else 400)
    assert not [one for one in (run / NAME).read_text().splitlines() if '"id": "1"' in one]


def test_no_sheet_of_one_run_has_the_key_of_a_sheet_of_another(tmp_path):
    runs = [write_run(tmp_path / name, 5) for name in ("a", "b")]
    queues = [open_run(run) for run in runs]
    assert list(queues[0].sheets["image_id"]) == list(queues[1].sheets["image_id"])
    assert not set(queues[0].sheets["key"]) & set(queues[1].sheets["key"])
    assert list(open_run(runs[0]).sheets["key"]) == list(queues[0].sheets["key"]), "and they stay"


def test_a_copied_run_takes_no_decision_of_a_page_of_the_first_but_keeps_what_was_decided(tmp_path):
    run = write_run(tmp_path / "run", 5)
    queue = open_run(run)
    entry = {"key": queue.sheets["key"].iloc[0], "reviewer": "Ada", "decision": "unsure", "label": "", "undoes": ""}
    entry |= {"time": "2026-01-01T00:00:00Z"}

    def send(folder, number, **change):
        body, headers = json.dumps([entry | {"id": number} | change]), {MARK: "1", "Content-Type": "application/json"}
        return answer(folder, "POST", "/decisions", data=body.encode(), headers=headers).status

    assert send(run, "1", run=queue.run) == 200
    copy = shutil.copytree(run, tmp_path / "copy")
    assert send(copy, "2", run=queue.run) == 409
    assert send(copy, "2") == 400, "the key alone tells"
    own = open_run(copy)
    assert send(copy, "3", run=own.run, key=own.sheets["key"].iloc[0]) == 200
    assert [[one["id"] for one in read_entries(which / NAME)] for which in (run, copy)] == [["1"], ["1", "3"]]
