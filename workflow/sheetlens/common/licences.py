"""What may be done with a picture: statements as portals write them, resolved to SPDX ids."""

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

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
    r"(?:publicdomain/(?P<domain>zero|mark)|(?:licenses|l)/(?P<parts>(?:by|nc|nd|sa)(?:-(?:by|nc|nd|sa))*))"
    r"/(?P<version>\d\.\d)(?:/(?P<port>(?!deed|legalcode|rdf)[a-z]+)\b)?(?:/?(?:deed|legalcode|rdf)[\w.-]*|/\S*\.png)?/?",
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
    r"[\s),-]*(?:licen[cs]e)?[\s),v-]*(?P<version>\d)?(?:[. ](?P<minor>\d))?"
    r"(?:[\s-]+(?!N[CDO]\b|NOT|NUR|PAS|SIN|BUT)(?P<port>(?-i:[A-Z]{2,3}))\b)?",
    re.IGNORECASE,
)
MARK = re.compile(r"\bpublic domain mark\b(?:\s*\d(?:\.\d)?)?|\bCC-PDM\b(?:-1\.0)?", re.IGNORECASE)
# What stands beside the name of a free licence without taking anything back ...
HARMLESS = re.compile(
    r"\bno (?:known )?(?:rights reserved|copyright(?: restrictions)?)|\bsome rights reserved|\bno\.?\s*\d|\S+://\S+",
    re.I,
)
# ... and words that may: who states them wants more than the licence says, and only a person can tell what.
RESTRICTING = re.compile(
    r"\b(?:not?|none|never|n[cd]|only|without|except(?:ing|ion|ions)?|exclud\w*|unless|reserved|prohibited|forbidden"
    r"|restrict(?:ed|ion|ions)|permissions?|consent|embargo\w*|commercial|fees?|expired|revoked|withdrawn|formerly"
    r"|(?:research|education\w*|personal|private|scientific) (?:use|purpose|and)|nicht|keine?n?|nur|ohne|vorbehalten"
    r"|au(?:ss|ß)er|pas|sauf|uniquement|r[ée]serv[ée]s|reservados|salvo|solo|sin|n[ãa]o|apenas|somente)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
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
    "all rights reserved"), the statement is kept and asserts nothing. A bare name such as "CC BY-NC-SA" is what
    Symbiota writes where nobody chose a licence: beside another statement it does not count, alone it asserts nothing.
    """
    stated = list(
        dict.fromkeys(
            text for statement in statements if statement and (text := statement.strip()[:STATEMENT_CHARACTERS])
        )
    )
    read = [(statement, *_read(statement)) for statement in stated]
    named = [(statement, strictest(licences)) for statement, licences, _ in read if licences]
    taken_back = [statement for statement, licences, clear in read if not clear]
    if named and (taken_back or not all(one for _, one in named)):
        return (*taken_back, *(statement for statement, one in named if not one))[0], False
    clear = [one for _, one in named if one]
    if found := strictest([one for one in clear if one.asserted] or clear):
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
    rest = NAME.sub(" ", rest)
    if marked := MARK.search(rest):
        certain = "1" in marked[0] or "CC-PDM" in marked[0].upper()
        found.append(Stated("CC-PDM", "CC-PDM-1.0" if certain else statement, True))
    return tuple(found), not RESTRICTING.search(HARMLESS.sub(" ", MARK.sub(" ", rest)))


def _from_address(found: re.Match[str]) -> Stated:
    if found["domain"]:
        kind = {"zero": "CC0", "mark": "CC-PDM"}[found["domain"].lower()]
        return Stated(kind, f"{kind}-1.0", True)
    kind = _parts(found["parts"])
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
    found = {part for part in PARTS if part in re.split(r"[\s_-]+", text.lower())}
    return "-".join(["CC", *(part.upper() for part in PARTS if part in found)])


def _kind(statement: str) -> str:
    """The kind and version of a port that has no SPDX id, for the filter; "" for anything else."""
    found = ADDRESS.fullmatch(statement.strip())
    return f"{_parts(found['parts'])}-{found['version']}" if found and found["parts"] else ""


def _short(statement: str) -> str:
    statement = statement.replace("_", " ")
    for words, letters in WORDS:
        statement = re.sub(words, letters, statement, flags=re.IGNORECASE)
    return statement
