"""Source `gbif`: pictures of preserved specimens that GBIF knows, found by the names of taxa.

Small sets are searched page by page; large ones come as a download, which has a DOI to cite and needs an
account: GBIF_USER, GBIF_PWD and GBIF_EMAIL in the environment, read where they are needed and never kept.
"""

import asyncio
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from sheetlens.common.errors import UserError
from sheetlens.config import GbifSource
from sheetlens.fetch.candidates import Candidates, required
from sheetlens.fetch.download import bring
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.records.sizes import size_of
from sheetlens.fetch.sources import Source, dwca

API = "https://api.gbif.org"
SEARCH = f"{API}/v1/occurrence/search"
DOWNLOAD = f"{API}/v1/occurrence/download"
MATCH = f"{API}/v2/species/match"
PAGE = 300  # most records of a page
DEEPEST = 100_000  # most records that a search reaches
FEW = 50_000  # records of all classes that are searched: about three minutes of one page a second
POLL = 30.0  # seconds between two looks at a download
PUBLISHERS = "the publishers' servers"
ACCOUNT = ("GBIF_USER", "GBIF_PWD", "GBIF_EMAIL")
WORKING = ("PREPARING", "RUNNING", "SUSPENDED")
CITED = ("key", "doi", "license", "created", "totalRecords", "numberDatasets", "downloadLink")
log = logging.getLogger(__name__)


def plan(settings: GbifSource) -> list[Plan]:
    """Say for each class what will be asked for."""
    where = f" of {settings.institution}" if settings.institution else ""
    return [
        Plan(
            f"{label}: preserved specimens of {chosen.name}{where} with a picture, chosen by seed {settings.seed}",
            hosts=("api.gbif.org",),
            images=chosen.images,
            licence=", ".join(settings.licences),
            unknown=() if settings.cache else (PUBLISHERS,),
        )
        for label, chosen in settings.classes.items()
    ]


async def requests(settings: GbifSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """Find the taxa and their specimens, sample each class, and yield its pictures.

    Raises UserError when a name is not known, when there are too few pictures, or too many to search.
    """
    candidates = Candidates(folder / "candidates.sqlite", settings)
    for label, chosen in settings.classes.items():
        with candidates.step(f"name {label}") as due:
            if due:
                candidates.note(
                    f"taxon {label}", await find_taxon(session, chosen.name, chosen.rank, settings.checklist)
                )
    queries = {label: query(settings, candidates.recall(f"taxon {label}")) for label in settings.classes}
    if await choose_method(settings, session, candidates, queries) == "download":
        for label, parameters in queries.items():  # one after the other: GBIF makes few at a time
            await _download(settings, session, candidates, label, parameters, folder)
    else:
        for label, parameters in queries.items():
            await _search(settings, session, candidates, label, parameters)
    candidates.cite(
        "GBIF.org",
        queries=queries,
        taxa={label: candidates.recall(f"taxon {label}") for label in queries},
        downloads=[cited for label in queries if (cited := candidates.recall(f"citation {label}"))],
        records_by_dataset=candidates.recall("datasets") or {},
    )
    for request in candidates.sample():
        yield request


async def find_taxon(session: Session, name: str, rank: str, checklist: str) -> dict[str, str]:
    """Look a name up in a checklist: key, name and rank of the accepted taxon. Keys differ between checklists."""
    parameters = {"scientificName": name, "taxonRank": rank.upper(), "checklistKey": checklist}
    answer = await session.json(MATCH, params=parameters)
    kind = (answer.get("diagnostics") or {}).get("matchType", "NONE")
    taxon = (answer.get("acceptedUsage") if answer.get("synonym") else None) or answer.get("usage") or {}
    if kind != "EXACT" or not taxon.get("key"):
        near = f" (the nearest is {taxon.get('name')})" if taxon.get("name") else ""
        raise UserError(f"GBIF's checklist {checklist} does not know '{name}' as {rank.lower()}{near}: check the name")
    return {
        "key": str(taxon["key"]),
        "name": str(taxon.get("canonicalName") or taxon.get("name")),
        "checklistKey": checklist,
    }


def query(settings: GbifSource, taxon: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a search for a class."""
    parameters = {"taxonKey": taxon["key"], "checklistKey": taxon["checklistKey"]}
    parameters |= {"basisOfRecord": "PRESERVED_SPECIMEN", "mediaType": "StillImage"}
    return parameters | ({"institutionCode": settings.institution} if settings.institution else {})


async def choose_method(
    settings: GbifSource, session: Session, candidates: Candidates, queries: Mapping[str, Mapping[str, str]]
) -> str:
    """Search or download, by the config or by the number of records; raise UserError where neither will do."""
    with candidates.step("method") as due:
        if due:
            counts = {}
            for label, parameters in queries.items():
                answer = await session.json(SEARCH, params={**parameters, "limit": "0"})
                counts[label] = required(answer, "count", int, "GBIF")
            total = sum(counts.values())
            log.info("GBIF knows %s", ", ".join(f"{count:,} records of {label}" for label, count in counts.items()))
            few = total <= FEW if settings.method == "auto" else settings.method == "search"
            if few and max(counts.values()) > DEEPEST:
                raise UserError(f"a search reaches {DEEPEST:,} records and there are more: set gbif.method to download")
            if not few:
                account()
            candidates.note("method", "search" if few else "download")
    return str(candidates.recall("method"))


def account() -> dict[str, str]:
    """The account for downloads, from the environment; raise UserError where it is not complete."""
    missing = [name for name in ACCOUNT if not os.environ.get(name)]
    if missing:
        raise UserError(
            f"so many records come as a GBIF download, which needs a (free) account: set {', '.join(missing)} in the"
            " environment, or narrow the query"
        )
    return {name: os.environ[name] for name in ACCOUNT}


async def _search(
    settings: GbifSource, session: Session, candidates: Candidates, label: str, parameters: Mapping[str, str]
) -> None:
    for offset in range(0, DEEPEST, PAGE):
        if candidates.recall(f"end {label}"):
            return
        with candidates.step(f"page {label} {offset}") as due:
            if due:
                answer = await session.json(SEARCH, params={**parameters, "limit": str(PAGE), "offset": str(offset)})
                records = [one for one in required(answer, "results", list, "GBIF") if isinstance(one, dict)]
                for record in records:
                    _add(settings, candidates, label, record)
                datasets = Counter(candidates.recall("datasets") or {})
                datasets.update(str(record.get("datasetKey")) for record in records)
                candidates.note("datasets", datasets)
                candidates.note(f"end {label}", bool(answer.get("endOfRecords", True)) or not answer["results"])


def _add(settings: GbifSource, candidates: Candidates, label: str, record: Mapping[str, Any]) -> None:
    """Add the pictures of one record, whatever of it is missing or malformed."""
    text = {term: str(value) for term, value in record.items() if isinstance(value, (str, int, float))}
    media = record.get("media")
    for entry in media if isinstance(media, list) else []:
        known = (
            {term: value for term, value in entry.items() if isinstance(value, str)} if isinstance(entry, dict) else {}
        )
        dwca.add_media(candidates, label, text.get("key", ""), text, known, ways(settings))


def ways(settings: GbifSource) -> dwca.Ways:
    """How the addresses of a picture follow from its record: the publisher's file, or the cache's copy of it."""

    def of(key: str, media: Mapping[str, str]) -> list[tuple[str, str]]:
        address = media.get("identifier") or media.get("accessURI") or ""
        named = size_of(address, "original")
        if settings.cache and key and address and named != "thumbnail":
            digest = hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()
            size = f"{settings.cache}x{settings.cache}"
            return [(f"{API}/v1/image/cache/{size}/occurrence/{key}/media/{digest}", f"image cache {size}")]
        return [(address, named)]

    return of


async def _download(
    settings: GbifSource,
    session: Session,
    candidates: Candidates,
    label: str,
    parameters: Mapping[str, str],
    folder: Path,
) -> None:
    with candidates.step(f"request {label}") as due:
        if due:
            candidates.note(f"download {label}", await _order(session, parameters))
    key = candidates.recall(f"download {label}")
    with candidates.step(f"archive {label}") as due:
        if due:
            facts = await _wait(session, key)
            if facts["status"] != "SUCCEEDED":
                candidates.forget(f"request {label}")
                raise UserError(f"GBIF could not make the download {key} ({facts['status']}): run again to ask anew")
            candidates.note(f"citation {label}", {term: facts.get(term) for term in CITED})
            path = await bring(f"{DOWNLOAD}/request/{key}.zip", session, folder / f"{key}.zip")
            dwca.collect(path, candidates, {label: {}}, ways(settings))


async def _order(session: Session, parameters: Mapping[str, str]) -> str:
    """Ask for a download; return its key."""
    who = account()
    predicates = [
        {"type": "equals", "key": re.sub("(?<=[a-z])(?=[A-Z])", "_", term).upper(), "value": value}
        for term, value in parameters.items()
        if term != "checklistKey"
    ]
    order = {
        "creator": who["GBIF_USER"],
        "notificationAddresses": [who["GBIF_EMAIL"]],
        "sendNotification": False,
        "format": "DWCA",
        "checklistKey": parameters["checklistKey"],
        "predicate": {"type": "and", "predicates": predicates},
    }
    try:
        answer: bytes = await session.read(
            f"{DOWNLOAD}/request",
            method="POST",
            json=order,
            headers={"Authorization": aiohttp.encode_basic_auth(who["GBIF_USER"], who["GBIF_PWD"])},
            accept=(200, 201),
        )
    except RefusedError as error:
        raise UserError(f"GBIF did not take the order of a download ({error}): check GBIF_USER and GBIF_PWD") from None
    except LaterError as error:
        raise UserError(f"GBIF has too many downloads of this account at work ({error}): run again later") from None
    return answer.decode().strip().strip('"')


async def _wait(session: Session, key: str) -> dict[str, Any]:
    """Look at a download until it has ended; return GBIF's facts about it."""
    while True:
        facts = dict(await session.json(f"{DOWNLOAD}/{key}"))
        if facts.get("status") not in WORKING:
            return facts
        log.info("GBIF makes the download %s (%s)", key, facts["status"].lower())
        await asyncio.sleep(POLL)


SOURCE = Source(plan, requests=requests)
