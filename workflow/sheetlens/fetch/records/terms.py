"""From Darwin Core and Audiovisual Core terms to the columns of a listing."""

from collections.abc import Iterable, Mapping, Sequence

SAME = (
    "institutionCode", "collectionCode", "catalogNumber", "recordedBy", "recordNumber", "eventDate", "family", "genus",
    "scientificName", "countryCode", "stateProvince", "locality", "decimalLatitude", "decimalLongitude",
    "storageLocation",
)  # fmt: skip
PLACE = ("locality", "decimalLatitude", "decimalLongitude", "stateProvince")
RECORD = (*SAME, "occurrenceID", "license", "rightsHolder", "informationWithheld", "recordSecurity", "associatedMedia")
MEDIA = (
    "identifier", "accessURI", "goodQualityAccessURI", "format", "type", "rights", "license", "UsageTerms",
    "WebStatement", "rightsHolder", "Owner", "creator",
)  # fmt: skip


def record_fields(record: Mapping[str, str], key: str = "") -> dict[str, str]:
    """Columns of a listing from a specimen record; a place that the collection withholds stays out.

    The specimen_id is the catalogue number, which is the barcode in herbaria, else what identifies the record.
    """
    fields = {term: value for term in SAME if (value := record.get(term) or "")}
    if record.get("informationWithheld") or (record.get("recordSecurity") or "0") != "0":
        fields = {term: value for term, value in fields.items() if term not in PLACE}
    return fields | {"specimen_id": fields.get("catalogNumber") or record.get("occurrenceID") or key}


def is_picture(media: Mapping[str, str]) -> bool:
    """Whether a media row is about a still picture, as far as it says."""
    kind, form = (media.get("type") or "").lower(), (media.get("format") or "").lower()
    if "/" in form and not form.startswith("image/"):
        return False
    return not any(word in kind for word in ("sound", "moving", "video", "audio", "text", "dataset", "interactive"))


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
