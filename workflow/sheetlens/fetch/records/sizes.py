"""The size of a picture that its address names, and what is left of the address without it.

The habits are those of image servers (IIIF, GBIF's cache, iDigBio, the Smithsonian) and of people who name files.
"""

import functools
import re

from sheetlens.fetch.records.addresses import PICTURE

SIZES = {  # quality by Audiovisual Core -> size in the routes
    "best": "original",
    "good": "web",
    "medium": "medium",
    "lower": "lower",
    "thumbnail": "thumbnail",
}
WORDS = {  # words in addresses -> size in the routes
    "thumbnail": r"tn|thumb|thumbs|thumbnails?|icons?|square|preview",
    "web": r"web|webview|reduced",
    "lower": r"small|sm|lowres|low|s",
    "medium": r"medium|med|md|m",
    "original": r"lg|large|xl|orig|originals?|full|fullsize|hires|highres|high|best|master|max|l",
}
PIXELS = {300: "thumbnail", 800: "medium", 2500: "web"}  # fewer -> size; portals make thumbnails of 90 to 260 pixels
STEPS = 16  # a smaller number counts steps and not pixels
ANY = "|".join("|".join(word for word in words.split("|") if len(word) > 1) for words in WORDS.values())
END = r"(?=/?(?:[?#&]|$))"  # of a file's name, or of a value in the query
ENDING = re.compile(PICTURE + END, re.IGNORECASE)
# What names a size, with `size` where that can be told and with `kept` for what belongs to the picture
PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<=[?&])quality=\d{1,3}(?:&|(?=#|$))",
        r"(?<=[?&])(?:size|width|height|w|h|max|maxwidth|maxheight|quality)"
        rf"=(?P<size>{ANY}|[lms]|\d{{1,5}}(?:px)?|\d{{0,5}}[x,]\d{{0,5}})(?:&|(?=#|$))",
        r"/full/\^?(?:(?P<size>full|max|!?\d*,\d*)|pct:[\d.]+)/!?[\d.]+/(?:default|color|gray|bitonal|native)" + END,
        rf"(?P<kept>/deliveryService/id/[^?#]{{1,200}})/(?P<size>\d{{2,5}}){END}",
        rf"(?:(?<=/)|[_.-])(?P<size>{ANY}|\d{{2,5}}px|\d{{2,5}}x\d{{2,5}})(?:[_-]?[1-9]\d{{2,3}})?(?P<kept>[_-]\d{{1,2}})?{END}",
        rf"(?<=\w)[_-](?P<size>[lms]){END}",
        rf"/(?P<size>{ANY}|\d{{2,5}}x\d{{0,5}}|\d{{2,5}}px)(?=/)",
    )
)


def size_of(address: str, otherwise: str) -> str:
    """The size that an address names, by the habits of portals, or another word."""
    return next(filter(None, map(_size, _split(address)[1])), otherwise)


def without_size(address: str) -> str:
    """What the addresses of all sizes of one picture have in common."""
    return _split(address)[0]


@functools.lru_cache(maxsize=64)  # a row asks for the size of an address, and for what is left of it
def _split(address: str) -> tuple[str, list[str]]:
    """An address without its sizes, and these, the surest first.

    A fragment stays where it may tell pictures apart, as in a viewer's address, but not behind the name of a file.
    """
    bare = address.partition("#")[0]
    rest = bare if ENDING.search(bare.partition("?")[0]) else address
    rest = ENDING.sub("", re.sub(r"^https?:/*(?:www\.)?", "", rest, flags=re.IGNORECASE))
    named: list[str] = []

    def take(found: re.Match[str]) -> str:
        parts = found.groupdict()
        named.append(parts.get("size") or "")
        return parts.get("kept") or ""

    for pattern in PATTERNS:
        rest = pattern.sub(take, rest)
    return rest.rstrip("/?&"), named


def _size(named: str) -> str:
    """The size in the routes for a word or a number of pixels in an address; "" for one that says nothing."""
    if numbers := re.findall(r"\d+", named):
        pixels = max(map(int, numbers))
        return "" if pixels < STEPS else next((size for most, size in PIXELS.items() if pixels < most), "original")
    return next((size for size, words in WORDS.items() if re.fullmatch(words, named, re.IGNORECASE)), "")
