"""Tables that people bring (CSV, TSV, Parquet), row by row under our names of the columns; cells for people."""

import gzip
import io
import itertools
import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common import files
from sheetlens.common.errors import UserError, of_the_disk
from sheetlens.common.formats.delimited import HEAD, Notes, Rows, read_lines
from sheetlens.common.formats.file_kinds import GZIP, listed, unreadable

BATCH = 10_000  # rows of a Parquet file in memory at a time
DELIMITERS = (",", "\t", ";", "|")
SEPARATOR = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)  # a first line by which Excel knows the delimiter
BLANKS = " \t\ufeff\u200b\u00a0"
BETWEEN = re.compile("[\\s\ufeff\u200b_-]+")  # what stands between the words of a name, or before and behind it
SHOWN = 30  # columns named in an error
UNNAMED = (
    "every row has one cell more than the header has names, which gives the cells wrong names: R's write.table leaves"
    " out the name of the row names, so write it into the header (or save with row.names = FALSE)"
)
REFUSED = "the row has more cells than the table has columns"
log = logging.getLogger(__name__)
Header = list[str]
# What makes a spreadsheet compute a cell (OWASP, CSV injection), full-width and small forms included: at the beginning,
# or behind what begins a new cell or line for another program, with anything before it that is not seen.
_SIGN = r"[=+\-@\u207a-\u207c\u208a-\u208c\u2212\u2795\u2796\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
_BREAK = r"\t\n\v\f\r;\x85\u2028\u2029"  # not in _UNSEEN, so that a text of breaks alone takes no square of its length
# Spaces, controls, Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), blanks, quotes of any script.
# Those beyond U+FFFF are two halves to JavaScript, whose pattern FORMULA is (review.js), and one character here.
_HALVES = r"|\ud82f[\udca0-\udca3]|\ud834[\udd73-\udd7a]|[\udb40-\udb43][\udc00-\udfff]"
_WHOLE = r"|[\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
_UNSEEN = (
    r"(?:[\x00-\x08\x0e-\x20`\x7f-\x84\x86-\xa0\xab\xad\xb4\xbb\u02b9-\u02bd\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5"
    r"\u180b-\u180f\u2000-\u200f\u2018-\u201f\u202a-\u202f\u2032-\u2037\u2039\u203a\u205f-\u206f\u2800\u3000"
    rf"\u301d-\u301f\u3164\ufe00-\ufe0f\ufeff\uff02\uff07\uff40\uffa0\ufff0-\ufffb\"']{_HALVES})*"
)
FORMULA = re.compile(rf"(?:^|(?<=[{_BREAK}]))(?={_UNSEEN}{_SIGN})|^(?='*[\x00\t\n\r])")
_FORMULA = re.compile(FORMULA.pattern.replace(_HALVES, _WHOLE))
_GUARDED = re.compile(f"(?:{_FORMULA.pattern})'")


def read_rows(
    path: Path, columns: Mapping[str, str], needed: tuple[str, ...] | None = None, keep_shifted: bool = False
) -> Iterator[dict[str, str]]:
    """Yield each row as text: our name of a column -> its value, "" where there is none.

    `columns` maps our names to the table's, in which case, a prefix such as `dwc:`, blanks, `_` and `-` do not count.
    `needed` are those of ours that must be there (default: all). What the file is (Parquet or text, its encoding and
    delimiter) is told by its content and not by its ending. A row with more cells than the table has columns is an
    error, or has the key `refused`, which says so, for readers that `keep_shifted` rows. What was odd goes to the
    log. Raises UserError for what is no table, lacks a column or has one twice.
    """
    path = files.at_home(path)
    try:
        with path.open("rb") as file:
            begin = file.read(4)
        if begin != b"PAR1" and (said := unreadable(path)):
            raise UserError(f"{path} is no table: {said}")
        header, rows = _parquet(path) if begin == b"PAR1" else _text(path, list(columns.values()))
        places = _places(path, header, columns, columns if needed is None else needed)
        number = shifted = 0
        for number, row in enumerate(rows, start=1):
            found = {ours: _value(row[place]) if place < len(row) else "" for ours, place in places.items()}
            if any(row[len(header) :]):
                if not keep_shifted:
                    raise UserError(
                        f"row {number:,} of the table {path} has more cells than it has columns: correct it, or the"
                        " header if that lacks a name"
                    )
                found["refused"] = REFUSED
                shifted += len(row) == len(header) + 1
            yield found
        if number and shifted == number:
            log.warning("%s: %s", path, UNNAMED)
    except (OSError, EOFError, pa.ArrowException, ValueError, StopIteration, zlib.error) as error:
        if of_the_disk(error):
            raise
        raise UserError(f"the table {path} cannot be read: {str(error) or 'it is empty'}") from None


def _places(path: Path, header: Header, columns: Mapping[str, str], needed: Iterable[str]) -> dict[str, int]:
    """Where each of our columns stands in a table."""
    places, plain = {}, [_plain(name) for name in header]
    for ours, theirs in columns.items():
        found = _standing(plain, theirs)
        if len(found) > 1:  # another that is asked for as it is written is that one: classes may differ by a blank
            others = {name for name in columns.values() if name != theirs}
            found = [place for place in found if header[place] not in others]
        if len(found) > 1:
            names = " and ".join(f"'{header[place]}' (column {place + 1})" for place in found)
            raise UserError(f"the table {path} has a column twice: {names}. Rename one, or take it out")
        if found:
            places[ours] = found[0]
    if lacking := [columns[ours] for ours in needed if ours not in places]:
        raise UserError(f"the table {path} has no column '{lacking[0]}'; its columns are {listed(header, SHOWN)}")
    return places


def _standing(names: list[str], name: str) -> list[int]:
    """Where a name stands among plain ones: as such, else behind a prefix such as `dwc:` or an address."""
    wanted = _plain(name)
    alike = [place for place, one in enumerate(names) if one == wanted]
    return alike or [place for place, one in enumerate(names) if re.split("[:/#]", one)[-1] == wanted]


def _plain(name: str) -> str:
    """A name without what people write otherwise: case, and what stands between words."""
    return BETWEEN.sub("", name).casefold()


def _text(path: Path, wanted: Sequence[str]) -> tuple[Header, Iterator[list[str]]]:
    delimiter, skipped = _delimiter(path, wanted)
    rows = _rows(path, delimiter, skipped)
    return [name.strip(BLANKS) for name in next(rows)], rows


def _rows(path: Path, delimiter: str, skipped: int) -> Iterator[list[str]]:
    """The rows of a table of text, the header first; afterwards the log tells what was odd."""
    notes = Notes()
    with _open(path) as raw:
        lines = read_lines(raw, "utf-8", "\n", notes)
        yield from Rows(itertools.islice(lines, skipped, None), delimiter, '"', 0, notes)
    for sentence in notes.sentences():
        log.warning("%s: %s", path, sentence)


def _open(path: Path) -> IO[bytes]:
    raw = path.open("rb")
    zipped = raw.peek(2)[:2] == GZIP
    return io.BufferedReader(gzip.GzipFile(fileobj=raw), HEAD) if zipped else raw


def _delimiter(path: Path, wanted: Sequence[str]) -> tuple[str, int]:
    """The delimiter of a table of text, by the columns its first line then has, and the lines before the header."""
    notes = Notes()
    with _open(path) as raw:
        first = next(filter(str.strip, read_lines(raw, "utf-8", "\n", notes))).rstrip("\r\n")
    if found := SEPARATOR.match(first):
        return found[1], 1
    order = ("\t", *DELIMITERS) if path.suffix.lower() in (".tsv", ".tab", ".txt") else DELIMITERS

    def fits(delimiter: str) -> tuple[int, int]:
        header = next(iter(Rows(iter([first]), delimiter, '"', 0, Notes())), [])
        plain = [_plain(name) for name in header]
        return sum(bool(_standing(plain, name)) for name in wanted), len(header)

    return max(order, key=fits), 0


def _parquet(path: Path) -> tuple[Header, Iterator[list[Any]]]:
    def rows() -> Iterator[list[Any]]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                yield from map(list, zip(*(column.to_pylist() for column in batch.columns), strict=True))

    with pq.ParquetFile(path) as file:
        return list(file.schema_arrow.names), rows()


def safe_cell(value: Any) -> Any:
    """A value of a table for people: text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return _FORMULA.sub("'", value) if isinstance(value, str) else value


def plain_cell(value: str) -> str:
    """What `safe_cell` was given."""
    return _GUARDED.sub("", value)


def probability_column(name: str) -> str:
    """The column that holds the probability of a class."""
    return f"probability_{name}"


def probability_columns(classes: Iterable[str]) -> list[str]:
    """The columns that hold the probabilities of classes."""
    return [probability_column(name) for name in classes]


def class_names(columns: Iterable[Any]) -> list[str]:
    """The classes that a table of predictions has a column `probability_{class}` for."""
    prefix = probability_column("")
    return [str(name).removeprefix(prefix) for name in columns if str(name).startswith(prefix)]


def _value(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()
