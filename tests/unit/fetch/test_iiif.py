import pytest

from sheetlens.common.files import read_table
from sheetlens.config import IiifSource
from sheetlens.fetch import remote
from sheetlens.fetch.sources import iiif


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
    ],
)
def test_sizes_follow_what_a_server_says_of_itself(info, found):
    assert iiif.forms(info, 512) == found
