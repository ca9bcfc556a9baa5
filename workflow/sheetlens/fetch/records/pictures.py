"""The pictures that a media row of a specimen names: their addresses, and which rows are sizes of one picture."""

import re
from collections.abc import Iterator, Mapping

from sheetlens.fetch.records import terms

ADDRESSES = ("accessURI", "identifier", "goodQualityAccessURI")
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
SIZES = {  # quality by Audiovisual Core -> size in the routes
    "best": "original",
    "good": "web",
    "medium": "medium",
    "lower": "lower",
    "thumbnail": "thumbnail",
}
WORDS = {  # words in addresses -> size in the routes
    "thumbnail": r"tn|thumb|thumbs|thumbnails?|icons?|square|preview",
    "web": r"web|reduced",
    "lower": r"small|sm|lowres|low",
    "medium": r"medium|med|md",
    "original": r"lg|large|xl|orig|originals?|full|fullsize|hires|highres|high|best|master",
}
ANY = "|".join(WORDS.values())
MARKED = re.compile(rf"(?:^|[_.-])(?P<word>{ANY})$", re.IGNORECASE)  # at the end of a file's name
FOLDER = re.compile(rf"/(?:{ANY})(?=/)", re.IGNORECASE)
SCALED = re.compile(r"(?<=[?&])(?:size|width|height|w|h|max|maxwidth|maxheight|quality)=[^&]*&?", re.IGNORECASE)


def named(media: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A media row for each picture that one names: its fields may hold several addresses.

    Where there is no address of the web, that of a page with more (`references`) will do if it is one of a picture.
    """
    listed = {term: terms.addresses(media.get(term) or "") for term in ADDRESSES}
    if not any(terms.BEGINS.match(one) for found in listed.values() for one in found):
        pages = [one for one in terms.addresses(media.get("references") or "") if _ending(one)]
        listed["identifier"] = pages or listed["identifier"]
    several = {term: [one for one in found if "://" in one] for term, found in listed.items()}
    for number in range(max(1, *map(len, several.values()))):
        one = {term: next(iter(found[number : number + 1]), "") for term, found in several.items()}
        if number == 0:
            one = {term: address or next(iter(listed[term]), "") for term, address in one.items()}
        yield {**media, **one}


def size_of(address: str, otherwise: str) -> str:
    """The size that an address names, by the habits of portals, or another word."""
    word = next(_words(address), "").lower()
    return next((size for size, words in WORDS.items() if re.fullmatch(words, word)), otherwise) if word else otherwise


def same(media: Mapping[str, str], address: str) -> str:
    """What the sizes of one picture have in common, as a row tells: an identifier, or an address without its size."""
    identifier = media.get("identifier") or ""
    if terms.quality(media) and media.get("accessURI") and identifier and identifier != media["accessURI"]:
        return identifier
    place, _, query = address.split("#")[0].partition("?")
    place = re.sub(r"^https?:/*(?:www\.)?", "", place.rstrip("/"), flags=re.IGNORECASE)
    stem = place[: -len(ending)] if (ending := _ending(place)) else place
    folder, _, name = stem.rpartition("/")
    return f"{FOLDER.sub('', folder + '/')}{MARKED.sub('', name)}?{SCALED.sub('', '?' + query)}"


def _words(address: str) -> Iterator[str]:
    place = address.split("#")[0].split("?")[0].rstrip("/")
    stem = place[: -len(ending)] if (ending := _ending(place)) else place
    if found := MARKED.search(stem.rpartition("/")[2]):
        yield found["word"]
    yield from (found[0].strip("/") for found in FOLDER.finditer(stem.partition("://")[2]))


def _ending(address: str) -> str:
    return next((ending for ending in ENDINGS if address.lower().endswith(ending)), "")
