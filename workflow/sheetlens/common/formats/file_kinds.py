"""What a file is by its first bytes, in words, and what to do when a table was meant."""

import gzip
import re
import zipfile
import zlib
from pathlib import Path

from sheetlens.common.errors import of_the_disk

HEAD = 4096  # bytes that tell
EXPORT = "save it there as CSV (UTF-8) and give that file"
AGAIN = "open its address in a browser, log in if that is asked, and get the file again"
UNPACK = "unpack it, and give the file that is meant"
GZIP = b"\x1f\x8b"
SIGNATURES = (
    (b"ARROW1", "an Arrow (Feather) table", "save it as Parquet or CSV"),
    (b"PAR1", "a Parquet table", "give it the ending .parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc)", EXPORT),
    (b"SQLite format 3", "an SQLite database", "write the table that is meant as CSV"),
    (b"%PDF", "a PDF document", "give the table it was made from"),
    (b"{\\rtf", "a text document (RTF)", EXPORT),
    (GZIP, "a gzip file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ", "an xz file", UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"\xff\xd8\xff", "a JPEG picture", "give the table that names it"),
    (b"\x89PNG", "a PNG picture", "give the table that names it"),
    (b"II*\0", "a TIFF picture", "give the table that names it"),
    (b"MM\0*", "a TIFF picture", "give the table that names it"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself", "run `git lfs pull`"),
)
ZIPPED = (  # a member that tells -> what it is
    ("xl/workbook", "an Excel workbook (.xlsx)", EXPORT),
    ("content.xml", "an OpenDocument file (.ods, .odt)", EXPORT),
    ("word/document", "a Word document (.docx)", EXPORT),
    ("Index/Document.iwa", "a Numbers or Pages document", EXPORT),
)
JSON = re.compile(rb'\s*(\{\s*["}]|\[\s*[{\["\d\]])')
MARKUP = re.compile(rb"<[a-z!?]", re.IGNORECASE)
PAGE = re.compile(rb"<(!doctype html|html|head|body|script)\b", re.IGNORECASE)
CELLS = re.compile(rb"<(table|tr|td)\b", re.IGNORECASE)
TABLE = "give a table (CSV, TSV or Parquet)"


def unreadable(path: Path) -> str:
    """What a file is that is no table of text, and what to do: "" for text, packed with gzip or not. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        named: tuple[str, str] | None = _zipped(path)
    elif head.startswith(GZIP):
        named = _packed(path)
    else:
        named = _named(head)
    return f"it is {named[0]}: {named[1]}" if named else ""


def _packed(path: Path) -> tuple[str, str] | None:
    """What a gzip file is packed around; None for text."""
    try:
        with gzip.open(path) as file:
            head = file.read(HEAD)
    except (OSError, EOFError, zlib.error) as error:
        if of_the_disk(error):
            raise
        return "a gzip file that is cut short or damaged", "get it again"
    named = ("a zip archive or an Excel workbook", "") if head.startswith(b"PK\x03\x04") else _named(head)
    return (f"a gzip file around {named[0]}", UNPACK) if named else None


def _named(head: bytes) -> tuple[str, str] | None:
    """What a file that begins so is, and what to do; None for text."""
    if found := next(((kind, advice) for mark, kind, advice in SIGNATURES if head.startswith(mark)), None):
        return found
    if head[257:262] == b"ustar":
        return "a tar archive", UNPACK
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if MARKUP.match(text):
        return _marked_up(text)
    if JSON.match(text):
        return "JSON", TABLE
    return ("no text", TABLE) if _binary(head) else None


def _marked_up(text: bytes) -> tuple[str, str]:
    if PAGE.search(text):
        return "a web page (HTML), perhaps one that asks to log in", AGAIN
    if text.startswith(b"<?xml"):
        return "an XML file", TABLE
    if CELLS.search(text):
        return "a table in HTML, as some programs write it for Excel", f"open it in Excel, {EXPORT}"
    return "an XML or HTML file", TABLE


def is_office(path: Path) -> bool:
    """Whether a zip file is a document of an office program."""
    return _zipped(path) in [(kind, advice) for _, kind, advice in ZIPPED]


def _zipped(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if of_the_disk(error):
            raise
        return "a zip archive that is cut short or damaged", "get it again"
    for member, kind, advice in ZIPPED:
        if any(name.startswith(member) for name in names):
            return kind, advice
    if any(name.lower().rsplit("/", 1)[-1] == "meta.xml" for name in names):
        return "a Darwin Core Archive", "give it to `source: dwca`, or as `records`"
    return f"a zip archive with {listed(names)}", UNPACK


def _binary(head: bytes) -> bool:
    """Whether bytes are no text in any encoding that tables have: controls, or zeros but every other byte (UTF-16)."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    fewer, more = sorted((head[::2].count(0), head[1::2].count(0)))
    plain = head.replace(b"\0", b"")
    controls = sum(plain.count(one) for one in range(1, 32) if one not in b"\t\n\x0b\x0c\r\x1a\x1b")
    some = len(head) // 50
    return controls > len(plain) // 100 or fewer > some or some < more < len(head) // 4


def listed(names: list[str], most: int = 5) -> str:
    """Some names in words, printable and short."""
    shown = ["".join(letter if letter.isprintable() else "?" for letter in name)[:60] for name in names[:most]]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(shown) or "nothing") + more
