import json

import pytest

from sheetlens.common.files import read_table
from sheetlens.config import IiifSource
from sheetlens.fetch import remote
from sheetlens.fetch.sources import iiif as iiif
from tests.services.plain import picture
from tests.unit.fetch.odd_server import odd_server, reply, settings

BODY = picture("a.jpg")


@pytest.mark.parametrize(
    ("ability", "route", "requests"),
    [
        ("box2", "iiif !512,512", 1),
        ("box3", "iiif !512,512", 1),
        ("listed", "iiif 600,800", 3),
        ("listed2", "iiif 600,", 3),
        ("width", "iiif 384,", 3),
        ("whole", "iiif max", 4),
        ("odd", "iiif max", 4),
        ("silent", "iiif full", 4),
    ],
)
def test_each_server_is_asked_for_the_best_it_can(services, tmp_path, ability, route, requests):
    (tmp_path / "t.csv").write_text(f"url,label\nhttps://iiif.example.org/{ability}/1/info.json,fern\n")
    settings = services.settings("iiif.example.org", missing=1)
    source = IiifSource(table=str(tmp_path / "t.csv"), size=512)
    remote.fetch("iiif", source, settings, tmp_path / "originals", tmp_path / "listing.parquet")
    row = read_table(tmp_path / "listing.parquet").iloc[0]
    assert (row["status"], row["route"]) == ("ok", route), row["reason"]
    assert sum(services.counters()["requests"].values()) == requests


def test_a_server_that_refuses_all_sizes_is_the_reason(services, tmp_path):
    (tmp_path / "t.csv").write_text("url,label\nhttps://iiif.example.org/huge/1,fern\n")
    settings = services.settings("iiif.example.org", missing=1)
    source = IiifSource(table=str(tmp_path / "t.csv"), size=512)
    remote.fetch("iiif", source, settings, tmp_path / "originals", tmp_path / "listing.parquet")
    row = read_table(tmp_path / "listing.parquet").iloc[0]
    assert (row["status"], row["reason"]) == ("refused", "iiif.example.org answered 403 Forbidden")


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({}, ["512,", "full", "max"]),
        ([], ["512,", "full", "max"]),
        ({"width": 300, "height": 400}, ["300,", "max"]),
        ({"width": 3000, "height": 4000, "maxWidth": 200}, ["200,", "max"]),
        ({"@id": "x", "width": 3000, "height": 4000}, ["384,", "full", "max"]),
        ({"width": "3000", "height": "4000"}, ["384,", "max"]),
        ({"width": 3000.0, "height": 4000.0}, ["384,", "max"]),
        ({"width": 10, "height": 999_999}, ["1,", "max"]),
        ({"width": "many", "height": None}, ["512,", "max"]),
        ({"width": float("nan"), "height": float("inf")}, ["512,", "max"]),
        ({"width": True, "height": 10**400}, ["512,", "max"]),
        ({"width": 3000, "height": 4000, "sizes": [{"width": "600", "height": 800.0}]}, ["600,800", "384,", "max"]),
    ],
)
def test_sizes_follow_what_a_server_says_of_itself(info, found):
    assert iiif.forms(info, 512) == found


# Servers that answer byte by byte


def fetched(answer, folder, urls, **more):
    with odd_server(answer) as (url, asked):
        (folder / "t.csv").write_text("url,label\n" + "".join(f'"{url}{path}",fern\n' for path in urls))
        source = IiifSource(table=str(folder / "t.csv"), size=512)
        polite = settings(**{"missing": 1} | more)
        remote.fetch("iiif", source, polite, folder / "originals", folder / "listing.parquet")
    return read_table(folder / "listing.parquet"), asked


@pytest.mark.parametrize("status", ["500 Internal Server Error", "501 Not Implemented", "400 Bad Request"])
def test_a_server_that_cannot_fit_into_a_box_is_asked_otherwise(tmp_path, status):
    def answer(path, *_):
        if path.endswith("info.json"):
            return reply(json.dumps({"@id": "x", "width": 3000, "height": 4000}).encode())
        return reply(status=status) if "/full/!" in path else reply(BODY)

    table, asked = fetched(answer, tmp_path, ["/iiif/1"])
    assert table["route"].tolist() == ["iiif 384,"]
    assert len(asked) == 3


def test_brackets_without_end_are_no_information(tmp_path):
    def answer(path, *_):
        if path.endswith("info.json"):
            return reply(b"[" * 200_000)
        return reply(BODY) if path.endswith("/full/512,/0/default.jpg") else reply(status="400 Bad Request")

    table, _ = fetched(answer, tmp_path, ["/iiif/1"])
    assert table["status"].tolist() == ["ok"]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/iiif/1", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/info.json", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/full/0/default.jpg", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/max/0/default.png", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/1200,/0/native.jpg", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/pct:10,10,80,80/!800,800/!90/gray.jpg", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/ark:%2F65665%2Fabc", "/iiif/ark:%2F65665%2Fabc/full/!512,512/0/default.jpg"),
        ("/iiif/1?x=1", "/iiif/1/full/!512,512/0/default.jpg?x=1"),
        ("/fcgi?IIIF=a/b.tif", "/fcgi?IIIF=a/b.tif/full/!512,512/0/default.jpg"),
        ("/fcgi?FIF=a&iiif=/b.tif/full/full/0/native", "/fcgi?FIF=a&iiif=/b.tif/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/%21600%2C600/0/default.jpg", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/%5Emax/0/default.jpg", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/a%2Fb/full/pct%3a50/0/default.jpg", "/iiif/a%2Fb/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/max/0/default.jpg/", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/max/0/default.jpg#x", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/full/600,/0/grey.jpg?a=1#x", "/iiif/1/full/!512,512/0/default.jpg?a=1"),
        ("/iiif/1/full/max/0/default.jpg?a=1&iiif=2", "/iiif/1/full/!512,512/0/default.jpg?a=1&iiif=2"),
        ("/iiif/1/info.json/", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/iiif/1/info.json#x", "/iiif/1/full/!512,512/0/default.jpg"),
        ("/manifest/1/full/full/0/default.jpg", "/manifest/1/full/!512,512/0/default.jpg"),
        ("/collection/1/info.json", "/collection/1/full/!512,512/0/default.jpg"),
    ],
)
def test_the_service_is_found_in_whatever_address_is_given(tmp_path, given, asked):
    assert fetched(lambda *_: reply(BODY), tmp_path, [given])[1] == [asked]


@pytest.mark.parametrize(
    "path",
    [
        "/iiif/1/manifest.json",
        "/presentation/v3/abc",
        "/p/2/abc/manifest",
        "/c/collection.json",
        "/rest/iiif/manifest/1739342",
        "/ids/manifest/NMNH-1",
        "/iiif/manifest/ae9f.json",
        "/manifests/drs:1",
        "/iiif/1/manifest.jsonld",
        "/iiif/collection/top",
        "/iiif/1/MANIFEST.JSON?v=2",
        "/iiif/1/manifest.json#x",
        "/iiif/manifest:abc",
        "/iiif/1/manifest.json;v=2",
        "/iiif/1/iiif-manifest.json",
        "/iiif/1/sequence/normal",
        "/viewer?manifest=abc",
    ],
)
def test_a_manifest_is_named(tmp_path, path):
    table, asked = fetched(lambda *_: reply(BODY), tmp_path, [path])
    assert (table["reason_code"].tolist(), asked) == (["iiif_manifest"], [])
