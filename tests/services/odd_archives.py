"""Sound archives and tables in odd dress, each with the rows that are in it.

Rebuilt small after the archives in the test suites of public readers (python-dwca-reader, GBIF's dwca-io, gnames'
dwca) and after exports that people reported as read wrongly. `reference`: python-dwca-reader 0.17 reads it right.
"""

import csv
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.services.archives import Part, media, occurrences, write_archive

Rows = list[dict[str, str]]
Random = np.random.Generator
PLAIN = ("by the river", "", "Rio", "12 km N", "São Paulo", "Köln; Rhein", "O'Brien's farm", "a, b and c", "  x  y")
STRAY = (*PLAIN, '"El Yunque', '12" rock', '"quoted" town', 'say "so"', '"', 'end 12"')
BROKEN = (*PLAIN, "by the\nriver", 'he said "left, then\n\nright"', "a\r\nb", 'x"y', '"all"')


@dataclass(frozen=True)
class Shape:
    """How an archive is written: which texts, which changes of its tables, what is done to the file then."""

    texts: tuple[str, ...] = PLAIN
    changes: dict[str, object] | None = None
    after: Callable[[Path], Path] = lambda path: path
    raw: bool = False  # write the cells as they stand, whatever the description says of quotes
    reference: bool = True


def _meta(old: str, new: str) -> Callable[[Path], Path]:
    """Say something else in the meta.xml, of all tables."""

    def change(name: str, data: bytes) -> tuple[str, bytes]:
        return name, data.replace(old.encode(), new.encode()) if name.endswith("meta.xml") else data

    return lambda path: _rewritten(path, change)


def _each(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Change the bytes of each table."""
    return lambda path: _rewritten(path, lambda name, data: (name, data if name.endswith(".xml") else change(data)))


def _rewritten(path: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> Path:
    target = path.with_name(f"re-{path.name}")
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(target, "w") as other:
        for name in file.namelist():
            other.writestr(*change(name, file.read(name)))
    return target


def _within(folder: str) -> Callable[[Path], Path]:
    return lambda path: _rewritten(path, lambda name, data: (folder + name, data))


def _tar(path: Path) -> Path:
    target = path.with_suffix(".tar.gz")
    with zipfile.ZipFile(path) as file, tarfile.open(target, "w:gz") as other:
        for name in file.namelist():
            member = tarfile.TarInfo(name)
            member.size = len(data := file.read(name))
            other.addfile(member, io.BytesIO(data))
    return target


def _unpacked(path: Path) -> Path:
    with zipfile.ZipFile(path) as file:
        file.extractall(path.with_suffix(""))
    return path.with_suffix("")


TAB = {"delimiter": "\t", "quote": ""}
SHAPES: dict[str, Shape] = {
    "tabs without quotes": Shape(STRAY, TAB),
    "commas with quotes": Shape(BROKEN),
    "semicolons with apostrophes": Shape(PLAIN, {"delimiter": ";", "quote": "'"}),
    "pipes": Shape(PLAIN, {"delimiter": "|"}),
    "DOS line ends": Shape(PLAIN, {"line_end": "\r\n"}),
    "tabs that promise quotes": Shape(STRAY, {"delimiter": "\t"}, raw=True, reference=False),
    "Latin-1": Shape(PLAIN, {"encoding": "ISO-8859-1"}),
    "UTF-16": Shape(PLAIN, {**TAB, "encoding": "UTF-16"}, reference=False),
    "Latin-1 that says UTF-8": Shape(
        PLAIN, {**TAB, "encoding": "ISO-8859-1"}, _meta("ISO-8859-1", "UTF-8"), reference=False
    ),
    "UTF-8 that says Latin-1": Shape(PLAIN, TAB, _meta("UTF-8", "ISO-8859-1"), reference=False),
    "no encoding said": Shape(PLAIN, TAB, _meta('encoding="UTF-8" ', ""), reference=False),
    "a mark at the beginning": Shape(PLAIN, TAB, _each(lambda data: b"\xef\xbb\xbf" + data)),
    "no header": Shape(PLAIN, {"header": 0}),
    "two lines of header": Shape(PLAIN, {"header": 2}),
    "a header nobody mentions": Shape(PLAIN, TAB, _meta('Lines="1"', 'Lines="0"'), reference=False),
    "several files": Shape(PLAIN, {"files": 3}, reference=False),
    "the id in another column": Shape(PLAIN, {"key": 2}),
    "a folder in the zip": Shape(PLAIN, None, _within("dwca-7/")),
    "three folders in the zip": Shape(PLAIN, None, _within("a/b/c/"), reference=False),
    "a tar": Shape(BROKEN, None, _tar),
    "a folder": Shape(BROKEN, None, _unpacked),
    "names in capitals": Shape(PLAIN, None, lambda path: _rewritten(path, lambda name, data: (name.upper(), data)),
                               reference=False),
    "blank lines": Shape(PLAIN, TAB, _each(lambda data: data.replace(b"\n", b"\n\n")), reference=False),
    "cells left out at the end": Shape(PLAIN, TAB, _each(lambda data: data.replace(b"\t\n", b"\n")), reference=False),
    "tabs where commas are the default": Shape(
        ("here", "there"), TAB, _meta('fieldsTerminatedBy="\\t" ', ""), reference=False
    ),
    "quotes behind backslashes": Shape(('say "so"', 'a, "b", c'), {}, _each(lambda data: data.replace(b'""', b'\\"')),
                                       reference=False),
    "no metadata": Shape(PLAIN, None, _meta(' metadata="eml.xml"', "")),
}  # fmt: skip


def build(folder: Path, name: str, random: Random) -> tuple[Path, Rows, Rows]:
    """An archive of a shape, the records in it, and the media rows; what reads it may strip cells."""
    shape, number = SHAPES[name], int(random.integers(4, 60))
    records = [
        {"id": str(n), "catalogNumber": f"US{n:05d}", "locality": str(random.choice(shape.texts)),
         "family": "Lycopodiaceae", "recordedBy": str(random.choice(shape.texts))}
        for n in range(number)
    ]  # fmt: skip
    pictures = [
        {"id": str(n), "identifier": f"https://img.example/{n}.jpg", "creator": str(random.choice(shape.texts))}
        for n in range(number)
    ]
    changes = {**(shape.changes or {})}
    parts = [occurrences(records, **changes), media(pictures, **changes)]
    if shape.raw:
        described = write_archive(folder / "described.zip", *parts)
        with zipfile.ZipFile(described) as file:
            meta = file.read("meta.xml").decode()
        plain = [Part(**{**vars(part), "quote": ""}) for part in parts]
        path = write_archive(folder / "archive.zip", *plain, meta=meta)
    else:
        path = write_archive(folder / "archive.zip", *parts)
    return shape.after(path), records, pictures


TABLES = {  # how a table of ones own is written -> delimiter, quoting, encoding, line end, texts
    "commas": (",", csv.QUOTE_MINIMAL, "utf-8", "\n", BROKEN),
    "everything quoted": (",", csv.QUOTE_ALL, "utf-8-sig", "\r\n", BROKEN),
    "semicolons of Excel": (";", csv.QUOTE_MINIMAL, "cp1252", "\r\n", BROKEN),
    "tabs of GBIF": ("\t", None, "utf-8", "\n", STRAY),
    "tabs of pandas": ("\t", csv.QUOTE_MINIMAL, "utf-8", "\n", BROKEN),
    "Unicode text of Excel": ("\t", csv.QUOTE_MINIMAL, "utf-16", "\r\n", BROKEN),
    "an old Mac": (",", csv.QUOTE_MINIMAL, "latin-1", "\r", PLAIN),
    "an old Mac with lines in cells": (",", csv.QUOTE_MINIMAL, "latin-1", "\r", (*PLAIN, "by the\nriver")),
    "pipes": ("|", csv.QUOTE_MINIMAL, "utf-8", "\n", BROKEN),
}
ENDINGS = (".csv", ".CSV", ".tsv", ".txt", "")


def build_table(folder: Path, name: str, random: Random) -> tuple[Path, Rows]:
    """A table of image_id, label and locality, and its rows."""
    delimiter, quoting, encoding, line_end, texts = TABLES[name]
    rows = [
        {"image_id": str(random.choice([f"tray/{n}.jpg", f"{n}", f"https://img.example/{n}", f"sheet {n}"])),
         "label": str(random.choice(["moss", "fern"])),
         "locality": str(random.choice(texts))}
        for n in range(int(random.integers(4, 60)))
    ]  # fmt: skip
    text = io.StringIO(newline="")
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    if quoting is None:
        text.write("".join(delimiter.join(line) + line_end for line in lines))
    else:
        csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end).writerows(lines)
    path = folder / f"table{random.choice(ENDINGS)}"
    path.write_bytes(text.getvalue().encode(encoding))
    return path, rows


def plain(rows: Rows) -> list[dict[str, str]]:
    """Rows as readers may give them: blanks at the ends of cells do not count, nor does the form of a line end."""
    return [{key: " ".join(value.split()) for key, value in row.items()} for row in rows]
