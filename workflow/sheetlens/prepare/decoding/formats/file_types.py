"""What a file is that is no photograph we read, told from how it begins."""

import re

EXPORT = ": export it as TIFF or JPEG"
OTHERS = {  # how files begin -> what they are
    rb"GIF8": f"a GIF picture{EXPORT}",
    rb"BM": f"a BMP picture{EXPORT}",
    rb"8BPS": f"a Photoshop file{EXPORT}",
    rb"\xff\x0a|\0\0\0\x0cJXL ": f"a JPEG XL picture{EXPORT}",
    rb"....ftyp(hei|hev|mif1|msf1)": f"a HEIC picture{EXPORT}",
    rb"....ftypavi[fs]": f"an AVIF picture{EXPORT}",
    rb"....ftyp|....(moov|mdat|wide)|\x1aE\xdf\xa3|RIFF....AVI ": "a video file",
    rb"II[*+]\0|MM\0[*+]": "a TIFF that is cut short: copy it again",  # one with a directory is read as a TIFF
    rb"II\xbc\x01": f"a JPEG XR picture{EXPORT}",
    rb"\xff\xd8\xff\xf7": f"a JPEG-LS picture{EXPORT}",
    rb"v/1\x01": f"an OpenEXR picture{EXPORT}",
    rb"SIMPLE  =": f"a FITS picture{EXPORT}",
    rb".{128}DICM": f"a DICOM picture{EXPORT}",
    rb"AT&TFORM": f"a DjVu document{EXPORT}",
    rb"msid": f"a MrSID picture{EXPORT}",
    rb"P[1-6]\s": f"a Netpbm picture{EXPORT}",
    rb"\0\0\x01\0": "an icon",
    rb"%PDF": f"a PDF document{EXPORT}",
    rb"%!PS|\xc5\xd0\xd3\xc6": f"a PostScript document{EXPORT}",
    rb"PK\x03\x04": "a ZIP archive",
    rb"\x1f\x8b": "a gzip archive",
    rb"7z\xbc\xaf|Rar!|BZh|\xfd7zXZ": "an archive",
    rb"\xd0\xcf\x11\xe0": "an Office document, or a folder's hidden thumbnails",
    rb"\0\x05\x16[\0\x07]|\0\0\0\x01Bud1": "a hidden file of macOS",
    rb"version https://git-lfs": "a pointer of Git LFS: fetch the file itself",
    rb"\s*(<\?xml[^>]*>\s*)?<svg": "an SVG drawing",
    rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|meta|script)": "a web page",
    rb"(\xef\xbb\xbf)?\s*<\?xml": "an XML document",
    rb"\s*[\[{]\s*[\"}\]{\[]": "a JSON document",
}
RAW = {  # how camera raw files begin that are no TIFF -> whose they are
    rb"II\*\0....CR": "Canon CR2",
    rb"....ftypcrx ": "Canon CR3",
    rb"II\x1a\0\0\0HEAPCCDR": "Canon CRW",
    rb"II(RO|RS)|MMOR": "Olympus ORF",
    rb"IIU\0": "Panasonic RW2",
    rb"FUJIFILMCCD-RAW": "Fujifilm RAF",
    rb"FOVb": "Sigma X3F",
    rb"\0MRM": "Minolta MRW",
    rb".{8}IIII.{4}RawT|(II\*\0|MM\0\*).{4}(IIII|MMMM)": "Phase One IIQ",
}


def name_other(data: bytes) -> str:
    """What a file is that is no photograph: "a PDF document"; "" where nothing is known of it."""
    if found := _match(OTHERS, data):
        return found
    beginning = data[:1000]
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        if error.start < len(beginning) - 3:
            return ""
    return "" if b"\0" in beginning else "a text"


def name_raw(data: bytes) -> str:
    """Which camera's raw file this is, for those that are no ordinary TIFF; "" for any other file."""
    return _match(RAW, data)


def odd_jpeg(data: bytes) -> str:
    """What is out of the ordinary in a JPEG that the libraries do not open: "12 bits a colour"; "" if nothing."""
    frame = _frame(data)
    if not frame:
        return ""
    kind, bits = frame
    if kind in (0xC3, 0xC7, 0xCB, 0xCF):
        return "a lossless one"
    if kind in (0xC5, 0xC6, 0xCD, 0xCE):
        return "a hierarchical one"
    return f"{bits} bits a colour" if bits != 8 else ""


def _match(table: dict[bytes, str], data: bytes) -> str:
    return next((what for start, what in table.items() if re.match(start, data[:1000], re.DOTALL | re.I)), "")


def _frame(data: bytes) -> tuple[int, int] | None:
    """Kind and precision of a JPEG's first frame (ITU-T T.81, B.2.2)."""
    at = 2
    while data.startswith(b"\xff\xd8") and at + 5 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return kind, data[at + 4]
        at += 1 if kind == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
