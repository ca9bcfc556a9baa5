"""Hosts that fail or ask for long pauses: they are left alone, no file is lost for good, and nobody waits for hours."""

import pytest

from sheetlens.config import Fetch, HostLimit
from sheetlens.fetch.listing import Request
from sheetlens.fetch.request_log import Journal
from tests.services.fetching import bring
from tests.services.plain import picture
from tests.unit.fetch.odd_server import odd_server, reply

BODY = picture("a.jpg")
GONE = reply(status="404 Not Found")
PAUSE = reply(status="503 Service Unavailable", Retry_After="7200")


@pytest.fixture(autouse=True)
def nothing_waits_for_hours(monkeypatch):
    retry = Journal.retry

    def soon(journal, image_id, seconds, spoilt):
        assert seconds < 60, "a row is put back for longer than anybody waits"
        retry(journal, image_id, seconds, spoilt)

    monkeypatch.setattr(Journal, "retry", soon)


def two_hosts(first, second, folder, names=("a.jpg",), finish=True):
    """Fetch files that lie on two hosts each; the rows, and what each host was asked."""
    hosts = {host: HostLimit(rate=1000, connections=1) for host in ("127.0.0.1", "localhost")}
    settings = Fetch(allow=["127.0.0.0/8", "::1/128"], hosts=hosts, pause=0.01, attempts=3, patience=3)
    with odd_server(first) as (one, asked_one), odd_server(second) as (two, asked_two):
        two = two.replace("127.0.0.1", "localhost")
        rows = bring(settings, folder, [Request(name, (f"{one}/{name}", f"{two}/{name}")) for name in names], finish)
    return rows, asked_one, asked_two


def test_a_second_host_that_asks_for_hours_ends_its_rows_unsettled(tmp_path):
    names = ("a.jpg", "b.jpg")
    rows, one, two = two_hosts(lambda *_: GONE, lambda *_: PAUSE, tmp_path, names, finish=False)
    assert rows["a.jpg"]["reason"] == "127.0.0.1 answered 404 Not Found; localhost answered 503 Service Unavailable"
    assert rows["b.jpg"]["reason"].endswith(
        "; localhost asked to be left alone for more than 60 minutes: run again later"
    )
    assert (sorted(one), two) == (["/a.jpg", "/b.jpg"], ["/a.jpg"])
    rows, *_ = two_hosts(lambda *_: GONE, lambda *_: reply(BODY), tmp_path, names)
    assert {row["status"] for row in rows.values()} == {"ok"}, "not settled: the same command asks again"


def test_a_host_that_may_answer_soon_is_asked_again_though_the_other_asks_for_hours(tmp_path):
    def soon(path, headers, count):
        return reply(BODY) if count > 1 else reply(status="503 Service Unavailable")

    rows, one, two = two_hosts(soon, lambda *_: PAUSE, tmp_path)
    assert (rows["a.jpg"]["status"], len(one), len(two)) == ("ok", 2, 1)


def test_a_single_wish_for_hours_is_not_told_as_many_faults(tmp_path):
    rows, one, _ = two_hosts(lambda *_: PAUSE, lambda *_: GONE, tmp_path, ("a.jpg", "b.jpg"))
    said = "localhost answered 404 Not Found; 127.0.0.1 answered 503 Service Unavailable"
    assert rows["a.jpg"]["reason"] == said
    assert rows["b.jpg"]["reason"] == "127.0.0.1 asked to be left alone for more than 60 minutes: run again later"
    assert one == ["/a.jpg"]
