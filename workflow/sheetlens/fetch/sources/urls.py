"""Source `urls`: a table of addresses and labels, with optional checksums."""

import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from yarl import URL

from sheetlens.common.errors import UserError
from sheetlens.common.licences import allows, own
from sheetlens.common.secrets import without_secrets
from sheetlens.common.tables import read_rows
from sheetlens.config import UrlsSource
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import LISTING, Plan, Request
from sheetlens.fetch.records import terms
from sheetlens.fetch.sources import Source
from sheetlens.fetch.unpack import SUFFIXES

OWN = sorted({"url", "md5", *LISTING} - {"path", "source_url", "route", "status", "reason", "content_type"})
NOT_FIELDS = ("url", "image_id", "bytes", "md5", "sha256", "refused")
ALSO = {  # our columns -> what other tables call them; of licences all count, of the others the first
    "licence": ("license", "UsageTerms", "WebStatement", "rights"),
    "rights_holder": ("rightsHolder", "Owner"),
    "specimen_id": ("barcode",),
}
NOT_IN_NAMES = re.compile(r"[^\w.-]+")


async def requests(settings: UrlsSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """One request for each row of the table; a row that says nothing usable is refused with the reason."""
    for row in rows(settings):
        yield request(settings, row, row["url"], "urls")


def rows(settings: UrlsSource) -> Iterator[dict[str, str]]:
    """The rows of the table as text under our names of the columns; a cell without a value is "".

    Raises UserError for a table that is not there, cannot be read or lacks `url` or `label`, and for a column
    of ours that no table gives.
    """
    if unknown := sorted(set(settings.columns) - set(OWN)):
        raise UserError(f"the table {settings.table} cannot give '{unknown[0]}': `columns` knows {', '.join(OWN)}")
    columns = {name: settings.columns.get(name, name) for name in (*terms.PROTECTED, *OWN)}
    others = {name: names for name, names in ALSO.items() if name not in settings.columns}
    columns |= {name: name for names in others.values() for name in names}
    for row in read_rows(Path(settings.table), columns, ("url", "label", *settings.columns), keep_shifted=True):
        for ours, names in others.items():
            stated = [value for name in (ours, *names) if (value := row.pop(name, ""))]
            row[ours] = "; ".join(stated) if ours == "licence" else next(iter(stated), "")
        yield terms.withhold(row)


def request(settings: UrlsSource, row: dict[str, str], url: str, route: str) -> Request:
    """The request of a row, by this address; one that says nothing usable is refused."""
    size, refused = row.get("bytes", ""), row.get("refused", "")
    if size and not size.isdecimal():
        refused = refused or f"`bytes` is no number: {size[:50]!r}"
    if not row["label"]:
        refused = refused or "the row has no label"
    image_id = row.get("image_id") or _name(row)
    fields: dict[str, Any] = {key: value for key, value in row.items() if key not in NOT_FIELDS and value}
    fields.setdefault("specimen_id", _specimen(row) or PurePosixPath(image_id).stem)
    fields["licence"], asserted = own(fields.get("licence", ""))
    asserted = str(fields.get("licence_asserted", asserted)).lower() in ("true", "1", "yes")
    fields["licence_asserted"] = asserted
    if not allows(settings.licences, fields["licence"] if asserted else ""):
        refused = refused or (
            f"its licence is none of those wanted: {fields['licence'][:100]}"
            if asserted
            else "nobody asserted a licence"
        )
    return Request(
        image_id,
        (url,),
        (route,),
        bytes=int(size) if size.isdecimal() else 0,
        md5=row.get("md5", ""),
        sha256=row.get("sha256", ""),
        fields=fields,
        refused=refused,
    )


def plan(settings: UrlsSource) -> list[Plan]:
    """One plan for each label of the table, read without the network."""
    images: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    unsized: Counter[str] = Counter()
    hosts: dict[str, set[str]] = {}
    licences: dict[str, set[str]] = {}
    for row in rows(settings):
        label, size = row["label"], row.get("bytes", "")
        images[label] += 1
        sizes[label] += int(size) if size.isdecimal() else 0
        unsized[label] += not size.isdecimal()
        hosts.setdefault(label, set()).add(_address(row["url"]).host or "")
        licences.setdefault(label, set()).add(row.get("licence", ""))
    return [
        Plan(
            label or "no label: refused",
            hosts=tuple(sorted(hosts[label] - {""})),
            images=images[label],
            bytes=None if unsized[label] else sizes[label],
            licence=", ".join(sorted(licences[label] - {""})) or "the table does not say",
        )
        for label in sorted(images)
    ]


def _address(url: str) -> URL:
    try:
        return URL(without_secrets(url))  # a password may stand where a path is taken to be
    except ValueError:
        return URL()


def _specimen(row: dict[str, str]) -> str:
    """What the address says of its specimen, as K00012345_1 does; "" where it says nothing, or the row has a name."""
    last = PurePosixPath(_address(row["url"]).name).stem
    return last if not row.get("image_id") and re.search(r"\d{5}", last) else ""


def _name(row: dict[str, str]) -> str:
    """A name of its own for each address: label, specimen or the address's last part, and a digest."""
    last = PurePosixPath(_address(row["url"]).name)
    digest = hashlib.sha256(row["url"].encode("utf-8", "backslashreplace")).hexdigest()[:8]
    stem = _file_name(row.get("specimen_id") or last.stem) or "image"
    suffix = last.suffix.lower() if last.suffix.lower() in SUFFIXES else ""
    return f"{_file_name(row['label']) or 'unlabelled'}/{stem}-{digest}{suffix}"


def _file_name(text: str) -> str:
    """Text made fit to be part of a file's name."""
    return NOT_IN_NAMES.sub("_", text).lstrip(".")[:80]


SOURCE = Source(plan, requests=requests)
