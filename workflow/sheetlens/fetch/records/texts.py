"""Texts of records as cells of a table and as parts of file names, whatever they hold."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

FIELD_CHARACTERS = 1000  # characters of a field that are kept
BREAKS = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: controls, half characters, ends of lines and paragraphs
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


def clean(value: Any) -> Any:
    """A text as one line of at most FIELD_CHARACTERS characters that any table can hold; other values as they are."""
    if not isinstance(value, str):
        return value
    if value.isprintable():
        return " ".join(value[:FIELD_CHARACTERS].split())
    letters = (" " if unicodedata.category(letter) in BREAKS else letter for letter in value[: 2 * FIELD_CHARACTERS])
    return " ".join("".join(letters).split())[:FIELD_CHARACTERS]


def slug(text: str) -> str:
    """A text as part of a file name."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_-")[:60] or "unnamed"


def picture_name(fields: Mapping[str, Any], url: str) -> str:
    """A file name that says which specimen it is and stays the same whenever it is fetched."""
    specimen = "-".join(slug(str(fields[key])) for key in ("institutionCode", "specimen_id") if fields.get(key))
    ending = next((end for end in ENDINGS if url.lower().split("?")[0].endswith(end)), ".jpg")
    return f"{specimen or 'picture'}-{hashlib.sha256(url.encode()).hexdigest()[:10]}{ending}"
