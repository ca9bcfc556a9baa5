"""What may be done with a picture: statements as portals write them, resolved to SPDX ids."""

import functools
import re
from collections.abc import Sequence

# SPDX lists these ports of Creative Commons licences and no others (SPDX licence list 3.27).
PORTS = {
    "CC-BY": ("2.5-AU", "3.0-AT", "3.0-AU", "3.0-DE", "3.0-IGO", "3.0-NL", "3.0-US"),
    "CC-BY-NC": ("3.0-DE",),
    "CC-BY-NC-ND": ("3.0-DE", "3.0-IGO"),
    "CC-BY-NC-SA": ("2.0-DE", "2.0-FR", "2.0-UK", "3.0-DE", "3.0-IGO"),
    "CC-BY-ND": ("3.0-DE",),
    "CC-BY-SA": ("2.0-UK", "2.1-JP", "3.0-AT", "3.0-DE", "3.0-IGO"),
}
VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
KINDS = ("CC-BY", "CC-BY-SA", "CC-BY-NC", "CC-BY-NC-SA", "CC-BY-ND", "CC-BY-NC-ND")
PARTS = ("by", "nc", "nd", "sa")  # in SPDX's order, whatever the order of the statement

# The host must be the licensor's own: a path that only looks like a licence says nothing.
ADDRESS = re.compile(
    r"(?:^|[\s\"'(<])(?:https?:)?(?://)?(?:www\.|i\.)?creativecommons\.org/"
    r"(?:publicdomain/(?P<domain>zero|mark)|(?:licenses|l)/(?P<parts>(?:by|nc|nd|sa)(?:-(?:by|nc|nd|sa))*))"
    r"/(?P<version>\d\.\d)(?:/(?P<port>(?!deed|legalcode|rdf)[a-z]+))?",
    re.IGNORECASE,
)
WORDS = (
    (r"non[\s-]*commercial", "NC"),
    (r"share[\s-]*alike", "SA"),
    (r"no[\s-]*deriv(?:atives|s|ative works|ative)?", "ND"),
    (r"attribution", "BY"),
)
NAME = re.compile(
    r"\b(?:CC|creative[\s-]*commons)[\s:-]*\(?(?P<parts>BY(?:[\s-]*(?:NC|ND|SA))*|0|zero)\b"
    r"[\s),-]*(?:licen[cs]e)?[\s),v-]*(?P<version>\d)?(?:[. ](?P<minor>\d))?(?:[\s-]+(?P<port>[A-Z]{2,3})\b)?",
    re.IGNORECASE,
)
MARK = re.compile(r"\bpublic domain mark\b|\bCC-PDM\b", re.IGNORECASE)
STATEMENT_CHARACTERS = 1000  # characters of a statement that are kept


@functools.lru_cache(maxsize=4096)  # a million pictures have few licences
def resolve(*statements: str) -> tuple[str, bool]:
    """Return the licence that statements about a picture amount to, and whether anybody asserted it.

    The licence is an SPDX id where there is one, else the statement itself, else "". An address counts
    before a name with a version, that before a name without, that before other words. A bare name such as
    "CC BY-NC-SA" is what Symbiota writes where nobody chose a licence, so it asserts nothing.
    """
    stated = [statement.strip()[:STATEMENT_CHARACTERS] for statement in statements if statement and statement.strip()]
    for statement in stated:
        if found := ADDRESS.search(statement):
            return _from_address(found, statement), True
    named = [(found, statement) for statement in stated for found in NAME.finditer(_short(statement))]
    for found, _ in named:
        if found["version"] and (licence := _from_name(found)):
            return licence, True
        if found["parts"].lower() in ("0", "zero"):
            return "CC0-1.0", True
    if marked := next((statement for statement in stated if MARK.search(statement)), None):
        return ("CC-PDM-1.0" if "1" in marked or "CC-PDM" in marked.upper() else marked), True
    if named:
        return named[0][1], False
    return (stated[0], True) if stated else ("", False)


def allows(wanted: Sequence[str], licence: str) -> bool:
    """Whether a licence is among those wanted; no wish allows all.

    A wish with a version ("CC-BY-4.0") is that one licence; without ("CC-BY", "CC0") it is every version
    and port, and still not the stricter kinds ("CC-BY-NC").
    """
    if not wanted:
        return True
    name = licence if licence.startswith("CC") else _kind(licence)
    return any(name == wish or re.fullmatch(rf"{re.escape(wish)}-\d\.\d(-[A-Z]+)?", name) for wish in wanted)


def known(wish: str) -> bool:
    """Whether a wish names a licence that statements can resolve to."""
    kinds = {*KINDS, "CC0", "CC-PDM"}
    versions = {f"{kind}-{version}" for kind in KINDS for version in VERSIONS}
    ports = {f"{kind}-{port}" for kind, versions_ in PORTS.items() for port in versions_}
    return wish in kinds | versions | ports | {"CC0-1.0", "CC-PDM-1.0"}


def _from_address(found: re.Match[str], statement: str) -> str:
    if found["domain"]:
        return {"zero": "CC0-1.0", "mark": "CC-PDM-1.0"}[found["domain"].lower()]
    return _spdx(_parts(found["parts"]), found["version"], (found["port"] or "").upper()) or statement


def _from_name(found: re.Match[str]) -> str:
    if found["parts"].lower() in ("0", "zero"):
        return "CC0-1.0"
    version = f"{found['version']}.{found['minor'] or 0}"
    port = (found["port"] or "").upper()
    return _spdx(_parts(found["parts"]), version, port) or _spdx(_parts(found["parts"]), version, "")


def _spdx(kind: str, version: str, port: str) -> str:
    if port:
        return f"{kind}-{version}-{port}" if f"{version}-{port}" in PORTS.get(kind, ()) else ""
    return f"{kind}-{version}" if kind in KINDS and version in VERSIONS else ""


def _parts(text: str) -> str:
    found = {part for part in PARTS if part in re.split(r"[\s_-]+", text.lower())}
    return "-".join(["CC", *(part.upper() for part in PARTS if part in found)])


def _kind(statement: str) -> str:
    """The kind and version of a port that has no SPDX id, for the filter."""
    found = ADDRESS.search(statement)
    return f"{_parts(found['parts'])}-{found['version']}" if found and found["parts"] else ""


def _short(statement: str) -> str:
    statement = statement.replace("_", " ")
    for words, letters in WORDS:
        statement = re.sub(words, letters, statement, flags=re.IGNORECASE)
    return statement
