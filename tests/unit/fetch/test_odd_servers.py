"""Servers that say one thing and do another: a whole picture is kept, and what is none ends one row only."""

import gzip
import time
import zlib

import pytest

from sheetlens.common.errors import UserError
from sheetlens.common.files import read_table
from sheetlens.config import UrlsSource
from sheetlens.fetch import remote
from sheetlens.fetch.http import session
from sheetlens.fetch.http.session import is_html, retry_after
from sheetlens.fetch.listing import Request
from tests.services.fetching import bring
from tests.services.plain import picture
from tests.unit.fetch.odd_server import odd_server, reply, settings

BODY = picture("a.jpg")
HALF = len(BODY) // 2
PAGE = b"<!-- v2 --><!DOCTYPE html><html><body>Specimen K000123456</body></html>"


def fetched(answer, folder, names=("a.jpg",), **more):
    with odd_server(answer) as (url, asked):
        rows = bring(settings(**more), folder, [Request(name, (f"{url}/{name}",)) for name in names])
    return rows, asked


def kept(answer, folder):
    rows, asked = fetched(answer, folder)
    assert rows["a.jpg"]["status"] == "ok", rows["a.jpg"]["reason"]
    assert (folder / "originals/a.jpg").read_bytes() == BODY
    return asked


def bare(body):
    """Deflate without the head of zlib."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODINGS = {
    "": BODY, "identity": BODY, "Identity": BODY, "utf-8": BODY, "UTF-8": BODY, "none": BODY, "binary": BODY,
    "base64": BODY, "gzip": gzip.compress(BODY), "x-gzip": gzip.compress(BODY), "deflate": zlib.compress(BODY),
    "GZIP": BODY, "deflate ": BODY, "gzip, gzip": gzip.compress(gzip.compress(BODY)), "gzip,gzip": gzip.compress(BODY),
    "gzip , identity": gzip.compress(BODY[:HALF]) + gzip.compress(BODY[HALF:]), "Deflate": bare(BODY),
    "x-gzip ": gzip.compress(BODY[:9]) + gzip.compress(b"") + gzip.compress(BODY[9:]) + bytes(100),
    "deflate, gzip": gzip.compress(zlib.compress(BODY, 9)), "deflate,x-gzip": gzip.compress(bare(BODY)),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCODINGS)
def test_what_a_server_says_of_the_encoding_costs_no_picture(tmp_path, name):
    kept(lambda *_: reply(ENCODINGS[name], Content_Encoding=name, Content_Type="image/jpeg"), tmp_path)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("name", ENCODINGS)
def test_nor_does_how_it_is_cut_into_pieces(tmp_path, monkeypatch, name, size):
    monkeypatch.setattr(session, "PIECE", size)
    kept(lambda *_: reply(ENCODINGS[name], Content_Encoding=name, Content_Type="image/jpeg"), tmp_path)


@pytest.mark.parametrize("size", [1, 7, 2**16])
def test_a_page_is_known_however_it_is_cut(tmp_path, monkeypatch, size):
    monkeypatch.setattr(session, "PIECE", size)
    rows, _ = fetched(lambda *_: reply(PAGE), tmp_path)
    assert rows["a.jpg"]["reason_code"] == "html"


def test_many_encodings_upon_each_other_are_not_undone(tmp_path):
    rows, _ = fetched(lambda *_: reply(BODY, Content_Encoding=", ".join(["gzip"] * 50)), tmp_path)
    assert (rows["a.jpg"]["reason_code"], rows["a.jpg"]["status"]) == ("encoded", "refused")


def test_a_gzip_that_swells_ends_at_the_limit(tmp_path):
    bomb = gzip.compress(bytes(5 * 10**7))
    rows, _ = fetched(lambda *_: reply(bomb, Content_Encoding="gzip"), tmp_path, largest=10**6)
    assert rows["a.jpg"]["reason"] == "larger than the limit of 1,000,000 bytes"
    twice = gzip.compress(gzip.compress(bytes(5 * 10**7)))
    rows, _ = fetched(lambda *_: reply(twice, Content_Encoding="gzip, gzip"), tmp_path, largest=10**6)
    assert rows["a.jpg"]["reason"] == "larger than the limit of 1,000,000 bytes"
    many = gzip.compress(bytes(10**5)) * 50
    rows, _ = fetched(lambda *_: reply(many, Content_Encoding="gzip"), tmp_path, largest=10**6)
    assert rows["a.jpg"]["reason"] == "larger than the limit of 1,000,000 bytes"
    rows, _ = fetched(lambda *_: reply(BODY, Content_Encoding="br"), tmp_path)
    assert rows["a.jpg"]["reason_code"] == "encoded"


@pytest.mark.parametrize("kind", ["text/html; charset=UTF-8", "image/svg+xml", "application/json", "nonsense", ""])
def test_a_wrong_type_costs_no_picture(tmp_path, kind):
    kept(lambda *_: reply(BODY, Content_Type=kind), tmp_path)


def test_a_cookie_and_a_redirect_to_the_same_address(tmp_path):
    def answer(path, headers, _):
        if "seen=1" in headers.get("cookie", ""):
            return reply(BODY)
        return reply(status="302 Found", Location=path, Set_Cookie="seen=1; Path=/")

    assert kept(answer, tmp_path) == ["/a.jpg"] * 2


def test_a_cookie_stays_with_its_host(tmp_path):
    seen = []

    def second(path, headers, _):
        seen.append(headers.get("cookie"))
        return reply(BODY)

    with odd_server(second) as (other, _):
        kept(lambda *_: reply(status="302 Found", Location=f"{other}/a.jpg", Set_Cookie="secret=1"), tmp_path)
    assert seen == [None]


def test_203_is_a_whole_file(tmp_path):
    kept(lambda *_: reply(BODY, status="203 Non-Authoritative Information"), tmp_path)


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "403 Forbidden", "405 X", "500 X", "501 Not Implemented", "416 X"]
)
def test_a_server_that_minds_ranges_is_asked_for_all_of_it(tmp_path, status):
    def answer(path, headers, count):
        if "range" in headers:
            return reply(status=status)
        body = BODY[:HALF] if count == 1 else BODY
        return b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(BODY) + body

    assert len(kept(answer, tmp_path)) == 3


@pytest.mark.parametrize("place", [f"bytes {HALF}-{len(BODY) - 1}/*", f"bytes 0-{len(BODY) - 1}/{len(BODY)}"])
def test_odd_ways_to_send_the_rest(tmp_path, place):
    def answer(path, headers, count):
        if "range" in headers:
            body = BODY if place.startswith("bytes 0") else BODY[HALF:]
            return reply(body, status="206 Partial Content", ETag='"x"', Content_Range=place)
        return b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(BODY) + BODY[:HALF]

    kept(answer, tmp_path)


@pytest.mark.parametrize("place", [None, f"bytes 0-{HALF - 1}/{len(BODY)}", "bytes 0-1/*", "nonsense"])
def test_a_part_that_nobody_asked_for_is_called_one(tmp_path, place):
    more = {"Content_Range": place} if place else {}
    rows, _ = fetched(lambda *_: reply(BODY[:HALF], status="206 Partial Content", **more), tmp_path)
    said = "127.0.0.1 answered 206 with a part of the file, though all of it was asked for"
    assert (rows["a.jpg"]["reason"], rows["a.jpg"]["reason_code"]) == (said, "status")


def test_a_range_that_nobody_asked_for_cannot_be_wrong(tmp_path):
    rows, _ = fetched(lambda *_: reply(status="416 Range Not Satisfiable"), tmp_path)
    said = "127.0.0.1 answered 416 as if for a part of the file, though all of it was asked for"
    assert rows["a.jpg"]["reason"] == said


@pytest.mark.parametrize("more", [{}, {"Location": ""}, {"Location": " "}])
def test_a_redirect_to_nowhere_is_asked_once(tmp_path, more):
    rows, asked = fetched(lambda *_: reply(status="302 Found", **more), tmp_path)
    said = "redirected, and the answer names no address to go on to"
    assert (rows["a.jpg"]["reason"], len(asked)) == (said, 1)


@pytest.mark.parametrize("status", [520, 521, 522, 523, 524, 529])
def test_what_a_proxy_says_of_the_server_behind_it_passes(tmp_path, status):
    kept(lambda path, headers, count: reply(BODY) if count > 1 else reply(status=f"{status} Odd"), tmp_path)


def test_a_long_header_costs_no_picture(tmp_path):
    kept(lambda *_: reply(BODY, Content_Security_Policy="x" * 9000), tmp_path)


def test_landing_pages_are_no_fault_of_their_host(tmp_path):
    """Many of them: no pause for the other files, no giving up, and each is asked for a few times only."""
    names = [f"page{number}.jpg" for number in range(30)] + ["a.jpg"]
    start = time.monotonic()
    rows, asked = fetched(
        lambda path, *_: reply(BODY) if path == "/a.jpg" else reply(PAGE, Content_Type="image/jpeg"),
        tmp_path, names, pause=0.2, attempts=6,
    )  # fmt: skip
    assert rows.pop("a.jpg")["status"] == "ok"
    assert {row["reason_code"] for row in rows.values()} == {"html"}
    assert len(asked) == 30 * 3 + 1
    assert time.monotonic() - start < 10


def test_a_page_of_a_bad_moment_costs_no_picture(tmp_path):
    kept(lambda path, headers, count: reply(BODY) if count > 2 else reply(PAGE), tmp_path)


@pytest.mark.parametrize(
    ("body", "page"),
    [
        (b"\xef\xbb\xbf\n <html lang=en>", True),
        (b"<?xml version='1.0'?><!DOCTYPE html>", True),
        (b"<!-- a --><!-- b --><head>", True),
        (BODY, False),
        (b"<svg xmlns=x>", False),
        (b"<!--" * 5000, False),
    ],
)
def test_a_page_is_known_by_its_bytes(body, page):
    assert is_html(body) == page


@pytest.mark.parametrize(
    "header",
    ["Fri, 31 Dec 99999999999 23:59:59 GMT", "Mon, 01 Jan 0000 00:00:00 GMT", "Fri, 31 Dec 9999", "-1", "\u0665"],
)
def test_odd_dates_to_come_back_at_end_no_fetch(header):
    assert retry_after(header) is None or retry_after(header) >= 0


ODD_ADDRESSES = [
    "http://www..example.org/a.jpg", "http://" + "a" * 64 + ".org/a.jpg", "http://a b.org/x.jpg", "http://[::1/x.jpg",
    "http://exa_mple..org", "http://.org/x.jpg", "http://xn--\u00e9.org/", "http://127.0.0.1:99999/a.jpg",
    "http://" + ".".join(["abc"] * 100) + "/a.jpg", "http://%zz/a.jpg", "http://\u2100.com/x.jpg",
]  # fmt: skip


def test_an_odd_host_ends_its_row_and_not_the_fetch(tmp_path):
    with odd_server(lambda *_: reply(BODY)) as (url, _):
        addresses = [*ODD_ADDRESSES, f"{url}/good.jpg"]
        requests = [Request(f"{number}.jpg", (address,)) for number, address in enumerate(addresses)]
        rows = bring(settings(attempts=1, patience=2), tmp_path, requests)
    assert rows.pop(f"{len(ODD_ADDRESSES)}.jpg")["status"] == "ok"
    assert {row["status"] for row in rows.values()} == {"refused"}
    assert all(row["reason"] and row["reason_code"] for row in rows.values())


def test_what_nobody_expected_ends_its_row_and_not_the_fetch(tmp_path):
    def check(path):
        if path.read_bytes() == b"odd":
            raise RecursionError("a fault of ours")

    with odd_server(lambda path, *_: reply(b"odd" if "odd" in path else BODY)) as (url, _):
        requests = [Request(name, (f"{url}/{name}",)) for name in ("odd.jpg", "a.jpg")]
        rows = bring(settings(), tmp_path, requests, check=check)
    assert rows["a.jpg"]["status"] == "ok"
    assert rows["odd.jpg"]["reason_code"] == "unexpected"


# What a fetch ends with


def test_a_table_of_dead_addresses_ends_with_what_became_of_it(tmp_path, caplog):
    with odd_server(lambda *_: reply(status="404 Not Found")) as (url, asked):
        rows = [f"{url}/{number}.jpg,{'AB'[number % 2]}\n" for number in range(12)]
        (tmp_path / "t.csv").write_text("url,label\n" + "".join(rows))
        source, caplog.handler.level = UrlsSource(table=str(tmp_path / "t.csv")), 0

        def fetch(**more):
            with caplog.at_level("INFO"):
                remote.fetch("urls", source, settings(**more), tmp_path / "originals", tmp_path / "listing.parquet")

        with pytest.raises(
            UserError, match=r"class 'A' lacks 6 of 6 files.* more than the 5 %.*Correct their addresses"
        ):
            fetch()
        assert "Files found: 12. Used: 0. Refused: 12." in caplog.messages
        assert "  12 refused by the server, for instance: 127.0.0.1 answered 404 Not Found" in caplog.messages
        assert read_table(tmp_path / "listing.parquet")["reason_code"].tolist() == ["status"] * 12
        fetch(missing=1)
        assert len(asked) == 12  # what was refused for good is not asked again in the same run
