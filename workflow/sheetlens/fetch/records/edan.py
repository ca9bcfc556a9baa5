"""Records of the Smithsonian's Open Access (EDAN): one JSON object each, in shards of one object a line."""

import bz2
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError, of_the_disk

DIGITS = 8  # of a barcode of the US herbarium
LINE_LIMIT = 2**22  # bytes of a record; longer ones are no specimens
IDS = re.compile(r"(?:id/|[?&]id=)((?:ark:/\d+/\w+)|[\w.-]+)")  # in addresses of the delivery service
ARK = re.compile(r"ark:/\d+/[\w-]+")
NUMBERED = re.compile(r"NMNH-(\d{8})\b")
log = logging.getLogger(__name__)


def read_shard(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a shard (.txt.bz2 or .txt); one line is in memory at a time.

    Lines that are no record are counted in the log. Raises UserError for a file that is cut short.
    """
    broken = 0
    try:
        with bz2.open(path) if path.suffix == ".bz2" else path.open("rb") as file:
            while line := file.readline(LINE_LIMIT):
                if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
                    while (rest := file.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                        pass
                    broken += 1
                    continue
                try:
                    record = json.loads(line) if line.strip() else None
                except (ValueError, RecursionError):
                    record = None
                    broken += 1
                if isinstance(record, dict):
                    yield record
    except (OSError, EOFError) as error:
        if of_the_disk(error):
            raise
        raise UserError(f"the shard {path} is broken ({error}): get it again") from None
    if broken:
        log.warning("%s: %d lines are no record and are left out", path.name, broken)


def record_terms(record: Mapping[str, Any]) -> dict[str, str]:
    """The record in Darwin Core's terms, as far as it knows them; whatever is missing is left out."""
    content = _part(record, "content")
    plain, free, index = (_part(content, name) for name in ("descriptiveNonRepeating", "freetext", "indexedStructured"))
    unit = _text(plain.get("unit_code"))
    name = next(iter(_texts(index.get("scientific_name"))), "")
    found = {
        "catalogNumber": _barcode(next(iter(_labelled(free, "identifier", "Barcode")), "")),
        "institutionCode": "US" if unit == "NMNHBOTANY" else unit,
        "occurrenceID": _text(plain.get("guid")) or _text(plain.get("record_ID")),
        "recordedBy": "; ".join(_labelled(free, "name", "Collector")),
        "recordNumber": next(iter(_labelled(free, "identifier", "Collector Number", "Field Number")), ""),
        "eventDate": next(iter(_labelled(free, "date", "Collection Date")), ""),
        "locality": "; ".join(_texts(free.get("place"))),
        "family": next(iter(_texts(index.get("tax_family"))), ""),
        "genus": name.split(" ")[0],
        "scientificName": name,
    }
    if not found["catalogNumber"]:
        numbers = (NUMBERED.search(image_id(entry)) for entry in media(record))
        found["catalogNumber"] = next((number[1] for number in numbers if number), "")
    return {term: value for term, value in found.items() if value}


def media(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pictures of a record: a list in most records, one object in some, nothing in others."""
    online = _part(_part(_part(record, "content"), "descriptiveNonRepeating"), "online_media").get("media")
    entries = online if isinstance(online, list) else [online]
    return [entry for entry in entries if isinstance(entry, dict) and _text(entry.get("type") or "Images") == "Images"]


def image_id(entry: Mapping[str, Any]) -> str:
    """The id under which the image services know a picture: `idsId`, else from an address or the guid; or ""."""
    if known := _text(entry.get("idsId")):
        return known
    for name in ("content", "thumbnail"):
        if found := IDS.search(_text(entry.get(name))):
            return found[1]
    found = ARK.search(_text(entry.get("guid")))
    return found[0].replace("-", "") if found else ""


def licence(entry: Mapping[str, Any]) -> tuple[str, bool]:
    """The licence of a picture and whether it is asserted; the record's own (metadata_usage) is not the picture's."""
    access = _text(_part(entry, "usage").get("access"))
    return ("CC0-1.0", True) if access == "CC0" else (access, bool(access))


def _barcode(text: str) -> str:
    bare = re.sub(r"\.0+$", "", text.strip())
    return bare.zfill(DIGITS) if bare.isdecimal() else bare


def _labelled(free: Mapping[str, Any], group: str, *labels: str) -> list[str]:
    entries = free.get(group)
    entries = entries if isinstance(entries, list) else [entries]
    fitting = [entry for entry in entries if isinstance(entry, dict) and entry.get("label") in labels]
    return [text for entry in fitting if (text := _text(entry.get("content")))]


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _texts(value: Any) -> list[str]:
    return [text for one in (value if isinstance(value, list) else [value]) if (text := _text(one))]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("content")
    return str(value).strip() if isinstance(value, (str, int, float)) else ""
