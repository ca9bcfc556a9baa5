"""Delimited text as people and portals write it: every line becomes a row, a part of one, or is counted.

Own code, because a CSV reader believes every quote: one that nobody closed swallows all rows up to the next. Here a
quoted field may go on over lines (RFC 4180), but never over lines that are rows themselves.
"""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO

HEAD = 2**16  # bytes of a table by which its encoding and its line ends are told
LINE_LIMIT = 2**20  # characters of a line that are kept
LONGEST = 1000  # lines that one quoted field may go on over
DOS_END = "\x1a"  # what old programs put behind the last line
QUOTED = re.compile(rb'"[^"]*"')
LINE_END = re.compile(rb"\r\n|\r|\n")
ESCAPED = re.compile("[\udc80-\udcff]+")  # bytes that were not of the encoding
WESTERN = ("iso8859-1", "iso8859-15", "cp1252")  # encodings in which every byte is a letter, so that nothing fails
ANOTHER = "not in the encoding {}, read as {} (if letters look wrong, save the table as UTF-8)"
LONG = "longer than {:,} characters, the rest left out"
STRAY = "with a quotation mark that nothing closes, or with text behind a closing one, which were read as letters"
SWALLOWED = (
    "with a quotation mark that closes only rows later, which was read as a letter (if that was one cell of several"
    " lines, write it on one line)"
)
UNCLEAR = (
    "with a quoted cell whose further lines may be rows, which cannot be told: they were kept as one cell (if they are"
    " rows, take out its quotation marks)"
)
WIDE = "with more cells than the table has columns"
NARROW = "with fewer cells than the table has columns, the rest left empty"


class Notes:
    """What became of the lines of one table: how many there were, rows and the like, and oddities by kind."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.lines = self.rows = self.continued = self.empty = 0
        self.odd: dict[str, list[int]] = {}  # what is odd -> number of lines, the first of them

    def add(self, what: str, line: int) -> None:
        """Count a line, or a row that begins there, as odd."""
        self.odd.setdefault(what, [0, line])[0] += 1

    def sentences(self) -> list[str]:
        """The oddities in words, each with the number of lines and the first of them."""
        return [
            f"{number:,} line{'s' * (number > 1)} {what}; the first is line {first:,}"
            for what, (number, first) in self.odd.items()
        ]


def read_lines(raw: IO[bytes], encoding: str, line_end: str, notes: Notes) -> Iterator[str]:
    """Yield the lines of a table with their ends; `encoding` and `line_end` are what its description says.

    A mark at the beginning, and zero bytes, tell UTF-16 whatever was said. A line that is not in the encoding is
    taken for Windows-1252, one that is UTF-8 where Latin-1 was said is UTF-8; both are noted.
    """
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw, HEAD)  # type: ignore[type-var]
    head = buffered.peek(HEAD)[:HEAD]
    codec = encoding_of(head, encoding)
    newline = line_end_of(head, line_end)
    errors = "replace" if codec.startswith("utf-16") else "surrogateescape"
    text = io.TextIOWrapper(buffered, encoding=codec, errors=errors, newline=newline)
    while line := text.readline(LINE_LIMIT):
        notes.lines += 1
        if len(line) == LINE_LIMIT and not line.endswith(newline):
            notes.add(LONG.format(LINE_LIMIT), notes.lines)
            while (rest := text.readline(LINE_LIMIT)) and not rest.endswith(newline):
                pass
            line += newline
        if not line.isascii():
            line = _mended(line, codec, notes)
        yield line.replace("\0", "").rstrip(DOS_END)


def line_end_of(head: bytes, said: str) -> str:
    """The line end of a text that begins so: "\\r" as old Macs wrote it, or "\\n", the end of "\\r\\n" too.

    What is within quotes does not count: programs that end rows with one may end the lines of a cell with the other.
    """
    ends = LINE_END.findall(QUOTED.sub(b"", head.replace(b"\0", b"")))
    old = ends.count(b"\r")
    return "\r" if old and (said == "\r" or (ends[0] == b"\r" and 2 * old > len(ends))) else "\n"


def encoding_of(head: bytes, said: str) -> str:
    """The encoding of a text that begins so; `said` is what its description says."""
    name = codecs.lookup(said).name
    if head.startswith(codecs.BOM_UTF8) or name in ("utf-8", "ascii"):
        name = "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if name.startswith("utf-16") and 0 not in head:  # not even its line ends are: it is what most texts are
        return "utf-8-sig"
    if name.startswith("utf-16") or head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    return name


def _mended(line: str, codec: str, notes: Notes) -> str:
    if ESCAPED.search(line):
        notes.add(ANOTHER.format("UTF-8" if codec.startswith("utf-8") else codec, "Windows-1252"), notes.lines)
        return ESCAPED.sub(_western, line)
    if codec in WESTERN:
        try:
            better = line.encode(codec).decode("utf-8")
        except UnicodeError:
            return line
        notes.add(ANOTHER.format(codec, "UTF-8"), notes.lines)
        return better
    return line


def _western(found: re.Match[str]) -> str:
    """Letters of bytes that were kept as half characters; Latin-1 where Windows-1252 has none."""
    data = found[0].encode("utf-8", "surrogateescape")
    return "".join(bytes([one]).decode("cp1252" if one not in b"\x81\x8d\x8f\x90\x9d" else "latin-1") for one in data)


class Rows:
    """The rows of a table as lists of cells, without blank ones; `begun` is the line where the last one began.

    `columns` is how many there should be; 0: as many as the first row has.
    """

    def __init__(self, lines: Iterator[str], delimiter: str, quote: str, columns: int, notes: Notes) -> None:
        """Read from lines with their ends."""
        self.delimiter, self.quote, self.columns, self.notes = delimiter, quote, columns, notes
        self.begun, self._number = 0, 0
        self._lines, self._back = lines, deque[str]()
        mark, end = re.escape(quote), re.escape(delimiter)
        self._cell = re.compile(f"{mark}((?:[^{mark}]|{mark}{mark})*+){mark}(?={end}|$)|([^{end}]*)") if quote else None

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the rows."""
        notes, quote, delimiter = self.notes, self.quote, self.delimiter
        while (line := self._next()) is not None:
            self._number += 1
            if quote and quote in line:
                self.begun = self._number
                further, row = self._cells(line, line.rstrip("\r\n"))
                self._number += further
                notes.continued += further
            else:
                self.begun, row = self._number, line.rstrip("\r\n").split(delimiter)
            if not row[0].strip() and not any(map(str.strip, row)):
                notes.empty += 1
                continue
            notes.rows += 1
            if len(row) != self.columns:
                self._judge(row)
            yield row

    def _judge(self, row: list[str]) -> None:
        """Note a row with too many or too few cells; the first row says how many there should be."""
        self.columns = self.columns or len(row)
        if any(row[self.columns :]):
            self.notes.add(WIDE, self.begun)
        elif len(row) < self.columns:
            self.notes.add(NARROW, self.begun)

    def _next(self) -> str | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def _cells(self, line: str, text: str) -> tuple[int, list[str]]:
        """The cells of the row that begins with a line, and over how many further lines it goes on."""
        taken: list[str] = []
        cells = self._strictly(line, taken)
        literal = text.split(self.delimiter)
        fits = cells and (not self.columns or len(cells) == self.columns or len(literal) != self.columns)
        odd = self._rows_within([line, *taken]) if fits else STRAY
        if odd:
            self.notes.add(odd, self.begun)
        if odd in ("", UNCLEAR):
            return len(taken), cells
        self._back.extendleft(reversed(taken))
        return 0, self._tolerantly(text, literal)

    def _strictly(self, line: str, taken: list[str]) -> list[str]:
        """The cells by the book, over as many lines as are `taken`; none where quotes are not as they should be."""

        def feed() -> Iterator[str]:
            yield line
            while len(taken) < LONGEST and (further := self._next()) is not None:
                taken.append(further)
                yield further

        return self._by_the_book(feed())

    def _by_the_book(self, lines: Iterable[str]) -> list[str]:
        """The cells of the first row of lines; none where quotes are not as they should be."""
        try:
            return next(csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=True), [])
        except csv.Error:  # also for a field of more than csv.field_size_limit() characters
            return []

    def _rows_within(self, lines: list[str]) -> str:
        """What is odd about the lines of one row: SWALLOWED if they are rows themselves, UNCLEAR if they may be, or "".

        They are suspected where the first and the last have as many cells as the table has columns, or most of those
        between. A true cell seldom has both, and its text has blanks behind its commas, which rows have not.
        """
        if not self.columns or len(lines) == 1:
            return ""
        rows = [self._alone(line) for line in lines]
        whole = [len(row) == self.columns for row in rows]
        ends, between = whole[0] and whole[-1], _most(whole[1:-1] or whole)
        if not ends and not between:
            return ""
        if self.delimiter == "\t" or self.columns == 1:  # no text has tabs, no list of numbers has texts
            return SWALLOWED
        prose = _most([any(cell.startswith(" ") for cell in row[1:]) for row in rows[1:]])
        return SWALLOWED if ends and between and not prose else UNCLEAR

    def _alone(self, line: str) -> list[str]:
        """The cells of a line if it is a row by itself."""
        text = line.rstrip("\r\n")
        literal = text.split(self.delimiter)
        return (self.quote in text and self._by_the_book([text])) or self._tolerantly(text, literal)

    def _tolerantly(self, text: str, literal: list[str]) -> list[str]:
        """The cells of one line: what is quoted by the book without its quotes, all else as it stands."""
        if not self._cell or self.quote not in text:
            return literal
        if "\\" + self.quote in text and (escaped := self._escaped(text)):
            return escaped
        cells, at = [], 0
        while at <= len(text):
            found = self._cell.match(text, at)
            assert found  # noqa: S101 - the second form matches anything
            cells.append(found[2] if found[1] is None else found[1].replace(self.quote * 2, self.quote))
            at = found.end() + len(self.delimiter)
        return literal if len(cells) != self.columns == len(literal) else cells

    def _escaped(self, text: str) -> list[str]:
        """The cells of a line with quotes behind backslashes, as databases write them; none if there are too many."""
        form = {"delimiter": self.delimiter, "quotechar": self.quote, "escapechar": "\\", "strict": True}
        try:
            cells = next(csv.reader([text], doublequote=False, **form), [])  # type: ignore[arg-type]
        except csv.Error:
            return []
        return cells if len(cells) == self.columns else []


def _most(flags: list[bool]) -> bool:
    return 2 * sum(flags) > len(flags)
