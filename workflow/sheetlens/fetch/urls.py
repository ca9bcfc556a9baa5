"""Source `urls`: a table of addresses and labels, with optional checksums."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

from yarl import URL

from sheetlens.config import UrlsSource
from sheetlens.fetch import Plan, Request
from sheetlens.fetch.session import Session
from sheetlens.fetch.table import file_name, rows
from sheetlens.fetch.unpack import SUFFIXES
from sheetlens.licences import resolve

NOT_FIELDS = ("url", "image_id", "bytes", "md5", "sha256", "refused")


async def requests(settings: UrlsSource, session: Session, folder: Path) -> AsyncIterator[Request]:
    """One request for each row of the table; a row that says nothing usable is refused with the reason."""
    for row in rows(settings):
        yield request(row, (row["url"],), ("urls",))


def request(row: dict[str, str], urls: tuple[str, ...], routes: tuple[str, ...]) -> Request:
    """The request of a row, for these addresses."""
    size, refused = row.get("bytes", ""), row.get("refused", "")
    if size and not size.isdecimal():
        refused = refused or f"`bytes` is no number: {size[:50]!r}"
    if not row["label"]:
        refused = refused or "the row has no label"
    image_id = row.get("image_id") or _name(row)
    fields: dict[str, Any] = {key: value for key, value in row.items() if key not in NOT_FIELDS and value}
    fields.setdefault("specimen_id", PurePosixPath(image_id).stem)
    fields["licence"], asserted = resolve(fields.get("licence", ""))
    fields["licence_asserted"] = str(fields.get("licence_asserted", asserted)).lower() in ("true", "1", "yes")
    return Request(
        image_id,
        urls,
        routes,
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
        return URL(url)
    except ValueError:
        return URL()


def _name(row: dict[str, str]) -> str:
    """A name of its own for each address: label, specimen or the address's last part, and a digest."""
    last = PurePosixPath(_address(row["url"]).name)
    digest = hashlib.sha256(row["url"].encode("utf-8", "backslashreplace")).hexdigest()[:8]
    stem = file_name(row.get("specimen_id") or last.stem) or "image"
    suffix = last.suffix.lower() if last.suffix.lower() in SUFFIXES else ""
    return f"{file_name(row['label']) or 'unlabelled'}/{stem}-{digest}{suffix}"
