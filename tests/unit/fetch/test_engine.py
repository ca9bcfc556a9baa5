import hashlib

import pytest

from sheetlens.fetch.errors import RefusedError
from sheetlens.fetch.listing import Request
from tests.services.fetching import bring
from tests.services.plain import picture


def wanted(services, *names, **facts):
    return [Request(name, (services.url(f"/images/{name}"),), ("plain",), **facts) for name in names]


def files(folder):
    return {path.relative_to(folder / "originals").as_posix(): path.read_bytes()
            for path in (folder / "originals").rglob("*") if path.is_file()}  # fmt: skip


def test_files_arrive_whole_with_their_hash_and_fields(services, tmp_path):
    requests = [Request("fern/a.jpg", (services.url("/images/a.jpg"),), ("plain",), fields={"label": "<b>fern</b>"})]
    row = bring(services.settings(), tmp_path, requests)["fern/a.jpg"]
    assert files(tmp_path) == {"fern/a.jpg": picture("a.jpg")}
    assert row["sha256"] == hashlib.sha256(picture("a.jpg")).hexdigest()
    assert (row["status"], row["reason"], row["route"], row["label"]) == ("ok", "", "plain", "<b>fern</b>")
    assert row["path"] == (tmp_path / "originals/fern/a.jpg").as_posix()
    assert (row["content_type"], row["bytes"]) == ("image/jpeg", len(picture("a.jpg")))


@pytest.mark.parametrize(
    "kind", ["503", "429", "waf", "202", "html", "html as jpeg", "reset", "short", "cut", "wrong", "empty", "drop"]
)
def test_a_passing_fault_costs_an_attempt_and_nothing_else(services, tmp_path, kind):
    services.faults(next={"/images/a.jpg": [kind]})
    body = picture("a.jpg")
    rows = bring(services.settings(), tmp_path, wanted(services, "a.jpg", md5=hashlib.md5(body).hexdigest()))
    assert rows["a.jpg"]["status"] == "ok", rows["a.jpg"]["reason"]
    assert files(tmp_path) == {"a.jpg": body}
    assert services.counters()["requests"] == {"/images/a.jpg": 2}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("404", "answered 404"),
        ("403", "answered 403"),
        ("410", "answered 410"),
        ("svg", "a drawing (SVG) in place of the photograph"),
        ("503", "answered 503 Service Unavailable (3 attempts)"),
        ("waf", "a challenge for browsers"),
        ("html", "answered with an HTML page"),
        ("html as jpeg", "answered with an HTML page"),
        ("empty", "the answer was empty"),
        ("cut", "broken image"),
    ],
)
def test_a_lasting_fault_is_the_reason_in_the_listing(services, tmp_path, kind, reason):
    services.faults(always={"/images/a.jpg": kind})
    rows = bring(services.settings(attempts=3), tmp_path, wanted(services, "a.jpg", "b.jpg"))
    assert rows["a.jpg"]["status"] == "refused"
    assert reason in rows["a.jpg"]["reason"]
    assert rows["b.jpg"]["status"] == "ok"
    assert files(tmp_path) == {"b.jpg": picture("b.jpg")}


def test_a_finished_callback_sees_each_file_once_and_may_drop_it(services, tmp_path):
    seen = []

    def finished(request, path):
        seen.append(request.image_id)
        if request.image_id == "bad.jpg":
            raise RefusedError("too blue")
        return {"first": path.read_bytes()[0]}

    requests = wanted(services, "a.jpg", "bad.jpg")
    for _ in range(2):
        rows = bring(services.settings(), tmp_path, requests, finish=False, finished=finished, keep=False)
    assert files(tmp_path) == {}
    assert (rows["a.jpg"]["facts"], rows["a.jpg"]["path"]) == ({"first": 0xFF}, "")
    assert rows["a.jpg"]["sha256"] == hashlib.sha256(picture("a.jpg")).hexdigest()
    assert (rows["bad.jpg"]["status"], rows["bad.jpg"]["reason"]) == ("refused", "too blue")
    assert sorted(seen) == ["a.jpg", "bad.jpg"]
    assert services.counters()["requests"] == {"/images/a.jpg": 1, "/images/bad.jpg": 1}


def test_passwords_and_signatures_stand_in_no_listing_reason_or_log(services, tmp_path, caplog):
    secret = "hunter2hunter2"
    there = services.url("/images/a.jpg").replace("://", f"://user:{secret}@") + f"?X-Amz-Signature={secret}"
    urls = {
        "there.jpg": there, "gone.jpg": there.replace("a.jpg", "404.jpg"), "bad.jpg": f"http://u:{secret}@[bad",
        "scheme.jpg": f"ftp://u:{secret}@a.org/b", "down.jpg": f"http://u:{secret}@127.0.0.1:1/?sig={secret}",
        "hop.jpg": services.url(f"/redirect?to=ftp://u:{secret}@a.org/b"),
        "page.jpg": services.url(f"/redirect?to=http://u:{secret}@[bad"),
        "slash.jpg": f"http://u:p/{secret}@a.org/b",
        "hop slash.jpg": services.url(f"/redirect?to=http://u:p/{secret}@a.org/b"),
        "one slash.jpg": f"http:/u:{secret}@a.org/b", "bare.jpg": f"u:{secret}@a.org/b",
        "none.jpg": f"//u:{secret}@a.org/b",
    }  # fmt: skip
    services.faults(always={"/images/404.jpg": "404"})
    requests = [Request(name, (url,)) for name, url in urls.items()]
    rows = bring(services.settings(attempts=1), tmp_path, requests)
    assert rows["there.jpg"]["status"] == "ok", rows["there.jpg"]["reason"]
    assert rows["there.jpg"]["source_url"].endswith("/images/a.jpg?X-Amz-Signature=***")
    assert len(rows) == len(urls) and secret not in str(rows) and secret not in caplog.text
    assert (tmp_path / "fetch/journal.sqlite").stat().st_mode & 0o077 == 0, "where they must stand nobody else reads"
