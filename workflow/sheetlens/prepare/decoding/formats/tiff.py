"""What a TIFF holds: its pages and thumbnails, its compression, how its samples lie, whether a camera made it."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from sheetlens.prepare.decoding.formats.deflate import inflated
from sheetlens.prepare.decoding.formats.jpeg import decode_sound

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FILL_ORDER = 266  # bits of a byte the other way round, if 2
START = b"\xff\xd8"  # of a JPEG
MOST = 100  # directories that are looked at
REDUCED, MASK = 1, 4  # bits of NewSubfileType (TIFF 6.0, page 36)
COMPRESSIONS = {
    6: "JPEG of the old kind", 7: "JPEG", 32773: "PackBits", 33003: "JPEG 2000", 33004: "JPEG 2000",
    33005: "JPEG 2000", 34661: "JBIG", 34676: "LogLuv", 34677: "LogLuv", 34712: "JPEG 2000", 34715: "JBIG 2",
    34887: "LERC", 34892: "JPEG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
ORDINARY = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)  # compressions that every libtiff has
JPEG, DEFLATE = 7, (8, 32946)
COLOURS = {1: "GRAY", 3: "RGB", 4: "CMYK"}  # samples of a pixel -> simplejpeg's colours
SENSOR = (32803, 34892)  # photometric interpretations of what a sensor saw: colour filter array, linear raw
RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 65000, 65535)  # Sony, Epson, Samsung, Nikon, Kodak, Pentax
DNG_VERSION = 50706
MAKERS = {"NIKON": "Nikon NEF", "SONY": "Sony ARW", "PENTAX": "Pentax PEF", "SAMSUNG": "Samsung SRW",
          "HASSELBLAD": "Hasselblad 3FR", "KODAK": "Kodak DCR", "EASTMAN": "Kodak DCR", "LEAF": "Leaf MOS",
          "CANON": "Canon TIF"}  # fmt: skip
TAIL = 0.01  # share of the rows, at the end, that are exactly 0 and make one think of a file cut short


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF: where its directory is, whether it stands below another, and what its tags say."""

    offset: int
    inner: bool
    tags: dict[int, Any]

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self._number(256) * self._number(257)

    @property
    def whole(self) -> bool:
        """Whether it is a picture in its own right: no thumbnail, no mask."""
        return not self._number(254) & (REDUCED | MASK) and self._number(255) != 2 and self.pixels > 0

    @property
    def bits(self) -> int:
        """Bits of a sample."""
        return self._number(258) or 1

    @property
    def compression(self) -> int:
        """Number of the compression."""
        return self._number(259) or 1

    @property
    def photometric(self) -> int:
        """Number of the photometric interpretation; 0 is white-is-zero."""
        return self._number(262, -1)

    @property
    def planar(self) -> bool:
        """Whether each colour lies in a plane of its own."""
        return self._number(284) == 2

    def _number(self, tag: int, nothing: int = 0) -> int:
        value = self.tags.get(tag)
        if isinstance(value, tuple | list):
            value = value[0] if value else None
        return value if isinstance(value, int) else nothing


def read_directories(data: bytes) -> list[Directory]:
    """All directories of a TIFF, those of thumbnails and the like included, as far as they can be read."""
    if not data.startswith(MAGIC):
        return []
    header = data[: 16 if 43 in data[2:4] else 8]
    found: list[Directory] = []
    try:
        for offset, tags in _chain(data, header, ImageFileDirectory_v2(header).next):
            found.append(Directory(offset, False, tags))
            inner = tags.get(330, ())
            for below in inner if isinstance(inner, tuple) else (inner,):
                found += [Directory(*one) for one in _inner(data, header, below)]
            if len(found) >= MOST:
                break
    except (SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, OSError, struct.error):
        pass  # what was read before the fault stands
    return found


def _inner(data: bytes, header: bytes, offset: int) -> Iterator[tuple[int, bool, dict[int, Any]]]:
    for place, tags in _chain(data, header, offset):
        yield place, True, tags


def _chain(data: bytes, header: bytes, offset: int) -> Iterator[tuple[int, dict[int, Any]]]:
    seen: set[int] = set()
    file = io.BytesIO(data)
    while isinstance(offset, int) and 0 < offset < len(data) and offset not in seen and len(seen) < MOST:
        seen.add(offset)
        file.seek(offset)
        directory = ImageFileDirectory_v2(header)
        directory.load(file)
        yield offset, dict(directory)
        offset = directory.next


def raw_kind(directories: list[Directory]) -> str:
    """Whose camera raw file it is: "Nikon NEF", "Adobe DNG"; "" for an ordinary TIFF."""
    if any(DNG_VERSION in one.tags for one in directories):
        return "Adobe DNG"
    if any(one.photometric in SENSOR or one.compression in RAW_COMPRESSIONS for one in directories):
        maker = next((str(one.tags[271]) for one in directories if 271 in one.tags), "")
        return next((name for start, name in MAKERS.items() if maker.upper().startswith(start)), "of a camera")
    return ""


def choose_page(directories: list[Directory]) -> tuple[Directory, list[str]]:
    """The picture that is the photograph: the largest that is no thumbnail; and what is to be noted."""
    whole = [one for one in directories if one.whole] or directories
    chosen = max(whole, key=lambda one: one.pixels)
    if chosen is not directories[0]:
        return chosen, ["the first picture of the TIFF is a smaller one: the largest is used"]
    pages = sum(not one.inner and one.pixels == chosen.pixels for one in whole)
    return chosen, [f"the first of {pages} pages of the TIFF"] if pages > 1 else []


def begin_with(data: bytes, directory: Directory) -> bytes:
    """The same TIFF with another directory as its first."""
    order = "<" if data[:1] == b"I" else ">"
    if 43 in data[2:4]:
        return data[:8] + struct.pack(f"{order}Q", directory.offset) + data[16:]
    return data[:4] + struct.pack(f"{order}I", directory.offset) + data[8:]


def describe(directory: Directory) -> str:
    """What is odd about a TIFF that cannot be read, in a few words."""
    kind = directory.compression
    if kind not in ORDINARY:
        return f"compression {kind}" + (f", {COMPRESSIONS[kind]}" if kind in COMPRESSIONS else "")
    samples = directory._number(277) or 1
    return f"{samples} samples of {directory.bits} bits, photometric interpretation {directory.photometric}"


def open_page(data: bytes, directory: Directory) -> Image.Image:
    """Open the first directory of a TIFF.

    Pillow's own decoder lays the planes of 16-bit colours over each other as if they were thirds of one; libtiff
    reads them rightly.
    """
    TiffImagePlugin.READ_LIBTIFF = directory.planar and directory.bits > 8
    try:
        return Image.open(io.BytesIO(data), formats=("TIFF",))
    finally:
        TiffImagePlugin.READ_LIBTIFF = False


def blank_tail(image: Image.Image, directory: Directory) -> int:
    """How many of the last rows are exactly 0, as in a file whose end was never written; 0 if hardly any."""
    width, height = image.size
    rows, step = 0, max(1, int(TAIL * height))
    while rows < height:
        band = image.crop((0, max(0, height - rows - step), width, height - rows))
        if directory.photometric == 0 and band.mode in ("1", "L"):
            band = ImageChops.invert(band.convert("L"))
        if box := band.getbbox(alpha_only=False):
            rows += band.height - box[3]
            break
        rows += band.height
    return rows if rows >= step else 0


def check_pieces(data: bytes, directory: Directory) -> None:
    """Refuse damage within strips and tiles that libtiff warns of at most: JPEG's, and wrong sums of deflated data.

    The other compressions have nothing by which damage could be told.
    """
    try:
        for piece in _pieces(data, directory.tags):
            if directory.compression == JPEG and (colours := COLOURS.get(directory.tags.get(277, 1))):
                tables = bytes(directory.tags.get(347, b""))[:-2] or START
                decode_sound(
                    tables + piece[2:], {"colorspace": colours, "min_factor": 8, "min_width": 1, "min_height": 1}
                )
            elif directory.compression in DEFLATE and directory.tags.get(FILL_ORDER, 1) == 1:
                inflated(piece)
    except zlib.error as error:
        raise OSError(f"broken data: {error}") from None


def _pieces(data: bytes, tags: dict[int, Any]) -> Iterator[bytes]:
    """The bytes of each tile or strip."""
    for places, sizes in ((324, 325), (273, 279)):
        for place, size in zip(_listed(tags.get(places)), _listed(tags.get(sizes)), strict=False):
            yield data[place : place + size]


def _listed(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
