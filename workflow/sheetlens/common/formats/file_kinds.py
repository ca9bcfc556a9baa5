"""What a file is by its first bytes, in words, and what to do when a table was meant."""

import re
import zipfile
from pathlib import Path

HEAD = 4096  # bytes that tell
EXPORT = "save it there as CSV (UTF-8) and give that file"
AGAIN = "open its address in a browser, log in if that is asked, and get the file again"
UNPACK = "unpack it, and give the file that is meant"
SIGNATURES = (
    (b"PAR1", "a Parquet table", "give it the ending .parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc)", EXPORT),
    (b"SQLite format 3", "an SQLite database", "write the table that is meant as CSV"),
    (b"%PDF", "a PDF document", "give the table it was made from"),
    (b"{\\rtf", "a text document (RTF)", EXPORT),
    (b"\x1f\x8b", "a gzip file", UNPACK),
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
JSON = re.compile(rb'\s*(\{\s*["}]|\[\s*[{\["\d])')
PAGE = re.compile(rb"<(!doctype html|html|head|body|script)\b", re.IGNORECASE)


def unreadable(path: Path) -> str:
    """What a file is that is no table of text, and what to do: "" for text. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        kind, advice = _zipped(path)
    elif named := next(((kind, advice) for mark, kind, advice in SIGNATURES if head.startswith(mark)), None):
        kind, advice = named
    elif head[257:262] == b"ustar":
        kind, advice = "a tar archive", UNPACK
    elif (text := head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")).startswith(b"<") and PAGE.search(
        text
    ):
        kind, advice = "a web page (HTML), perhaps one that asks to log in", AGAIN
    elif text.startswith(b"<?xml"):
        kind, advice = "an XML file", "give a table (CSV, TSV or Parquet)"
    elif JSON.match(text):
        kind, advice = "JSON", "give a table (CSV, TSV or Parquet)"
    elif _binary(head):
        kind, advice = "no text", "give a table (CSV, TSV or Parquet)"
    else:
        return ""
    return f"it is {kind}: {advice}"


def is_office(path: Path) -> bool:
    """Whether a zip file is a document of an office program."""
    return _zipped(path) in [(kind, advice) for _, kind, advice in ZIPPED]


def _zipped(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a zip archive that is cut short or damaged", "get it again"
    for member, kind, advice in ZIPPED:
        if any(name.startswith(member) for name in names):
            return kind, advice
    if any(name.lower().rsplit("/", 1)[-1] == "meta.xml" for name in names):
        return "a Darwin Core Archive", "give it to `source: dwca`, or as `records`"
    return f"a zip archive with {listed(names)}", UNPACK


def _binary(head: bytes) -> bool:
    """Whether bytes are no text in any encoding that tables have: controls, unless zeros lie as in UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    zeros = head.count(0)
    plain = head.replace(b"\0", b"")
    controls = sum(plain.count(one) for one in range(1, 32) if one not in b"\t\n\x0b\x0c\r\x1a\x1b")
    return controls > len(plain) // 100 or (0 < zeros < len(head) // 4 and zeros > len(head) // 50)


def listed(names: list[str], most: int = 5) -> str:
    """Some names in words, printable and short."""
    shown = ["".join(letter if letter.isprintable() else "?" for letter in name)[:60] for name in names[:most]]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(shown) or "nothing") + more
