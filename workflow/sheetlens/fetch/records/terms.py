"""From Darwin Core and Audiovisual Core terms to the columns of a listing."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence

SAME = (
    "institutionCode", "collectionCode", "catalogNumber", "recordedBy", "recordNumber", "eventDate", "family", "genus",
    "scientificName", "countryCode", "stateProvince", "locality", "decimalLatitude", "decimalLongitude",
    "storageLocation", "datasetKey",
)  # fmt: skip
PLACE = ("locality", "decimalLatitude", "decimalLongitude", "stateProvince")
WITHHELD = "informationWithheld"  # Darwin Core's term, by which a listing says that a place was taken out
# What says that a place is protected: Darwin Core's term, Symbiota's of today and before, other portals'.
PROTECTED = (
    WITHHELD, "recordSecurity", "localitySecurity", "securityReason", "localitySecurityReason",
    "geoprivacy", "coordinatesObscured", "sensitive", "isSensitive",
)  # fmt: skip
OPEN = frozenset(  # values by which nothing is protected, also those of R, pandas, Excel and SQL for no value
    ("", "false", "f", "no", "n", "nein", "non", "none", "nil", "null", "n/a", "na", "nan", "\\n", "open", "public",
     "not withheld", "nothing withheld", "not protected", "unprotected", "not sensitive", "not obscured")
)  # fmt: skip
AROUND = " \t.-\u2013\u2014#()[]<>'\""  # what may stand around such a value, or alone, as dashes do
ZERO = re.compile(r"0+(?:[.,]0*)?")
NO_PLACE = dict.fromkeys(PLACE, "") | {WITHHELD: "the place"}
RECORD = (*SAME, *PROTECTED, "occurrenceID", "license", "rightsHolder", "associatedMedia")
MEDIA = (
    "identifier", "accessURI", "goodQualityAccessURI", "references", "format", "type", "variant", "variantLiteral",
    "rights", "license", "UsageTerms", "WebStatement", "rightsHolder", "Owner", "creator",
)  # fmt: skip
QUALITIES = {  # words and numbers of Audiovisual Core's controlled vocabulary of variants, and what portals write
    "thumbnail": re.compile(r"thumb|v001|trailer|v002|preview|icon|\btn\b"),
    "lower": re.compile(r"\blow|v003|\bsmall"),
    "medium": re.compile(r"medium|v004"),
    "good": re.compile(r"good|v005|\bweb"),
    "best": re.compile(r"best|v006|original|\b(?:large|full|high)"),
}
OTHER_KINDS = ("sound", "audio", "moving", "video")
PAGES = ("html", "pdf", "text", "csv", "xml", "json", "zip", "msword", "model")
NO_PICTURES = ("dataset", "interactive")
PICTURES = ("image", "jpeg", "jpg", "png", "tif", "jp2", "photo", "picture", "webp")


def is_protected(record: Mapping[str, str]) -> bool:
    """Whether a collection protects the place of a specimen."""
    stated = (
        value.strip(" \t.-\u2013\u2014#()[]<>'\"").casefold() for value in filter(None, map(record.get, PROTECTED))
    )
    return any(value not in OPEN and not ZERO.fullmatch(value) for value in stated)


def withhold(record: Mapping[str, str]) -> dict[str, str]:
    """A record without what says that its place is protected; if it is, without the place and marked as WITHHELD."""
    known = {term: value for term, value in record.items() if term not in PROTECTED}
    return known | NO_PLACE if is_protected(record) else known


def record_fields(record: Mapping[str, str], key: str = "") -> dict[str, str]:
    """Columns of a listing from a specimen record; a place that the collection protects stays out.

    The specimen_id is the catalogue number, which is the barcode in herbaria, else what identifies the record.
    """
    known = withhold(record)
    fields = {term: value for term in (*SAME, WITHHELD) if (value := known.get(term) or "")}
    return fields | {"specimen_id": fields.get("catalogNumber") or record.get("occurrenceID") or key}


def why_no_picture(media: Mapping[str, str]) -> str:
    """Why a media row is not about a still picture of the sheet, as far as it says; "" where it may be.

    Portals mix up format and type, and misspell both: only what surely means something else is left out.
    """
    kind, form = (media.get("type") or "").lower(), (media.get("format") or "").lower()
    return _why_no_picture(kind, form) or ("that are thumbnails" if quality(media) == "thumbnail" else "")


@functools.lru_cache(maxsize=4096)  # a million pictures have few formats
def _why_no_picture(kind: str, form: str) -> str:
    said = f"that are no still pictures by type or format ({', '.join(filter(None, (kind, form)))[:60]})"
    if any(word in kind + form for word in OTHER_KINDS):
        return said
    if any(word in form for word in PICTURES):
        return ""
    other = not any(word in kind for word in PICTURES) and any(word in kind for word in (*PAGES, *NO_PICTURES))
    return said if other or any(word in form for word in PAGES) else ""


def quality(media: Mapping[str, str]) -> str:
    """What a media row says of its size, by Audiovisual Core's terms: "thumbnail", "best", ..., "" for nothing."""
    if not (media.get("variant") or media.get("variantLiteral")):
        return ""
    said = (media.get("variant") or media.get("variantLiteral") or "").lower()
    return next((name for name, words in QUALITIES.items() if words.search(said)), "")


def media_fields(media: Mapping[str, str], record: Mapping[str, str]) -> dict[str, str]:
    """Columns that the media row knows, with the record's where it is silent."""
    return {
        "rights_holder": media.get("rightsHolder") or media.get("Owner") or record.get("rightsHolder") or "",
        "creator": media.get("creator") or "",
    }


def class_of(record: Mapping[str, str], classes: Mapping[str, Mapping[str, Sequence[str]]]) -> str | None:
    """The first class all of whose conditions (term -> values, in any case) a record meets, or None."""
    for name, where in classes.items():
        if all(
            (record.get(term) or "").casefold() in {value.casefold() for value in values}
            for term, values in where.items()
        ):
            return name
    return None


def terms_of(classes: Iterable[Mapping[str, Sequence[str]]]) -> tuple[str, ...]:
    """All terms that conditions and listings need from a record."""
    return tuple(dict.fromkeys([*RECORD, *(term for where in classes for term in where)]))
