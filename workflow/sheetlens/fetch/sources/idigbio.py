"""Source `idigbio`: pictures of specimens that iDigBio keeps copies of, found with its search.

Records and media are searched apart: the record knows the specimen, the media row the licence. A copy that
iDigBio never made comes as a drawing with status 200, which the engine refuses.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError
from sheetlens.config import IdigbioSource
from sheetlens.fetch.candidates import Candidates, required
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import Plan, Request
from sheetlens.fetch.records import terms
from sheetlens.fetch.sources import Source, dwca

SEARCH = "https://search.idigbio.org/v2/search"
MEDIA = "https://api.idigbio.org/v2/media"
PAGE = 1000  # rows of a page; the service allows 5000
DEEPEST = 50_000  # rows; the service fails beyond
INDEXED = {  # iDigBio's index terms, in lower case, where they are not the term's name in lower case
    "recordedBy": "collector",
    "recordNumber": "collectornumber",
    "eventDate": "datecollected",
    "accessURI": "accessuri",
    "type": "mediatype",
}


def plan(settings: IdigbioSource) -> list[Plan]:
    """Say for each class what will be asked for."""
    return [
        Plan(
            f"{label}: pictures of specimens with {dwca.conditions(chosen.query)}, chosen by seed {settings.seed}",
            hosts=("search.idigbio.org", "api.idigbio.org", "s.idigbio.org"),
            images=chosen.images,
            licence=", ".join(settings.licences),
        )
        for label, chosen in settings.classes.items()
    ]


async def requests(settings: IdigbioSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """Search records and their media, sample each class, and yield its pictures.

    Raises UserError when a query finds more than a search reaches, or too few pictures.
    """
    candidates = Candidates(folder / "candidates.sqlite", settings)
    for label, chosen in settings.classes.items():
        words: dict[str, Any] = {term: list(values) for term, values in chosen.query.items()}
        for kind in ("records", "media"):
            await _search(settings, session, candidates, label, kind, words | {"hasImage": True})
    queries = {label: chosen.query for label, chosen in settings.classes.items()}
    candidates.cite("iDigBio", queries=queries, attribution=candidates.recall("attribution"))
    for request in candidates.sample():
        yield request


async def _search(
    settings: IdigbioSource, session: Session, candidates: Candidates, label: str, kind: str, query: Mapping[str, Any]
) -> None:
    """Take all pages of the records, or of the media, of a class."""
    for offset in range(0, DEEPEST, PAGE):
        if candidates.recall(f"end {kind} {label}"):
            return
        with candidates.step(f"{kind} {label} {offset}") as due:
            if due:
                answer = await _ask(session, kind, query, offset)
                for item in required(answer, "items", list, "iDigBio"):
                    if kind == "records":
                        _take_record(candidates, label, item)
                    else:
                        _take_media(settings, candidates, label, item)
                if kind == "records" and offset == 0:
                    _credit(candidates, answer.get("attribution") or [])
                candidates.note(f"end {kind} {label}", offset + PAGE >= answer["itemCount"])


def _credit(candidates: Candidates, attribution: Sequence[Mapping[str, Any]]) -> None:
    """Keep which collections the records come from: iDigBio asks to cite them."""
    known = Counter(candidates.recall("attribution") or {})
    for one in attribution:
        known[str(one.get("name") or one.get("uuid"))] += int(one.get("itemCount") or 0)
    candidates.note("attribution", known)


async def _ask(session: Session, kind: str, query: Mapping[str, Any], offset: int) -> dict[str, Any]:
    body = {"rq": query, "limit": PAGE, "offset": offset, "sort": ["uuid"]}
    answer: dict[str, Any] = await session.json(f"{SEARCH}/{kind}/", method="POST", json=body)
    if required(answer, "itemCount", int, "iDigBio") > DEEPEST:
        raise UserError(
            f"iDigBio's search reaches {DEEPEST:,} {kind}, and {query} finds {answer['itemCount']:,}: narrow the"
            " query, or order a download at idigbio.org and read it with `source: dwca`"
        )
    return answer


def _take_record(candidates: Candidates, label: str, item: Any) -> None:
    if isinstance(item, dict) and item.get("uuid"):
        candidates.know(str(item["uuid"]), label, _terms(item, terms.RECORD))


def _take_media(settings: IdigbioSource, candidates: Candidates, label: str, item: Any) -> None:
    if not isinstance(item, dict) or not item.get("uuid"):
        candidates.leave_out(label, "with a malformed entry")
        return
    media, specimens = _terms(item, terms.MEDIA), (item.get("indexTerms") or {}).get("records") or []
    for key in specimens if isinstance(specimens, list) else [specimens]:
        found = candidates.known(str(key))
        if found and found[0] == label:
            address = f"{MEDIA}/{item['uuid']}?size={settings.size}"
            dwca.add_media(candidates, label, str(key), found[1], media, lambda *_: [(address, settings.size)])  # noqa: B023
            return


def _terms(item: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, str]:
    """Terms of an item: as the provider wrote them, else from the index, which is all in lower case."""
    data, index = (part if isinstance(part := item.get(name), dict) else {} for name in ("data", "indexTerms"))
    raw = {key.rsplit(":", 1)[-1]: value for key, value in data.items()}
    both = ((term, raw.get(term) or index.get(INDEXED.get(term, term.lower()))) for term in wanted)
    return {term: str(value) for term, value in both if isinstance(value, (str, int, float)) and value != ""}


SOURCE = Source(plan, requests=requests)
