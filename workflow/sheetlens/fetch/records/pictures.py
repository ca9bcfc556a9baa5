"""The pictures that a media row of a specimen names: their addresses, and which rows are sizes of one picture."""

from collections.abc import Iterator, Mapping

from sheetlens.fetch.records import terms
from sheetlens.fetch.records.addresses import BEGINS, addresses
from sheetlens.fetch.records.sizes import ENDING, without_size

ADDRESSES = ("accessURI", "identifier", "goodQualityAccessURI")


def named(media: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A media row for each picture that one names: its fields may hold several addresses.

    Where there is no address of the web, that of a page with more (`references`) will do if it is one of a picture.
    """
    listed = {term: addresses(media.get(term) or "") for term in ADDRESSES}
    if not any(BEGINS.match(one) for found in listed.values() for one in found):
        pages = [one for one in addresses(media.get("references") or "") if ENDING.search(one)]
        listed["identifier"] = pages or listed["identifier"]
    several = {term: [one for one in found if "://" in one] for term, found in listed.items()}
    for number in range(max(1, *map(len, several.values()))):
        one = {term: next(iter(found[number : number + 1]), "") for term, found in several.items()}
        if number == 0:
            one = {term: address or next(iter(listed[term]), "") for term, address in one.items()}
        yield {**media, **one}


def same(media: Mapping[str, str], address: str) -> str:
    """What the sizes of one picture have in common, as a row tells: an identifier, or an address without its size."""
    identifier = media.get("identifier") or ""
    if terms.quality(media) and media.get("accessURI") and identifier and identifier != media["accessURI"]:
        return identifier
    return without_size(address)
