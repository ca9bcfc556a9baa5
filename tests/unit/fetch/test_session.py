import asyncio

import pytest

from sheetlens.common.errors import UserError
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import Session
from tests.services.plain import picture


def ask(settings, url, method="read", **options):
    async def run():
        async with Session(settings, seed=1) as session:
            return await getattr(session, method)(url, **options)

    return asyncio.run(run())


def test_a_body_arrives_and_the_server_learns_who_asks(services):
    assert ask(services.settings(), services.url("/images/a.jpg")) == picture("a.jpg")
    agents = services.counters()["hosts"]["127.0.0.1"]["agents"]
    assert list(agents) == ["sheetlens/0.1.0 (tests@example.org)"]


def test_a_service_that_demands_a_contact_gets_none_is_not_asked(services):
    settings = services.settings("api.gbif.org", contact="")
    with pytest.raises(UserError, match=r"api.gbif.org wants to know whom to write to: set `fetch.contact`"):
        ask(settings, "https://api.gbif.org/v1/occurrence/search")
    assert services.counters()["hosts"] == {}


@pytest.mark.parametrize("kind", ["503", "429", "420", "waf", "202", "reset", "short", "drop"])
def test_a_passing_fault_is_asked_again(services, kind):
    services.faults(next={"/images/a.jpg": [kind]})
    assert ask(services.settings(), services.url("/images/a.jpg")) == picture("a.jpg")
    assert services.counters()["requests"] == {"/images/a.jpg": 2}


@pytest.mark.parametrize("kind", ["404", "403", "410"])
def test_a_plain_no_is_not_asked_again(services, kind):
    services.faults(always={"/images/a.jpg": kind})
    with pytest.raises(RefusedError, match=f"127.0.0.1 answered {kind}"):
        ask(services.settings(), services.url("/images/a.jpg"))
    assert services.counters()["requests"] == {"/images/a.jpg": 1}


def test_html_in_place_of_data_is_named(services):
    services.faults(always={"/images/a.jpg": "html"})
    with pytest.raises(LaterError, match="an HTML page in place of data"):
        ask(services.settings(attempts=2), services.url("/images/a.jpg"), "json")


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-Api-Key"])
def test_credentials_stay_with_the_host_they_are_for(services, name):
    url = services.url(f"/redirect?to={services.url('/headers', host=2)}")
    assert name.lower() not in ask(services.settings(), url, "json", headers={name: "s3cret"})
    url = services.url(f"/redirect?to={services.url('/headers')}")
    assert ask(services.settings(), url, "json", headers={name: "s3cret"})[name.lower()] == "s3cret"


def test_a_body_that_never_ends_is_not_read_to_its_end(services):
    with pytest.raises(RefusedError, match="larger than the limit of 1,000 bytes"):
        ask(services.settings(), services.url("/images/a.jpg"), limit=1000)
