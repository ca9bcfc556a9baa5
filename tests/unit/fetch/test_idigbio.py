import asyncio
import json

import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import IdigbioSource
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.sources import idigbio
from tests.services.fetching import bring

HOSTS = ("search.idigbio.org", "api.idigbio.org", "s.idigbio.org")
BY = "http://creativecommons.org/licenses/by/4.0/"


def record(number, family="lycopodiaceae"):
    return {
        "uuid": f"r{number:05d}",
        "data": {"dwc:catalogNumber": f"{number:08d}", "dwc:recordedBy": "A. Núñez", "dwc:family": family.title()},
        "indexTerms": {
            "family": family, "institutioncode": "us", "hasImage": True, "catalognumber": f"{number:08d}",
            "collector": "a. núñez", "datecollected": "1901-02-03",
        },
    }  # fmt: skip


def media(number, **changes):
    return {
        "uuid": f"m{number:05d}",
        "data": {"dcterms:rights": BY, "dc:type": "StillImage", "dcterms:creator": "A Photographer"},
        "indexTerms": {"records": [f"r{number:05d}"], "mediatype": "images"},
    } | changes


def hold(services, number=2300, pictures=None, **values):
    records = [record(n, "lycopodiaceae" if n % 2 else "selaginellaceae") for n in range(number)]
    services.store(idigbio={"records": records, "media": pictures or [media(n) for n in range(number)], **values})


def find(folder, services, **changes):
    classes = {
        "clubmoss": {"query": {"family": "lycopodiaceae", "institutioncode": ["us", "ny"]}},
        "spikemoss": {"query": {"family": "selaginellaceae"}},
    }

    async def run():
        async with Session(services.settings(*HOSTS), seed=1) as session:
            settings = IdigbioSource.model_validate({"classes": classes} | changes)
            return [one async for one in idigbio.requests(settings, session, folder)]

    return sorted(asyncio.run(run()), key=lambda request: request.image_id)


def test_records_and_media_are_joined_over_all_pages(services, tmp_path):
    hold(services)
    found = find(tmp_path, services)
    assert len(found) == 2300
    one = next(one for one in found if one.fields["specimen_id"] == "00000007")
    assert one.urls == ("https://api.idigbio.org/v2/media/m00007?size=webview",)
    assert one.routes == ("api.idigbio.org webview",)
    assert one.fields == {
        "label": "clubmoss", "specimen_id": "00000007", "catalogNumber": "00000007", "recordedBy": "A. Núñez",
        "family": "Lycopodiaceae", "eventDate": "1901-02-03", "institutionCode": "us", "licence": "CC-BY-4.0",
        "licence_asserted": True, "creator": "A Photographer",
    }  # fmt: skip
    assert json.loads((tmp_path / "citation.json").read_text())["attribution"] == {"US Herbarium": 2300}
    before = services.counters()["requests"]
    assert len(find(tmp_path, services)) == 2300
    assert services.counters()["requests"] == before, "what was found is not searched again"


def test_a_copy_that_was_never_made_is_no_photograph(services, tmp_path):
    hold(services, 4, missing=["m00001"])
    outcome = bring(services.settings(*HOSTS), tmp_path, find(tmp_path, services))
    assert sorted(row["status"] for row in outcome.values()) == ["ok", "ok", "ok", "refused"]
    refused = next(row for row in outcome.values() if row["status"] == "refused")
    assert "a drawing (SVG) in place of the photograph" in refused["reason"]
    assert {row["content_type"] for row in outcome.values() if row["status"] == "ok"} == {"image/jpeg"}


def test_entries_that_are_malformed_are_left_out(services, tmp_path):
    bad = [
        media(1, data=None),
        media(3, indexTerms=None),
        "x",
        {"indexTerms": {"records": ["r00005"]}},
        media(7, data="x"),
    ]
    sound = media(9, data={"dc:type": "Sound", "dcterms:rights": BY})
    hold(services, 20, [*bad, sound, *[media(n) for n in range(10, 20)]])
    found = [one for one in find(tmp_path, services) if one.fields["label"] == "clubmoss"]
    assert [one.fields["specimen_id"][-2:] for one in found] == ["01", "07", "11", "13", "15", "17", "19"]
    assert [one.fields["licence_asserted"] for one in found[:2]] == [False, False]


def test_a_query_that_finds_too_much_says_so(services, tmp_path):
    hold(services, 4, count=50_001)
    with pytest.raises(UserError, match=r"reaches 50,000 records, .* finds 50,001: narrow the query"):
        find(tmp_path, services)
