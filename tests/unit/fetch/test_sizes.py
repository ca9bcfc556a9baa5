"""Which addresses are sizes of one picture, and which are pictures of their own."""

import pytest

from sheetlens.fetch.records.sizes import size_of, without_size
from tests.unit.fetch.test_dwca import RECORDS, find, symbiota, urls_of

HOST = "https://img.example/"


@pytest.mark.parametrize(
    "addresses",
    [
        ("d?id=N1&max=200", "d?id=N1"),
        ("d?max=1200&id=N1", "d?id=N1"),
        ("d?id=N1&width=800px#x", "d?id=N1&quality=75&width=90#x"),
        ("iiif/K1/full/max/0/default.jpg", "iiif/K1/full/200,/0/default.jpg", "iiif/K1/full/!512,512/0/native.png"),
        ("iiif/K1/full/pct:50/0/default.jpg", "iiif/K1/full/^!90,90/0/default.jpg"),
        ("K1_l.jpg", "K1_s.jpg", "K1_m.jpg", "K1.jpg"),
        ("K1-800px.jpg", "K1-2000px.jpg", "K1-300x200.jpg"),
        ("K1.jp2", "K1.jpg", "K1.TIF", "K1.jpg#top"),
        ("K1_thumb_200.jpg", "K1.jpg", "K1_web1200.jpg"),
        ("K1_thumb_2.jpg", "K1_web_2.jpg", "K1_2.jpg"),
        ("x?size=thumbnail", "x?size=webview", "x?size=fullsize", "x"),
        ("image/cache/200x/occurrence/1/media/abc", "image/cache/occurrence/1/media/abc"),
        ("download?id=N1_thumb", "download?id=N1.jpg", "download?id=N1.tif"),
        ("ids/deliveryService/id/ark:/65665/m3x/90", "ids/deliveryService/id/ark:/65665/m3x"),
    ],
)
def test_sizes_of_one_picture_have_one_name(addresses):
    assert len({without_size(HOST + address) for address in addresses}) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ("get?w=K1", "get?w=K2"),
        ("get?h=abc123", "get?h=def456"),
        ("get?h=1234567", "get?h=7654321"),
        ("get?size=K1", "get?size=K2"),
        ("viewer#K1", "viewer#K2"),
        ("viewer?show#K1", "viewer?show#K2"),
        ("K1_1.jpg", "K1_2.jpg", "K1_1024.jpg", "K1_web_3.jpg", "K1_a.jpg"),
        ("get?id=K1&size=large", "get?id=K2&size=large"),
        ("iiif/K1/full/max/0/default.jpg", "iiif/K2/full/max/0/default.jpg"),
        ("ids/deliveryService/id/ark:/65665/m3x/90", "ids/deliveryService/id/ark:/65665/m3y/90"),
        ("image/90", "image/91"),
    ],
)
def test_pictures_of_their_own_stay_apart(addresses):
    assert len({without_size(HOST + address) for address in addresses}) == len(addresses)


@pytest.mark.parametrize(
    ("address", "size"),
    [
        ("media/x?size=thumbnail", "thumbnail"),
        ("media/x?size=webview", "web"),
        ("iiif/K1/full/90,/0/default.jpg", "thumbnail"),
        ("iiif/K1/full/max/0/default.jpg", "original"),
        ("iiif/K1/full/pct:50/0/default.jpg", "said"),
        ("iiif/K1/full/!512,512/0/default.jpg", "medium"),
        ("ids/deliveryService/id/ark:/65665/m3x/90", "thumbnail"),
        ("K1_thumb_200.jpg", "thumbnail"),
        ("K1_tn_2.jpg", "thumbnail"),
        ("K1_s.jpg", "lower"),
        ("K1-800px.jpg", "web"),
        ("K1?max=4000", "original"),
        ("K1?quality=75", "said"),
        ("K1?size=2", "said"),
        ("image/90", "said"),
        ("K1_t.jpg", "said"),
    ],
)
def test_the_size_that_an_address_names(address, size):
    assert size_of(HOST + address, "said") == size


def rows(*addresses, **changes):
    return [{"id": "1", "identifier": HOST + address} | changes for address in addresses] + [
        {"id": "2", "identifier": f"{HOST}2.jpg"} | dict.fromkeys(changes, "")
    ]


def first(found):
    return urls_of(request for request in found if request.fields["specimen_id"] == "00000001")


def test_a_thumbnail_is_never_asked_for_whatever_names_it(tmp_path):
    some = rows("x?size=thumbnail", "x?size=webview")
    assert first(find(tmp_path / "1", symbiota(tmp_path, some, RECORDS[:2]))) == [(f"{HOST}x?size=webview",)]
    records = [RECORDS[0], RECORDS[1], RECORDS[2] | {"catalogNumber": "00000001"}]
    for number, address in enumerate(("x?size=thumbnail", "iiif/K1/full/90,/0/default.jpg", "K1_thumb_200.jpg"), 2):
        some = [*rows(address), {"id": "3", "identifier": f"{HOST}3.jpg"}]
        assert first(find(tmp_path / str(number), symbiota(tmp_path, some, records))) == [(f"{HOST}3.jpg",)]


@pytest.mark.parametrize("variant", ["tn", "Thumbnail", "TN"])
def test_variants_that_are_thumbnails_are_none_of_the_sheet(tmp_path, variant):
    some = [*rows("a.jpg", variant=variant), {"id": "3", "identifier": f"{HOST}3.jpg", "variant": ""}]
    assert len(find(tmp_path, symbiota(tmp_path, some, RECORDS[:3]))) == 2


def test_a_small_variant_is_asked_for_last(tmp_path):
    some = [*rows("a.jpg", variant="small"), *rows("a.jpg?v=1", variant="web")[:1]]
    some = [one | {"accessURI": one["identifier"], "identifier": "K1" if one["id"] == "1" else ""} for one in some]
    assert first(find(tmp_path, symbiota(tmp_path, some, RECORDS[:2]))) == [(f"{HOST}a.jpg?v=1", f"{HOST}a.jpg")]


def test_a_thumbnail_beside_its_picture_is_no_last_resort(tmp_path):
    some = [one | {"accessURI": ""} for one in rows("K1_tn.jpg")]
    some[0]["accessURI"] = f"{HOST}K1.jpg"
    assert first(find(tmp_path, symbiota(tmp_path, some, RECORDS[:2]))) == [(f"{HOST}K1.jpg",)]


@pytest.mark.parametrize("master", ["K1.jp2", "K1.dng", "K1.bmp", "K1.TIF"])
def test_a_jpeg_is_asked_for_before_a_master_of_the_same_size(tmp_path, master):
    for number, some in enumerate((rows(master, "K1.jpg"), rows("K1.jpg", master))):
        found = find(tmp_path / str(number), symbiota(tmp_path, some, RECORDS[:2]))
        assert first(found) == [(f"{HOST}K1.jpg", HOST + master)]
