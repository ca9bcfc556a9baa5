"""What may be done with a picture: statements as portals write them, resolved to SPDX ids."""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from sheetlens.common.reservations import takes_back

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
FREE = ("CC0", "CC-PDM")
PARTS = ("by", "nc", "nd", "sa")  # in SPDX's order, whatever the order of the statement

# The host must be the licensor's own: a path that only looks like a licence says nothing.
ADDRESS = re.compile(
    r"(?:^|(?<=[\s\"'(<,;:|]))(?:https?:)?(?://)?(?:www\.|i\.)?creativecommons\.org/"
    r"(?:publicdomain/(?P<domain>zero|mark)|(?:licen[cs]es|l)/(?P<parts>(?:by|nc|nd|sa)(?:-(?:by|nc|nd|sa))*))\b"
    r"(?:/(?P<version>\d\.\d))?(?:/(?P<port>(?!deed|legalcode|rdf)[a-z]+)\b)?(?:/?(?:deed|legalcode|rdf)[\w.-]*|/\S*\.png)?/?"
    r"(?:[?#][\w=&.-]*)?",
    re.IGNORECASE,
)
WORDS = (  # the licences' titles in six languages
    (r"non[\s-]*comm?ercial|no[\s-]*comercial|n[ãa]o[\s-]*comercial|nicht[\s-]*kommerziell", "NC"),
    (r"pas\s+d['\u2019]utilisation\s+commerciale|non\s+commerciale|niet[\s-]*commercieel", "NC"),
    (r"share[\s-]*alike|compartir[\s-]*igual|compartilha\w*[\s-]*igual|gelijk\s*delen", "SA"),
    (r"weitergabe unter gleichen bedingungen|partage dans les m[êe]mes conditions|condividi allo stesso modo", "SA"),
    (r"no[\s-]*deriv(?:atives|s|ative works|ative)?|s(?:in|em)[\s-]*(?:obras?)?[\s-]*deriva\w+", "ND"),
    (r"keine bearbeitung(?:en)?|pas de modifications?|non opere derivate|geen afgeleide werken", "ND"),
    (r"attribution|atribuci[óo]n|reconocimiento|atribui[çc][ãa]o|namensnennung|attribuzione|naamsvermelding", "BY"),
)
NAME = re.compile(
    r"\b(?:(?:CC|creative[\s-]*commons)[\s:-]*\(?(?:licen[cs]e[\s:]*)?|(?=(?-i:BY)[\s-]*(?:(?:NC|ND|SA)[\s-]*)*\d\.\d))"
    r"(?P<parts>BY(?:[\s-]*(?:NC|ND|SA))*|0|zero)\b"
    r"[\s),-]*(?:licen[cs]e)?[\s),v-]*(?P<version>\d)?(?:[. ](?P<minor>\d))?"
    r"(?:[\s-]+(?!N[CDO]\b|SA\b|NOT|NUR|PAS|SIN|BUT)(?P<port>(?-i:[A-Z]{2,3}))\b)?",
    re.IGNORECASE,
)
TITLE = re.compile(r"\bBY(?:[\s-]*(?:NC|ND|SA))+\b")
MARK = re.compile(r"\bpublic domain mark\b(?:\s*\d(?:\.\d)?)?|\bCC-PDM\b(?:-1\.0)?", re.IGNORECASE)
DEFAULT = "CC-BY-NC-SA"  # what Symbiota writes, without a version, where nobody chose
MISSING = ("na", "n/a", "nan", "null", "none", "-", "?", "unknown", "unspecified", "not specified")  # is no statement
STATEMENT_CHARACTERS = 1000  # characters of a statement that are kept


class Stated(NamedTuple):
    """A licence named in a statement: `kind` such as CC-BY, `licence` its id; `asserted`: more than a bare name."""

    kind: str
    licence: str
    asserted: bool


def resolve(*statements: str) -> tuple[str, bool]:
    """Return the licence that statements about a picture amount to, and whether anybody asserted it.

    The licence is an SPDX id where there is one, else the statement itself, else "". Of several licences the
    strictest counts; where none is the strictest, and where words beside a licence take something back ("not",
    "all rights reserved"), the statement is kept and asserts nothing. A bare name asserts nothing, and that of DEFAULT
    does not count beside another statement.
    """
    stated = list(
        dict.fromkeys(
            text
            for statement in statements
            if (text := (statement or "").strip()[:STATEMENT_CHARACTERS]) and text.casefold() not in MISSING
        )
    )
    read = [(statement, *_read(statement)) for statement in stated]
    named = [(statement, strictest(licences)) for statement, licences, _ in read if licences]
    taken_back = [statement for statement, licences, clear in read if not clear]
    if named and (taken_back or not all(one for _, one in named)):
        return (*taken_back, *(statement for statement, one in named if not one))[0], False
    clear = [one for _, one in named if one]
    if found := strictest([one for one in clear if one.asserted or one.kind != DEFAULT] or clear):
        return found.licence, found.asserted
    return ("; ".join(stated)[:STATEMENT_CHARACTERS], False) if named else (stated[0], True) if stated else ("", False)


def own(statement: str) -> tuple[str, bool]:
    """The licence that somebody wrote into a table of their own, which asserts it, bare names too."""
    licence, asserted = resolve(statement)
    licences, clear = _read(statement.strip()[:STATEMENT_CHARACTERS])
    bare = strictest(licences) if clear and not asserted else None
    return (bare.kind, True) if bare else (licence, asserted)


def strictest(licences: Sequence[Stated]) -> Stated | None:
    """The licence that asks for all that the others ask for; None if each asks for something of its own.

    Of the same kind the first counts, one with a version before a bare name.
    """
    parts = [set() if one.kind in FREE else set(one.kind.split("-")) for one in licences]
    most = [one for one, asks in zip(licences, parts, strict=True) if all(asks >= others for others in parts)]
    return next((one for one in most if one.asserted), next(iter(most), None))


def allows(wanted: Sequence[str], licence: str) -> bool:
    """Whether a licence is among those wanted; no wish allows all.

    A wish with a version ("CC-BY-4.0") is that one licence; without ("CC-BY", "CC0") it is every version
    and port, and still not the stricter kinds ("CC-BY-NC").
    """
    if not wanted:
        return True
    name = licence if known(licence) else _kind(licence)
    return any(name == wish or re.fullmatch(rf"{re.escape(wish)}-\d\.\d(-[A-Z]+)?", name) for wish in wanted)


def known(wish: str) -> bool:
    """Whether a wish names a licence that statements can resolve to."""
    kinds = {*KINDS, *FREE}
    versions = {f"{kind}-{version}" for kind in KINDS for version in VERSIONS}
    ports = {f"{kind}-{port}" for kind, versions_ in PORTS.items() for port in versions_}
    return wish in kinds | versions | ports | {"CC0-1.0", "CC-PDM-1.0"}


@functools.lru_cache(maxsize=4096)  # a million pictures have few licences
def _read(statement: str) -> tuple[tuple[Stated, ...], bool]:
    """The licences that one statement names, and whether nothing beside them takes something back."""
    found = [_from_address(match) for match in ADDRESS.finditer(statement)]
    rest = _short(ADDRESS.sub(" ", statement))
    found += [_from_name(match, statement) for match in NAME.finditer(rest)]
    kinds = {one.kind for one in found}
    rest = TITLE.sub(lambda title: " " if _parts(title[0]) in kinds else title[0], NAME.sub(" ", rest))
    if marked := MARK.search(rest):
        certain = "1" in marked[0] or "CC-PDM" in marked[0].upper()
        found.append(Stated("CC-PDM", "CC-PDM-1.0" if certain else statement, True))
    waived = bool(found) and kinds <= set(FREE)
    return tuple(found), not takes_back(MARK.sub(" ", rest), len(found), waived)


def _from_address(found: re.Match[str]) -> Stated:
    if found["domain"]:
        kind = {"zero": "CC0", "mark": "CC-PDM"}[found["domain"].lower()]
        return Stated(kind, f"{kind}-1.0", True)
    kind = _parts(found["parts"])
    if not found["version"]:
        return Stated(kind, kind, True)
    return Stated(kind, _spdx(kind, found["version"], (found["port"] or "").upper()) or found[0], True)


def _from_name(found: re.Match[str], statement: str) -> Stated:
    if found["parts"].lower() in ("0", "zero"):
        return Stated("CC0", "CC0-1.0", True)
    kind, version = _parts(found["parts"]), f"{found['version']}.{found['minor'] or 0}"
    licence = _spdx(kind, version, (found["port"] or "").upper()) or _spdx(kind, version, "")
    return Stated(kind, licence or statement, bool(licence))


def _spdx(kind: str, version: str, port: str) -> str:
    if port:
        return f"{kind}-{version}-{port}" if f"{version}-{port}" in PORTS.get(kind, ()) else ""
    return f"{kind}-{version}" if kind in KINDS and version in VERSIONS else ""


def _parts(text: str) -> str:
    found = set(re.findall("|".join(PARTS), text.lower()))
    return "-".join(["CC", *(part.upper() for part in PARTS if part in found)])


def _kind(statement: str) -> str:
    """The kind and version of a port that has no SPDX id, for the filter; "" for anything else."""
    found = ADDRESS.fullmatch(statement.strip())
    return f"{_parts(found['parts'])}-{found['version']}" if found and found["parts"] and found["version"] else ""


def _short(statement: str) -> str:
    statement = re.sub("[\u2010-\u2015\u2212]", "-", statement.replace("_", " "))
    for words, letters in WORDS:
        statement = re.sub(words, letters, statement, flags=re.IGNORECASE)
    return statement
