"""The meta.xml of a Darwin Core Archive: where its tables are, how they are written, what the columns mean.

The rules are those of the Darwin Core text guide and its schema (tdwg_dwc_text.xsd), whose defaults are used here.
"""

import codecs
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from defusedxml import DefusedXmlException, ElementTree

from sheetlens.common.errors import UserError

COLUMNS = 10_000  # of a table, at most: a terse meta.xml names more than a reader can go through
ESCAPES = {r"\t": "\t", r"\n": "\n", r"\r": "\r", r"\r\n": "\r\n", r"\\t": "\t", r"\\n": "\n"}


@dataclass(frozen=True)
class Table:
    """One core or extension: where its rows are, how they are written, what the columns mean.

    `terms` maps the last word of a term (`catalogNumber`) to the columns that hold it, in order; `defaults`
    holds what an empty or missing column means. `key` is the column of the record's id (None: there is none).
    """

    row_type: str
    locations: tuple[str, ...]
    encoding: str
    delimiter: str
    quote: str
    line_end: str
    header_lines: int
    key: int | None
    terms: dict[str, tuple[int, ...]]
    defaults: dict[str, str]

    @property
    def columns(self) -> int:
        """The columns that are described."""
        return 1 + max([self.key or 0, *(column for places in self.terms.values() for column in places)])

    def has(self, term: str) -> bool:
        """Whether rows can say anything of a term."""
        own = self.spelt(term)
        return own in self.terms or own in self.defaults

    def spelt(self, term: str) -> str:
        """A term as the descriptor spells it: portals disagree about upper and lower case."""
        return _as_in((*self.terms, *self.defaults), term)


def read_descriptor(text: bytes, name: str) -> tuple[Table, list[Table], str]:
    """The core, the extensions and the name of the metadata in the meta.xml of the archive `name`.

    Raises UserError where it cannot be used or names no file for the core.
    """
    try:
        tree = ElementTree.fromstring(text, forbid_dtd=True)
        core = [element for element in tree if _tag(element) == "core"]
        extensions = [element for element in tree if _tag(element) == "extension"]
        tables = [_table(element) for element in (*core[:1], *extensions)]
        metadata = _inside(tree.get("metadata"))
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UserError(f"the meta.xml of the archive {name} cannot be used ({error}): get the archive again") from None
    if not core:
        raise UserError(f"the meta.xml of the archive {name} names no core: get the archive again")
    if not tables[0].locations:
        raise UserError(f"the meta.xml of the archive {name} names no file for its core: get the archive again")
    return tables[0], tables[1:], metadata


def _table(element: Any) -> Table:
    encoding = codecs.lookup((element.get("encoding") or "UTF-8").strip()).name
    " ".encode(encoding)  # a LookupError for what is no encoding of text, such as hex
    line_end = _character(element, "linesTerminatedBy", "\n")
    if line_end not in ("\n", "\r", "\r\n"):
        if line_end.strip():
            raise ValueError(f"linesTerminatedBy {line_end!r} is not supported")
        line_end = "\n"  # an XML parser turns a literal line end in an attribute into a space
    delimiter, quote = _character(element, "fieldsTerminatedBy", ","), _character(element, "fieldsEnclosedBy", '"')
    unclear = quote and (len(delimiter) > 1 or delimiter == quote or not {delimiter, quote}.isdisjoint("\r\n"))
    if not delimiter or len(quote) > 1 or unclear:
        raise ValueError(f"fieldsTerminatedBy {delimiter!r} with fieldsEnclosedBy {quote!r} is not supported")
    terms: dict[str, tuple[int, ...]] = {}
    defaults: dict[str, str] = {}
    fields = [child for child in element if _tag(child) == "field"]
    if len(fields) > COLUMNS:
        raise ValueError(f"a table of more than {COLUMNS:,} columns is not supported")
    for child in fields:
        if term := _as_in((*terms, *defaults), _word(child.get("term"))):
            if (index := child.get("index")) is not None:
                terms[term] = (*terms.get(term, ()), _column(index))
            if child.get("default"):
                defaults[term] = child.get("default")
    keys = [child.get("index") for child in element if _tag(child) in ("id", "coreid")]
    locations = (_inside(child.text) for child in element.iter() if _tag(child) == "location")
    return Table(
        row_type=_word(element.get("rowType")),
        locations=tuple(filter(None, locations)),
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        line_end=line_end,
        header_lines=int(element.get("ignoreHeaderLines") or 0),
        key=_column(keys[0]) if keys and keys[0] is not None else None,
        terms=terms,
        defaults=defaults,
    )


def _tag(element: Any) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _word(term: str | None) -> str:
    """The last word of a term or rowType: portals disagree about what stands before it."""
    return (term or "").strip().rstrip("/#").replace("#", "/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _as_in(known: Iterable[str], term: str) -> str:
    """The one of the known terms that is this one but for upper and lower case, else the term."""
    return next((one for one in known if one.casefold() == term.casefold()), term)


def _character(element: Any, name: str, default: str) -> str:
    value = element.get(name)
    return default if value is None else ESCAPES.get(value, str(value))


def _column(index: str) -> int:
    if not 0 <= int(index) < COLUMNS:
        raise ValueError(f"a column cannot have the index {index}")
    return int(index)


def _inside(location: str | None) -> str:
    """The location of a table, which must lie inside the archive; "" for none."""
    if not (location or "").strip():
        return ""
    place = posixpath.normpath((location or "").strip().replace("\\", "/"))
    if place.startswith(("/", "..")) or ":" in place:
        raise ValueError(f"the location '{location}' is outside the archive")
    return place
