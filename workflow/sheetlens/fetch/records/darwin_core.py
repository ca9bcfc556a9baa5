"""Darwin Core Archives, read only through their meta.xml and row by row.

Own code, because python-dwca-reader 0.17 reads one file of a core, keeps an index of all ids in memory,
unpacks without limits and parses XML that may hold entity bombs. The rules are those of the Darwin Core
text guide and its schema (tdwg_dwc_text.xsd), whose defaults are used here.
"""

import codecs
import csv
import io
import posixpath
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from defusedxml import DefusedXmlException, ElementTree

from sheetlens.common import files
from sheetlens.common.errors import UserError

MEDIA = {"Multimedia", "Image"}  # last words of the rowTypes of Audubon Core, GBIF's Simple Multimedia and Image
DESCRIPTOR_LIMIT = 2**22  # bytes of a meta.xml
TABLE_LIMIT = 2**38  # bytes of one unpacked table: more is a decompression bomb
LINE_LIMIT = 2**20  # characters read at once: a longer line falls into rows of their own
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


@dataclass
class Archive:
    """An open archive. `skipped` counts rows that could not be read, by reason."""

    name: str
    core: Table
    extensions: list[Table]
    folder: zipfile.Path | Path
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def media(self) -> list[Table]:
        """The extensions whose rows are pictures, sounds and the like."""
        return [table for table in self.extensions if table.row_type in MEDIA]

    def rows(self, table: Table, wanted: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the id and the wanted terms of every row, in order; memory does not grow with their number.

        A row with too few or too many columns gives what it has. A row that cannot be told apart (a quote
        that never ends) is left out and counted.
        """
        plan = [(term, table.terms.get(term, ()), table.defaults.get(term, "")) for term in wanted]
        columns = 1 + max([table.key or 0, *(column for _, places, _ in plan for column in places)])
        for location in table.locations:
            for values in self._lines(table, location):
                if len(values) < columns:
                    values += [""] * (columns - len(values))
                key = values[table.key].strip() if table.key is not None else ""
                yield key, {term: _value(values, places) or default for term, places, default in plan}

    def _lines(self, table: Table, location: str) -> Iterator[list[str]]:
        with self._open(location) as raw:
            # Quoted fields may hold any line end; elsewhere only the declared one counts, not a stray U+0085.
            newline = "" if table.quote else table.line_end
            text = io.TextIOWrapper(raw, encoding=table.encoding, errors="replace", newline=newline)
            lines = iter(lambda: text.readline(LINE_LIMIT).replace("\0", ""), "")
            rows = iter(_quoted(lines, table) if table.quote else _plain(lines, table))
            number = 0
            while True:
                try:
                    values = next(rows)
                except StopIteration:
                    return
                except csv.Error as error:
                    self.skipped[f"{location}: {error}"] += 1
                    continue
                number += 1
                if number > table.header_lines and any(values):
                    yield values

    @contextmanager
    def _open(self, location: str) -> Iterator[IO[bytes]]:
        member = self.folder / location
        if not member.is_file():
            raise UserError(f"the archive {self.name} names a table '{location}' that it does not hold: get it again")
        try:
            with member.open("rb") as raw:
                yield io.BufferedReader(_Limited(raw, f"the table '{location}' of the archive {self.name}"))
        except (OSError, *files.BROKEN_ZIP) as error:
            raise UserError(
                f"the table '{location}' of the archive {self.name} is broken ({error}): get it again"
            ) from None


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a Darwin Core Archive: a zip file, or a folder that holds one unpacked.

    Nothing is unpacked to disk. Raises UserError when there is no meta.xml or it cannot be used.
    """
    if path.is_dir():
        yield _describe(path.name, path)
        return
    with ExitStack() as stack:
        try:
            archive = _describe(path.name, zipfile.Path(stack.enter_context(zipfile.ZipFile(path))))
        except (OSError, *files.BROKEN_ZIP) as error:
            raise UserError(
                f"{path} is no Darwin Core Archive (a zip file or a folder with meta.xml): {error}"
            ) from None
        yield archive


def _describe(name: str, root: Any) -> Archive:
    folder = next((place for place in (root, *_folders(root)) if (place / "meta.xml").is_file()), None)
    if folder is None:
        raise UserError(f"the archive {name} has no meta.xml, without which its tables cannot be read: get it again")
    with (folder / "meta.xml").open("rb") as file:
        text = file.read(DESCRIPTOR_LIMIT)
    try:
        tree = ElementTree.fromstring(text, forbid_dtd=True)
        core = [element for element in tree if _tag(element) == "core"]
        extensions = [element for element in tree if _tag(element) == "extension"]
        tables = [_table(element) for element in (*core[:1], *extensions)]
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UserError(f"the meta.xml of the archive {name} cannot be used ({error}): get the archive again") from None
    if not core:
        raise UserError(f"the meta.xml of the archive {name} names no core: get the archive again")
    return Archive(name, tables[0], tables[1:], folder)


def _folders(root: Any) -> list[Any]:
    """The folders at the top: some archives hold one folder with everything in it."""
    return sorted((child for child in root.iterdir() if child.is_dir()), key=lambda child: child.name)


def _table(element: Any) -> Table:
    encoding = codecs.lookup(element.get("encoding") or "UTF-8").name
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
    for child in element:
        if _tag(child) == "field" and (term := _word(child.get("term"))):
            if (index := child.get("index")) is not None:
                terms[term] = (*terms.get(term, ()), _column(index))
            if child.get("default"):
                defaults[term] = child.get("default")
    keys = [child.get("index") for child in element if _tag(child) in ("id", "coreid")]
    return Table(
        row_type=_word(element.get("rowType")),
        locations=tuple(_inside(child.text) for child in element.iter() if _tag(child) == "location"),
        encoding="utf-8-sig" if encoding == "utf-8" else encoding,
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


def _character(element: Any, name: str, default: str) -> str:
    value = element.get(name)
    return default if value is None else ESCAPES.get(value, str(value))


def _column(index: str) -> int:
    if not 0 <= int(index) < 10_000:
        raise ValueError(f"a column cannot have the index {index}")
    return int(index)


def _inside(location: str | None) -> str:
    """The location of a table, which must lie inside the archive."""
    place = posixpath.normpath((location or "").strip().replace("\\", "/"))
    if place.startswith(("/", "..")) or ":" in place:
        raise ValueError(f"the location '{location}' is outside the archive")
    return place


def _value(values: list[str], places: tuple[int, ...]) -> str:
    return next((value for column in places if (value := values[column].strip())), "")


def _plain(lines: Iterator[str], table: Table) -> Iterator[list[str]]:
    return (line.rstrip("\r\n").split(table.delimiter) for line in lines)


def _quoted(lines: Iterator[str], table: Table) -> Any:
    # A field of more than csv.field_size_limit() (131,072) characters is an error: a quote that never ends.
    return csv.reader(lines, delimiter=table.delimiter, quotechar=table.quote)


class _Limited(io.RawIOBase):
    """A stream that ends in an error when more comes out of it than a table may hold."""

    def __init__(self, raw: IO[bytes], what: str) -> None:
        self.raw, self.what, self.left = raw, what, TABLE_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.raw.read(len(buffer))
        self.left -= len(data)
        if self.left < 0:
            raise UserError(f"{self.what} unpacks to more than {TABLE_LIMIT // 2**30} GB: it is no table of specimens")
        buffer[: len(data)] = data
        return len(data)
