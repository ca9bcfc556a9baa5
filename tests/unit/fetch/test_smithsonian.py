import asyncio
import bz2
import json
import logging
import tracemalloc

import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import SmithsonianSource
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.records import edan
from sheetlens.fetch.sources import smithsonian
from tests.services.fetching import bring
from tests.services.smithsonian import KEY

CLASSES = {"clubmoss": {"where": {"family": "Lycopodiaceae"}}, "spikemoss": {"where": {"family": "Selaginellaceae"}}}
ARK = "ark:/65665/m354cfd86e9eec45b386d517fc2e6e35ef"


def picture(number, **changes):
    name = f"NMNH-{number:08d}"
    return {
        "guid": f"http://n2t.net/ark:/65665/m3{number:030d}",
        "idsId": name,
        "content": f"https://ids.si.edu/ids/deliveryService?id={name}",
        "type": "Images",
        "usage": {"access": "CC0"},
    } | changes


def record(number, family="Lycopodiaceae", media=None, barcode=None, **plain):
    identifiers = [
        {"label": "USNM Number", "content": "7"},
        {"label": "Barcode", "content": barcode or f"{number:08d}"},
    ]
    return {
        "id": f"edanmdm-{number}",
        "content": {
            "descriptiveNonRepeating": {
                "record_ID": f"nmnhbotany_{number}",
                "guid": f"http://n2t.net/ark:/65665/3{number}",
                "unit_code": "NMNHBOTANY",
                "metadata_usage": {"access": "CC0"},
                "online_media": {"mediaCount": 1, "media": [picture(number)] if media is None else media},
            }
            | plain,
            "freetext": {
                "identifier": identifiers,
                "name": [{"label": "Collector", "content": "A. Núñez"}, {"label": "Collector", "content": "B. Ek"}],
                "date": [{"label": "Collection Date", "content": "3 Feb 1901"}],
                "place": [{"label": "Place", "content": "Peru, Loreto"}],
            },
            "indexedStructured": {"tax_family": [family], "scientific_name": ["Huperzia selago"]},
        },
    }


def find(folder, services, classes=CLASSES, **changes):
    async def run():
        polite = services.settings("api.si.edu", "ids.si.edu", "metadata.example.org")
        async with Session(polite, seed=1) as session:
            settings = SmithsonianSource.model_validate({"classes": classes} | changes)
            return [one async for one in smithsonian.requests(settings, session, folder)]

    return sorted(asyncio.run(run()), key=lambda request: request.image_id)


def write_shards(folder, records, number=3, lines=()):
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(number):
        text = "".join(json.dumps(one) + "\n" for one in records[part::number]) + "".join(lines)
        (folder / f"{part:02x}.txt.bz2").write_bytes(bz2.compress(text.encode()))
    return folder


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv(smithsonian.KEY, KEY)


def test_the_api_is_read_to_its_end_and_its_key_stays_secret(services, tmp_path, key, caplog):
    caplog.set_level(logging.DEBUG)
    rows = [record(n, "Lycopodiaceae" if n % 2 else "Selaginellaceae") for n in range(2500)]
    services.store(smithsonian={"rows": rows})
    found = find(tmp_path, services)
    assert len(found) == 2500
    one = found[0]
    assert one.urls == (
        "https://ids.si.edu/ids/iiif/NMNH-00000001/full/!1024,1024/0/default.jpg",
        "https://ids.si.edu/ids/deliveryService?max=1024&id=NMNH-00000001",
    )
    assert one.routes == ("ids.si.edu iiif 1024", "ids.si.edu delivery 1024")
    assert one.fields == {
        "label": "clubmoss", "specimen_id": "00000001", "catalogNumber": "00000001", "institutionCode": "US",
        "recordedBy": "A. Núñez; B. Ek", "eventDate": "3 Feb 1901", "locality": "Peru, Loreto",
        "family": "Lycopodiaceae", "genus": "Huperzia", "scientificName": "Huperzia selago", "licence": "CC0-1.0",
        "licence_asserted": True, "rights_holder": "Smithsonian Institution",
    }  # fmt: skip
    assert services.counters()["requests"] == {"/api.si.edu/openaccess/api/v1.0/search": 4}
    assert KEY not in caplog.text
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]


def test_a_page_in_html_with_status_200_is_no_answer(services, tmp_path, key):
    services.store(smithsonian={"rows": [record(1), record(2, "Selaginellaceae")]})
    services.faults(next={"/api.si.edu/openaccess/api/v1.0/search": ["html", "429"]})
    assert len(find(tmp_path, services)) == 2
    services.faults(always={"/api.si.edu/openaccess/api/v1.0/search": "html"})
    with pytest.raises(UserError, match="answered with an HTML page in place of data") as error:
        find(tmp_path / "2", services)
    assert KEY not in str(error.value)


def test_without_a_key_or_a_searchable_term_the_api_is_not_asked(services, tmp_path, monkeypatch):
    monkeypatch.delenv(smithsonian.KEY, raising=False)
    with pytest.raises(UserError, match="set SI_API_KEY in the environment"):
        find(tmp_path, services)
    monkeypatch.setenv(smithsonian.KEY, KEY)
    with pytest.raises(UserError, match="add one of them to `where`"):
        find(tmp_path, services, {"a": {"where": {"locality": "Peru"}}, "b": {"where": {"genus": "x"}}})
    assert services.counters()["requests"] == {}


def test_conditions_that_the_index_does_not_know_are_checked_here(services, tmp_path, key):
    services.store(smithsonian={"rows": [record(1), record(2, "Selaginellaceae"), record(3)]})
    classes = CLASSES | {"clubmoss": {"where": {"family": "Lycopodiaceae", "catalogNumber": "00000003"}}}
    assert [one.fields["specimen_id"] for one in find(tmp_path, services, classes)] == ["00000003", "00000002"]


def test_words_of_the_config_cannot_leave_their_quotes():
    settings = SmithsonianSource.model_validate(
        {"classes": CLASSES | {"x": {"where": {"family": 'a" OR unit_code:"'}}}}
    )
    assert smithsonian.query(settings, "x").endswith('AND (tax_family:"a OR unit_code:")')


def test_records_with_other_shapes_give_what_they_have(services, tmp_path):
    odd = [
        record(1, media=picture(1)),  # an object in place of a list
        record(2, online_media=None),
        record(3, media=[picture(3), picture(3, idsId="NMNH-00000003_02", usage={"access": "Usage conditions apply"})]),
        record(4, media=[picture(4, idsId=None, content=f"https://ids.si.edu/ids/deliveryService/id/{ARK}")]),
        record(5, media=[picture(5, idsId=None, content=None)]),
        record(6, media=[{"type": "Images"}, "x", None, {"type": "3d_package", "idsId": "y"}]),
        record(7, barcode="68526.0"),
        {"content": None}, {}, [], 7,
    ]  # fmt: skip
    del odd[0]["content"]["freetext"]
    odd[4]["content"]["freetext"]["identifier"] = {"label": "Barcode", "content": "00000005"}
    shards = write_shards(tmp_path / "shards", [*odd, record(99, "Selaginellaceae")], lines=("{broken\n", "\n"))
    found = [one for one in find(tmp_path / "w", services, metadata=str(shards)) if one.fields["label"] == "clubmoss"]
    assert [one.fields["specimen_id"] for one in found] == [f"{n:08d}" for n in (1, 3, 3, 4, 5, 68526)]
    assert sorted(one.fields["licence"] for one in found) == ["CC0-1.0"] * 5 + ["Usage conditions apply"]
    four, five = found[3], found[4]
    assert four.urls[1] == f"https://ids.si.edu/ids/deliveryService/id/{ARK}/1024"
    assert (
        four.urls[0]
        == "https://ids.si.edu/ids/iiif/ark%3A%2F65665%2Fm354cfd86e9eec45b386d517fc2e6e35ef/full/!1024,1024/0/default.jpg"
    )
    assert five.urls[1] == f"https://ids.si.edu/ids/deliveryService/id/ark:/65665/m3{5:030d}/1024"
    left = json.loads((tmp_path / "w/citation.json").read_text())["classes"]["clubmoss"]["left_out"]
    assert left == {"without an address": 1, "of records without a picture": 1}


def test_sheets_are_found_by_barcode_in_all_shards(services, tmp_path):
    shards = write_shards(tmp_path / "shards", [record(n) for n in range(60)])
    for name, numbers in (("stained", "barcode\n7.0\n00000011\n"), ("unstained", "Barcode\n 21 \n00000022\n999\n")):
        (tmp_path / f"{name}.csv").write_text(numbers)
    classes = {name: {"barcodes": str(tmp_path / f"{name}.csv")} for name in ("stained", "unstained")}
    found = find(tmp_path / "w", services, classes, metadata=str(shards))
    assert [(one.fields["label"], one.fields["specimen_id"]) for one in found] == [
        ("stained", "00000007"), ("stained", "00000011"), ("unstained", "00000021"), ("unstained", "00000022"),
    ]  # fmt: skip


def test_shards_of_an_address_are_read_once_each_and_dropped(services, tmp_path, monkeypatch):
    monkeypatch.setattr(smithsonian, "SHARDS", ["00", "01", "02"])
    folder = write_shards(
        tmp_path / "shards", [record(n, "Lycopodiaceae" if n % 2 else "Selaginellaceae") for n in range(9)]
    )
    paths = {path.name: str(path) for path in folder.iterdir()}
    services.store(smithsonian={"shards": paths})
    services.faults(
        next={"/metadata.example.org/01.txt.bz2": ["404"], "/metadata.example.org/00.txt.bz2": ["reset", "html"]}
    )
    with pytest.raises(UserError, match=r"01\.txt\.bz2 could not be fetched"):
        find(tmp_path / "w", services, metadata="https://metadata.example.org")
    assert len(find(tmp_path / "w", services, metadata="https://metadata.example.org")) == 9
    asked = services.counters()["requests"]
    assert asked == {
        f"/metadata.example.org/{name}": count
        for name, count in (("00.txt.bz2", 3), ("01.txt.bz2", 2), ("02.txt.bz2", 1))
    }
    assert not list((tmp_path / "w/shards").glob("*.bz2"))


def test_a_broken_shard_is_named(tmp_path):
    shard = write_shards(tmp_path, [record(n) for n in range(50)], 1) / "00.txt.bz2"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UserError, match="is broken"):
        list(edan.read_shard(shard))


def test_a_shard_is_read_line_by_line(tmp_path):
    huge = json.dumps({"x": "y" * 30_000_000})
    shard = (
        write_shards(tmp_path, [record(1)], 1, [huge + "\n", json.dumps(record(2)) + "\n", "[" * 100_000 + "\n"])
        / "00.txt.bz2"
    )
    del huge
    tracemalloc.start()
    assert len(list(edan.read_shard(shard))) == 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_the_other_server_is_asked_where_one_does_not_give_the_picture(services, tmp_path):
    shards = write_shards(tmp_path / "shards", [record(1), record(3), record(2, "Selaginellaceae")])
    services.store(smithsonian={"refused": ["NMNH-00000001"]})
    outcome = bring(services.settings("ids.si.edu"), tmp_path, find(tmp_path / "w", services, metadata=str(shards)))
    assert {row["specimen_id"]: row["route"] for row in outcome.values()} == {
        "00000001": "ids.si.edu delivery 1024", "00000002": "ids.si.edu iiif 1024", "00000003": "ids.si.edu iiif 1024",
    }  # fmt: skip
