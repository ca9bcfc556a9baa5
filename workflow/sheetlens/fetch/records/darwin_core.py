"""Darwin Core Archives, read only through their meta.xml and row by row.

Own code, because python-dwca-reader 0.17 reads one file of a core, keeps an index of all ids in memory,
unpacks without limits, parses XML that may hold entity bombs, and loses rows to stray quotes.
"""

import io
import itertools
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sheetlens.common import files
from sheetlens.common.errors import UserError, of_the_disk
from sheetlens.common.formats.delimited import Notes, Rows, read_lines
from sheetlens.common.formats.file_kinds import listed
from sheetlens.fetch.records.archive_files import not_a_table, tables_folder, unpacked
from sheetlens.fetch.records.descriptor import Table, read_descriptor

MEDIA = {"multimedia", "image", "document"}  # last words of the rowTypes of Audubon Core, GBIF's and EOL's extensions
DESCRIPTOR_LIMIT = 2**22  # bytes of a meta.xml, and of the metadata
TABLE_LIMIT = 2**38  # bytes of one unpacked table: more is a decompression bomb
LICENCE = re.compile(r"(creativecommons\.org/[\w/.-]+)")
DOWNLOAD = re.compile(r"\b10\.15468/dl\.\w+")  # the DOI of a GBIF download
NO_HEADER = "skipped because of ignoreHeaderLines that looks like a record"
OTHER_ORDER = "naming the columns in another order than meta.xml, which is followed all the same ({})"
HEADER = "skipped as a header that ignoreHeaderLines does not mention"


@dataclass
class Archive:
    """An open archive. `notes` says of each file of a table that was read what became of its lines."""

    name: str
    core: Table
    extensions: list[Table]
    folder: zipfile.Path | Path
    metadata: str = ""
    notes: dict[str, Notes] = field(default_factory=dict)

    @property
    def media(self) -> list[Table]:
        """The extensions whose rows are pictures, sounds and the like."""
        return [table for table in self.extensions if table.row_type.lower() in MEDIA]

    def rows(self, table: Table, wanted: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the id and the wanted terms of every row, in order; memory does not grow with their number.

        A row with too few or too many columns gives what it has; what is odd is noted.
        """
        spelt = {term: table.spelt(term) for term in wanted}
        silent = {term: table.defaults.get(own, "") for term, own in spelt.items()}
        plan = [(term, table.terms[own], silent[term]) for term, own in spelt.items() if own in table.terms]
        for location in table.locations:
            for values in self._lines(table, location):
                if len(values) < table.columns:
                    values += [""] * (table.columns - len(values))
                key = values[table.key].strip() if table.key is not None else ""
                yield key, silent | {term: _value(values, places) or default for term, places, default in plan}

    def sentences(self) -> Iterator[str]:
        """What was odd in the tables read so far."""
        for location, notes in self.notes.items():
            yield from (f"{location} of {self.name}: {sentence}" for sentence in notes.sentences())

    def citation(self) -> dict[str, str]:
        """What the archive says of itself: its DOI and how to cite it, as far as it does."""
        metadata, citations = self._read(self.metadata), self._read("citations.txt")
        title = re.search(r"<title[^<>]*>([^<]*)", metadata)
        begin = metadata.find("<intellectualRights>")  # a pattern with both takes the square of the time
        licence = LICENCE.search(metadata, begin) if begin >= 0 else None
        own = re.findall(r"<alternateIdentifier>[^<]*?(10\.\d{4,9}/[^<\s]+)", metadata)
        facts = {
            "doi": next(iter([*DOWNLOAD.findall(metadata + citations), *own]), ""),
            "title": " ".join(title[1].split()) if title else "",
            "licence": licence[1] if licence else "",
        }
        return {name: value for name, value in facts.items() if value}

    def _read(self, name: str) -> str:
        if not (member := self._member(name)):
            return ""
        with member.open("rb") as file:
            return file.read(DESCRIPTOR_LIMIT).decode("utf-8", "replace")

    def _member(self, location: str) -> Any:
        """The file of this name, in whatever case; None where there is none."""
        member: Any = self.folder / location
        if member.is_file():
            return member
        beside = member.parent.iterdir() if member.parent.is_dir() else ()
        return next((one for one in beside if one.name.lower() == member.name.lower() and one.is_file()), None)

    def _lines(self, table: Table, location: str) -> Iterator[list[str]]:
        notes = self.notes[location] = Notes()
        with self._open(location) as raw:
            lines = read_lines(raw, table.encoding, table.line_end, notes)
            columns = 0 if table.header_lines else table.columns
            first = next(lines, "")
            delimiter = _delimiter(first, table)
            if delimiter != table.delimiter:
                notes.add(f"separated by {delimiter!r}, though meta.xml says {table.delimiter!r}: read so", 1)
            rows = iter(Rows(itertools.chain([first], lines), delimiter, table.quote, columns, notes))
            header = list(itertools.islice(rows, table.header_lines))
            if header and _is_record(header[-1], table):
                notes.add(NO_HEADER, len(header))
            elif header and (moved := _moved(header[-1], table)):
                notes.add(OTHER_ORDER.format(listed(moved)), len(header))
            for values in rows:
                if notes.rows == 1 and _is_header(values, table):
                    notes.add(HEADER, 1)
                elif any(values):
                    yield values

    @contextmanager
    def _open(self, location: str) -> Iterator[IO[bytes]]:
        member = self._member(location)
        if member is None:
            raise UserError(f"the archive {self.name} names a table '{location}' that it does not hold: get it again")
        try:
            if said := not_a_table(member):
                raise UserError(f"the table '{location}' of the archive {self.name} cannot be read: {said}")
            with member.open("rb") as raw:
                yield io.BufferedReader(_Limited(raw, f"the table '{location}' of the archive {self.name}"))
        except (OSError, *files.BROKEN_ZIP) as error:
            if of_the_disk(error):
                raise
            raise UserError(
                f"the table '{location}' of the archive {self.name} is broken ({error}): get it again"
            ) from None


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a Darwin Core Archive: a zip or tar file, or a folder that holds one unpacked.

    A zip is not unpacked to disk, a tar (compressed or not) into a folder that is removed. Raises UserError when
    there is no meta.xml or it cannot be used.
    """
    with ExitStack() as stack:
        try:
            folder = tables_folder(path.name, unpacked(path, stack))
            with next(child for child in folder.iterdir() if child.name.lower() == "meta.xml").open("rb") as file:
                core, extensions, metadata = read_descriptor(file.read(DESCRIPTOR_LIMIT), path.name)
            yield Archive(path.name, core, extensions, folder, metadata or "metadata.xml")
        except (OSError, EOFError, tarfile.TarError, *files.BROKEN_ZIP) as error:
            if of_the_disk(error):
                raise
            raise UserError(
                f"{path} is no Darwin Core Archive (a zip file or a folder with meta.xml): {error}"
            ) from None


def _delimiter(first: str, table: Table) -> str:
    """The delimiter of a table: another than described where only that one gives its first line enough columns."""
    if table.columns == 1 or table.delimiter in first:
        return table.delimiter
    fitting = (one for one in ("\t", ",", ";", "|") if first.count(one) >= table.columns - 1)
    return next(fitting, table.delimiter)


def _is_header(values: list[str], table: Table) -> bool:
    """Whether a row only names the columns, as the description does."""
    named = [(term, values[place]) for term, places in table.terms.items() for place in places if place < len(values)]
    return len(named) > 1 and all(term.casefold() == value.strip().casefold() for term, value in named)


def _is_record(values: list[str], table: Table) -> bool:
    """Whether a header line is none: it names no column and has a number in it."""
    named = set(map(_term, values)) & {term.casefold() for term in table.terms}
    return not named and any(value.strip().isdigit() for value in values)


def _moved(header: list[str], table: Table) -> list[str]:
    """The columns that a header line names at another place than the description does, with both places."""
    words = [_term(value) for value in header]
    return [
        f"{term} in column {places[0] + 1} of meta.xml, {words.index(term.casefold()) + 1} of the file"
        for term, places in table.terms.items()
        if term.casefold() in words and not any(words[place : place + 1] == [term.casefold()] for place in places)
    ]


def _term(header: str) -> str:
    """The name of a column without what stands before a colon or slash, to be compared."""
    return header.strip().casefold().rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def _value(values: list[str], places: tuple[int, ...]) -> str:
    return next((value for column in places if (value := values[column].strip())), "")


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
