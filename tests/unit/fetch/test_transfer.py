"""Bodies that break off, change, lie about their length or come too slowly; politeness as the server sees it."""

import hashlib
import sqlite3
import time

import pytest

from sheetlens.common.errors import UserError, sentence_for
from sheetlens.config import HostLimit
from sheetlens.fetch.http.rate_limits import retry_after
from sheetlens.fetch.listing import Request
from sheetlens.fetch.request_log import Journal
from tests.services.fetching import bring
from tests.services.plain import picture

PATH = "/images/a.jpg"


def one(services, **facts):
    return [Request("a.jpg", (services.url(PATH),), **facts)]


def arrivals(services, host="127.0.0.1"):
    return services.counters()["hosts"][host]["arrivals"]


def test_a_broken_body_is_taken_up_where_it_ended(services, tmp_path):
    services.faults(next={PATH: ["reset"]})
    assert bring(services.settings(), tmp_path, one(services))["a.jpg"]["status"] == "ok"
    assert (tmp_path / "originals/a.jpg").read_bytes() == picture("a.jpg")
    counters = services.counters()
    version = f'"{hashlib.md5(picture("a.jpg")).hexdigest()}"'
    assert counters["ranges"] == [[PATH, len(picture("a.jpg")) // 2, version]]
    assert counters["completed"] == {}  # the second answer was only the rest


def test_a_file_that_changed_meanwhile_is_begun_anew(services, tmp_path):
    services.faults(next={PATH: ["reset"]})
    bring(services.settings(attempts=1), tmp_path, one(services), finish=False)
    services.store(versions={"a.jpg": "another.jpg"})
    assert bring(services.settings(), tmp_path, one(services))["a.jpg"]["status"] == "ok"
    assert (tmp_path / "originals/a.jpg").read_bytes() == picture("another.jpg")
    assert len(services.counters()["ranges"]) == 1


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_etag_nothing_is_joined(services, tmp_path, etag):
    services.store(etag=etag)
    services.faults(next={PATH: ["reset"]})
    assert bring(services.settings(), tmp_path, one(services))["a.jpg"]["status"] == "ok"
    assert services.counters()["ranges"] == []


@pytest.mark.parametrize("kind", ["elsewhere", "less", "other"])
def test_another_part_than_the_one_asked_for_is_not_taken_for_it(services, tmp_path, kind):
    services.faults(next={PATH: ["reset", kind]})
    rows = bring(services.settings(), tmp_path, one(services), check=lambda path: None)
    assert rows["a.jpg"]["status"] == "ok"
    assert (tmp_path / "originals/a.jpg").read_bytes() == picture("a.jpg")


def test_a_whole_body_that_was_not_noted_is_not_fetched_again(services, tmp_path):
    """Killed between the last byte and the journal's note: the part is whole, the server is not asked."""
    services.faults(next={PATH: ["reset"]})
    refused = bring(services.settings(attempts=1), tmp_path, one(services), finish=False)["a.jpg"]
    assert (refused["status"], refused["content_type"]) == ("refused", "")
    (part,) = (tmp_path / "fetch/parts").iterdir()
    part.write_bytes(picture("a.jpg"))
    row = bring(services.settings(), tmp_path, one(services))["a.jpg"]
    assert (row["status"], row["content_type"]) == ("ok", "image/jpeg")
    assert services.counters()["requests"] == {PATH: 1}


def test_a_file_that_is_gone_is_fetched_again_and_no_other(services, tmp_path):
    requests = [*one(services), Request("b.jpg", (services.url("/images/b.jpg"),))]
    bring(services.settings(), tmp_path, requests)
    (tmp_path / "originals/a.jpg").unlink()
    assert bring(services.settings(), tmp_path, requests)["a.jpg"]["status"] == "ok"
    assert services.counters()["requests"] == {PATH: 2, "/images/b.jpg": 1}


def test_another_request_for_the_same_name_is_fetched(services, tmp_path):
    bring(services.settings(), tmp_path, one(services))
    bring(services.settings(), tmp_path, [Request("a.jpg", (services.url("/images/c.jpg"),))])
    assert (tmp_path / "originals/a.jpg").read_bytes() == picture("c.jpg")


def test_a_no_is_not_asked_again_until_the_run_has_ended(services, tmp_path):
    services.faults(next={PATH: ["404"]})
    for _ in range(2):
        assert bring(services.settings(), tmp_path, one(services), finish=False)["a.jpg"]["status"] == "refused"
    assert services.counters()["requests"] == {PATH: 1}
    bring(services.settings(), tmp_path, one(services))
    assert bring(services.settings(), tmp_path, one(services))["a.jpg"]["status"] == "ok"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"md5": "0" * 32}, "0" * 32 + " expected (twice the same)"),
        ({"sha256": "0" * 64}, "0" * 64 + " expected (twice the same)"),
        ({"bytes": 10**6}, "1,000,000 expected (twice the same)"),
        ({"bytes": 7}, "more than the 7 allowed or expected"),
    ],
)
def test_what_is_not_as_expected_is_refused(services, tmp_path, facts, reason):
    row = bring(services.settings(), tmp_path, one(services, **facts))["a.jpg"]
    assert row["status"] == "refused"
    assert reason in row["reason"]
    assert not (tmp_path / "originals/a.jpg").exists()
    assert services.counters()["requests"][PATH] <= 2


@pytest.mark.parametrize(("kind", "reason"), [("drip", "slower than 1,000 bytes a second"), ("stall", "no answer for")])
def test_what_comes_too_slowly_is_given_up(services, tmp_path, kind, reason):
    services.faults(always={PATH: kind})
    start = time.monotonic()
    row = bring(services.settings(attempts=2, patience=0.5), tmp_path, one(services))["a.jpg"]
    assert reason in row["reason"]
    assert time.monotonic() - start < 10
    services.faults(always={PATH: ""})
    assert bring(services.settings(), tmp_path, one(services))["a.jpg"]["status"] == "ok"


@pytest.mark.parametrize(("kind", "seconds"), [("429", 1), ("429 date", 1)])
def test_the_whole_host_is_left_in_peace_for_as_long_as_it_asks(services, tmp_path, kind, seconds):
    services.faults(next={PATH: [kind]})
    names = ["a.jpg", "b.jpg", "c.jpg"]
    settings = services.settings(hosts={"127.0.0.1": HostLimit(rate=20, connections=1)})
    rows = bring(settings, tmp_path, [Request(name, (services.url(f"/images/{name}"),)) for name in names])
    assert all(row["status"] == "ok" for row in rows.values())
    first, second = arrivals(services)[:2]
    assert second - first >= seconds * 0.95


def test_a_host_that_asks_for_days_is_left_alone(services, tmp_path):
    services.faults(always={PATH: "429 long"})
    names = ["a.jpg", "b.jpg", "c.jpg"]
    settings = services.settings(hosts={"127.0.0.1": HostLimit(rate=20, connections=1)})
    rows = bring(settings, tmp_path, [Request(name, (services.url(f"/images/{name}"),)) for name in names])
    assert all(row["status"] == "refused" for row in rows.values())
    assert rows["a.jpg"]["reason"] == "127.0.0.1 answered 429 Too Many Requests"
    said = "127.0.0.1 asked to be left alone for more than 60 minutes: run again later"
    assert (rows["c.jpg"]["reason"], rows["c.jpg"]["reason_code"]) == (said, "host_down")
    assert len(arrivals(services)) == 1


def test_a_host_that_only_fails_is_left_alone(services, tmp_path):
    services.faults(share=1, prefix="/images/", kinds=["503"])
    requests = [Request(f"{n}.jpg", (services.url(f"/images/{n}.jpg"),)) for n in range(100)]
    requests += [Request("other.jpg", (services.url("/round", host=2),))]
    rows = bring(services.settings(pause=0.001), tmp_path, requests)
    assert {row["status"] for row in rows.values()} == {"refused"}
    assert len(arrivals(services)) <= 12 + 4
    assert "127.0.0.1 failed 12 times in a row: run again later" in rows["99.jpg"]["reason"]
    assert "redirected more than 10 times" in rows["other.jpg"]["reason"]


def test_the_server_sees_no_more_than_the_limits(services, tmp_path):
    limits = {"127.0.0.1": HostLimit(rate=40, connections=2), "127.0.0.2": HostLimit(rate=20, connections=1)}
    requests = [
        Request(f"{host}/{n}.jpg", (services.url(f"/images/{host}-{n}.jpg", host),))
        for host in (1, 2) for n in range(50 // host)
    ]  # fmt: skip
    bring(services.settings(hosts=limits), tmp_path, requests)
    hosts = services.counters()["hosts"]
    for host, limit in limits.items():
        assert hosts[host]["most_active"] <= limit.connections
        assert hosts[host]["most_connections"] <= limit.connections
        assert busiest_second(hosts[host]["arrivals"]) <= limit.rate + 1


def test_a_host_that_others_redirect_to_is_not_crowded(services, tmp_path):
    services.faults(share=1, prefix="/images/", kinds=["slow"])
    limits = {f"127.0.0.{host}": HostLimit(rate=1000, connections=4) for host in (2, 3, 4)}
    limits["127.0.0.1"] = HostLimit(rate=1000, connections=1)
    places = [f"/redirect?to={services.url(f'/images/{number}.jpg')}" for number in range(12)]
    requests = [Request(f"{n}.jpg", (services.url(place, 2 + n % 3),)) for n, place in enumerate(places)]
    rows = bring(services.settings(hosts=limits), tmp_path, requests)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert services.counters()["hosts"]["127.0.0.1"]["most_active"] == 1


def busiest_second(times):
    return max(sum(start <= time < start + 1 for time in times) for start in times)


def test_a_damaged_journal_is_named(services, tmp_path):
    (tmp_path / "fetch").mkdir()
    (tmp_path / "fetch/journal.sqlite").write_bytes(b"nonsense " * 1000)
    with pytest.raises(UserError, match=r"journal.sqlite is damaged .*delete it"):
        bring(services.settings(), tmp_path, one(services))


class FullDisk(sqlite3.Connection):
    """A database on a disk that fills after some statements, as SQLite says it."""

    left, code = 0, sqlite3.SQLITE_FULL

    def _spend(self):
        FullDisk.left -= 1
        if FullDisk.left < 0:
            error = sqlite3.OperationalError("told")
            error.sqlite_errorcode = FullDisk.code
            raise error

    def execute(self, *arguments):
        self._spend()
        return super().execute(*arguments)

    def executescript(self, script):
        self._spend()
        return super().executescript(script)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY])
@pytest.mark.parametrize("statements", [0, 1, 5, 11, 14])
def test_a_disk_that_fails_costs_neither_the_journal_nor_a_row(services, tmp_path, monkeypatch, code, statements):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **more: connect(*a, factory=FullDisk, **more))
    FullDisk.left, FullDisk.code = statements, code
    with pytest.raises(sqlite3.OperationalError) as error:
        bring(services.settings(), tmp_path, one(services))
    assert sentence_for(error.value)
    FullDisk.left = 10**6
    assert bring(services.settings(), tmp_path, one(services))["a.jpg"]["status"] == "ok"


def test_a_disk_that_fails_once_settles_nothing(services, tmp_path, monkeypatch):
    """A fault below the journal is none of the row's, even if the next statement is written."""

    def fail(*_):
        raise sqlite3.OperationalError("told")

    monkeypatch.setattr(Journal, "begin", fail)
    with pytest.raises(sqlite3.OperationalError):
        bring(services.settings(), tmp_path, one(services))


def test_the_same_name_twice_is_told(services, tmp_path):
    rows = bring(services.settings(), tmp_path, one(services) + one(services) + one(services))
    assert [row["status"] for row in rows.values()] == ["ok", "refused", "refused"]
    assert {row["reason"] for row in rows.values()} == {"", "a second row of its image_id"}


def test_the_hash_in_the_listing_is_that_of_a_resumed_file(services, tmp_path):
    services.faults(next={PATH: ["reset"]})
    row = bring(services.settings(), tmp_path, one(services))["a.jpg"]
    assert row["sha256"] == hashlib.sha256((tmp_path / "originals/a.jpg").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("0", 0), ("", None), ("soon", None), ("-5", None), ("Thu, 01 Jan 1970 00:01:00 GMT", 50)],
)
def test_retry_after_as_number_or_date(header, seconds):
    assert retry_after(header, now=lambda: 10.0) == seconds
