import asyncio
import hashlib
import json
import logging

import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import GbifSource
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.sources import gbif
from tests.services import archives
from tests.services.fetching import bring
from tests.services.gbif import ACCOUNT

CC0 = "http://creativecommons.org/publicdomain/zero/1.0/legalcode"
NAMES = {
    "Lycopodiaceae": {
        "usage": {"key": "59R5F", "name": "Lycopodiaceae", "rank": "FAMILY"},
        "synonym": False,
        "diagnostics": {"matchType": "EXACT", "confidence": 99},
    },
    "Selaginellaceae": {
        "usage": {"key": "OLD1", "name": "Selaginellaceae", "rank": "FAMILY"},
        "acceptedUsage": {"key": "8WXYZ", "name": "Selaginellaceae", "rank": "FAMILY"},
        "synonym": True,
        "diagnostics": {"matchType": "EXACT", "confidence": 99},
    },
    "Lycopodiacae": {
        "usage": {"key": "59R5F", "name": "Lycopodiaceae", "rank": "FAMILY"},
        "diagnostics": {"matchType": "FUZZY", "confidence": 90},
    },
}


def record(number, family="Lycopodiaceae", **changes):
    return {
        "key": 1000 + number,
        "datasetKey": "821cc27a",
        "basisOfRecord": "PRESERVED_SPECIMEN",
        "institutionCode": "US",
        "catalogNumber": f"{number:08d}",
        "recordedBy": "A. Núñez",
        "family": family,
        "decimalLatitude": 1.5,
        "license": CC0,
        "media": [{"type": "StillImage", "identifier": f"https://img.example/{number}.jpg", "license": CC0}],
    } | changes


def hold(services, clubmosses, spikemosses, **values):
    services.store(gbif={"names": NAMES, "records": {"59R5F": clubmosses, "8WXYZ": spikemosses}, **values})


def many(count=700, start=0, **changes):
    return [record(start + number, **changes) for number in range(count)]


def find(folder, services, images=None, names=("Lycopodiaceae", "Selaginellaceae"), **changes):
    values = {"institution": "US", "classes": {}} | changes
    for label, name in zip(("clubmoss", "spikemoss"), names, strict=True):
        values["classes"][label] = {"name": name, "images": images}

    async def run():
        settings = services.settings("api.gbif.org", "occurrence-download.gbif.org")
        async with Session(settings, seed=1) as session:
            return [one async for one in gbif.requests(GbifSource.model_validate(values), session, folder)]

    return sorted(asyncio.run(run()), key=lambda request: request.image_id)


def test_a_search_reads_all_pages_of_the_accepted_taxa(services, tmp_path):
    hold(services, many(), many(310, 5000, family="Selaginellaceae"))
    found = find(tmp_path, services)
    assert len(found) == 1010
    one = found[0]
    assert one.fields["licence"] == "CC0-1.0"
    assert one.fields["licence_asserted"] is True
    assert one.fields["decimalLatitude"] == "1.5"
    assert one.routes == ("img.example original",)
    cited = json.loads((tmp_path / "citation.json").read_text())
    assert cited["taxa"]["spikemoss"]["key"] == "8WXYZ"
    assert cited["queries"]["clubmoss"] == {
        "taxonKey": "59R5F", "checklistKey": "7ddf754f-d193-4cc9-b351-99906754a03b",
        "basisOfRecord": "PRESERVED_SPECIMEN", "mediaType": "StillImage", "institutionCode": "US",
    }  # fmt: skip
    assert cited["records_by_dataset"] == {"821cc27a": 1010}


@pytest.mark.parametrize("cache", [None, 512])
def test_a_thumbnail_that_a_publisher_names_is_no_picture(services, tmp_path, cache):
    small = {"type": "StillImage", "identifier": "https://img.example/1?size=thumbnail", "license": CC0}
    hold(services, [record(1, media=[small]), record(2)], many(1, 5000, family="Selaginellaceae"))
    found = find(tmp_path, services, cache=cache)
    assert [one.fields["catalogNumber"] for one in found] == ["00000002", "00005000"]
    cited = json.loads((tmp_path / "citation.json").read_text())
    assert cited["classes"]["clubmoss"]["left_out"] == {"that are thumbnails": 1}


def test_the_same_sample_whatever_the_order_of_the_records(services, tmp_path):
    clubmosses, spikemosses = many(), many(310, 5000, family="Selaginellaceae")
    hold(services, clubmosses, spikemosses)
    forward = find(tmp_path / "1", services, images=40)
    hold(services, clubmosses[::-1], spikemosses[::-1])
    assert find(tmp_path / "2", services, images=40) == forward
    assert [sum(one.fields["label"] == label for one in forward) for label in ("clubmoss", "spikemoss")] == [40, 40]
    assert find(tmp_path / "3", services, images=40, seed=2) != forward


def test_a_killed_search_goes_on_with_the_page_it_was_at(services, tmp_path):
    hold(services, many(), many(310, 5000))
    services.faults(next={"/api.gbif.org/v1/occurrence/search": [""] * 4 + ["404"]})
    with pytest.raises(UserError):
        find(tmp_path, services)
    before = services.counters()["requests"]["/api.gbif.org/v1/occurrence/search"]
    assert before == 5  # two counts, two pages, one fault
    assert len(find(tmp_path, services)) == 1010
    assert services.counters()["requests"]["/api.gbif.org/v1/occurrence/search"] == before + 1 + 2


@pytest.mark.parametrize("kind", ["429", "420", "503", "html", "waf", "reset"])
def test_a_passing_fault_of_the_service_is_asked_again(services, tmp_path, kind):
    hold(services, many(3), many(3, 10))
    services.faults(next={"/api.gbif.org/v1/occurrence/search": [kind] * 3})
    assert len(find(tmp_path, services)) == 6


def test_media_that_are_missing_or_malformed_are_left_out(services, tmp_path):
    bad = [
        record(1, media=None), record(2, media="https://img.example/2.jpg"), record(3, media=["x", None, 7]),
        record(4, media=[{"type": "StillImage"}]), record(5, media=[{"type": "Sound", "identifier": "https://a.example/5.mp3"}]),
        record(6, media=[{"identifier": "https://img.example/6.jpg"}]), {"key": 7}, record(8, catalogNumber=None), 9,
        record(9, media=[{"type": "StillImage", "identifier": "https://img.example/9.jpg", "license": 4}]),
    ]  # fmt: skip
    del bad[6]["key"]
    bad.append(record(17, media=7))
    hold(services, bad, many(3, 10))
    found = [one for one in find(tmp_path, services) if one.fields["label"] == "clubmoss"]
    assert {one.urls[0][-5:-4] for one in found} == {"6", "8", "9"}
    assert {one.fields["licence_asserted"] for one in found} == {False, True}
    assert next(one for one in found if one.urls[0][-5] == "8").fields["specimen_id"] == "1008"


def test_names_are_looked_up_and_never_guessed(services, tmp_path):
    hold(services, many(3), many(3, 10))
    for name in ("Lycopodiacae", "Unknownaceae"):
        with pytest.raises(UserError, match=f"does not know '{name}' as family"):
            find(tmp_path, services, names=(name, "Selaginellaceae"))


def test_too_few_pictures_under_the_licences_are_said(services, tmp_path):
    unstated = many(5, 100)
    for one in unstated:
        one["media"][0]["license"] = ""
    hold(services, many(7) + unstated, many(12, 200))
    with pytest.raises(UserError) as error:
        find(tmp_path, services, images=12, licences=["CC0"])
    assert "class 'clubmoss': 12 images are asked for and 7 exist (left out: 5 whose licence nobody" in str(error.value)


def test_another_number_of_images_needs_no_new_search(services, tmp_path):
    hold(services, many(7), many(12, 200))
    with pytest.raises(UserError):
        find(tmp_path, services, images=12)
    asked = services.counters()["requests"]
    assert len(find(tmp_path, services, images=7)) == 14
    assert services.counters()["requests"] == asked
    assert len(find(tmp_path, services, images=7, seed=2)) == 14
    assert services.counters()["requests"] != asked


def test_a_collection_that_a_crash_spoilt_begins_anew(services, tmp_path):
    hold(services, many(3), many(3, 10))
    first = find(tmp_path, services)
    (tmp_path / "candidates.sqlite").write_bytes(b"SQLite format 3\0" + b"spoilt" * 1000)
    assert find(tmp_path, services) == first


def test_the_cache_is_asked_over_one_connection(services, tmp_path):
    hold(services, many(2), many(2, 10))
    requests = find(tmp_path / "w", services, cache=512)
    outcome = bring(services.settings("api.gbif.org"), tmp_path, requests)
    assert {row["status"] for row in outcome.values()} == {"ok"}
    seen = services.counters()["hosts"]["api.gbif.org"]
    assert seen["most_active"] == 1
    times = seen["arrivals"][-4:]
    assert times[-1] - times[0] > 3 * 0.45, "two a second"


def test_copies_of_the_cache_are_named_by_record_and_digest(services, tmp_path):
    hold(services, many(1), many(1, 10))
    one = find(tmp_path, services, cache=512)[0]
    digest = hashlib.md5(b"https://img.example/0.jpg").hexdigest()
    assert one.urls == (f"https://api.gbif.org/v1/image/cache/512x512/occurrence/1000/media/{digest}",)
    assert one.routes == ("api.gbif.org image cache 512x512",)


@pytest.mark.parametrize(
    "answer", [[], "x", {"message": "try later"}, {"count": "many"}, {"count": 3, "results": None}]
)
def test_an_answer_of_another_shape_is_named(tmp_path, answer):
    class Odd:
        async def json(self, url, **options):
            return NAMES["Lycopodiaceae"] if url == gbif.MATCH else answer

    async def run():
        classes = {label: {"name": "Lycopodiaceae"} for label in ("a", "b")}
        settings = GbifSource.model_validate({"classes": classes})
        return [one async for one in gbif.requests(settings, Odd(), tmp_path)]

    with pytest.raises(UserError, match="GBIF answered without `"):
        asyncio.run(run())


@pytest.fixture
def account(monkeypatch):
    for name, value in zip(gbif.ACCOUNT, (*ACCOUNT, "botanist@example.org"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(gbif, "POLL", 0.01)


def downloads(services, tmp_path, **values):
    paths = {}
    for taxon, start in (("59R5F", 0), ("8WXYZ", 100)):
        rows = [{"id": str(n), "institutionCode": "US", "catalogNumber": f"{n:08d}"} for n in range(start, start + 5)]
        rows.append(rows[0])  # an id twice, as has happened
        media = [
            {"id": str(n), "type": "StillImage", "identifier": f"https://img.example/{n}.jpg", "license": CC0}
            for n in range(start, start + 5)
        ]
        paths[taxon] = str(archives.write_archive(tmp_path / f"{taxon}.zip", *archives.gbif(rows, media)))
    hold(services, [], [], count=60_000, archives=paths, states=["PREPARING", "RUNNING"], **values)


def test_large_sets_come_as_downloads_with_a_doi(services, tmp_path, account, caplog):
    caplog.set_level(logging.DEBUG)
    downloads(services, tmp_path)
    found = find(tmp_path / "w", services)
    assert [one.fields["label"] for one in found] == ["clubmoss"] * 5 + ["spikemoss"] * 5
    cited = json.loads((tmp_path / "w/citation.json").read_text())
    assert [one["doi"] for one in cited["downloads"]] == ["10.15468/dl.0000001-59R5F", "10.15468/dl.0000002-8WXYZ"]
    for secret in ("s3cret-w0rd", "botanist"):
        assert secret not in caplog.text
        assert not [
            path for path in (tmp_path / "w").rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ]


def test_an_order_is_given_once(services, tmp_path, account):
    downloads(services, tmp_path)
    services.faults(always={"/api.gbif.org/v1/occurrence/download/request/0000001-59R5F.zip": "404"})
    with pytest.raises(UserError):
        find(tmp_path / "w", services)
    services.faults(always={"/api.gbif.org/v1/occurrence/download/request/0000001-59R5F.zip": ""})
    assert len(find(tmp_path / "w", services)) == 10
    assert services.counters()["requests"]["/api.gbif.org/v1/occurrence/download/request"] == 2


def test_a_download_that_failed_is_ordered_again(services, tmp_path, account):
    downloads(services, tmp_path)
    services.store(gbif={"names": NAMES, "count": 60_000, "states": ["RUNNING", "KILLED"], "records": {}})
    with pytest.raises(UserError, match="could not make the download"):
        find(tmp_path / "w", services)
    downloads(services, tmp_path)
    assert len(find(tmp_path / "w", services)) == 10
    assert services.counters()["requests"]["/api.gbif.org/v1/occurrence/download/request"] == 1 + 2


def test_without_an_account_nothing_is_ordered(services, tmp_path, monkeypatch):
    downloads(services, tmp_path)
    for name in gbif.ACCOUNT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="set GBIF_USER, GBIF_PWD, GBIF_EMAIL in the environment"):
        find(tmp_path / "w", services)
    assert "/api.gbif.org/v1/occurrence/download/request" not in services.counters()["requests"]


def test_a_wrong_account_and_a_full_queue_are_named(services, tmp_path, account, monkeypatch):
    downloads(services, tmp_path)
    services.faults(always={"/api.gbif.org/v1/occurrence/download/request": "420"})
    with pytest.raises(UserError, match="too many downloads of this account at work"):
        find(tmp_path / "w", services)
    services.faults(always={"/api.gbif.org/v1/occurrence/download/request": ""})
    monkeypatch.setenv("GBIF_PWD", "wr0ng")
    with pytest.raises(UserError, match="check GBIF_USER and GBIF_PWD") as error:
        find(tmp_path / "w", services)
    assert "wr0ng" not in str(error.value)


def test_a_search_never_goes_deeper_than_the_service_allows(services, tmp_path):
    hold(services, many(3), many(3, 10), count=100_001)
    with pytest.raises(UserError, match="a search reaches 100,000 records"):
        find(tmp_path, services, method="search")
