"""Odd photographs and odd servers of which it is known what is right; `benchmarks/inputs.py` tries them.

A picture that is fit must come out as it is, one that is not must be refused, and a whole file must arrive whatever
its server says of it. `lost` is a fit one that was refused, `wrong` an unfit one that went in, or other pixels.
"""

import gzip
import io
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.services.fetching import bring
from tests.unit.fetch.odd_server import odd_server, reply
from tests.unit.prepare.test_damage import png
from tests.unit.prepare.tiffs import page, write_tiff

from sheetlens.config import Fetch, HostLimit, Limits
from sheetlens.demo.camera import photograph
from sheetlens.demo.collection import describe
from sheetlens.fetch.listing import Request
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import SIZE

Random = np.random.Generator
FILES = 8  # of one server: fewer than after which a host that fails is left alone
CLOSE = 30  # dB between a picture and the same by one bicubic resize; a wrong one has 10 to 20
Odd = tuple[bytes, str]  # a file, and what must be said of it: "" nothing, a code of its refusal, or part of its notes


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _jpeg2000(picture: Image.Image, random: Random) -> Odd:
    return _saved(picture, "JPEG2000"), ""


def _planes(picture: Image.Image, random: Random) -> Odd:
    order = str(random.choice(["<", ">"]))
    return write_tiff(page(np.asarray(picture).astype(np.uint16) * 257, 2, order, planar=True), order=order), ""


def _white_is_zero(picture: Image.Image, random: Random) -> Odd:
    return write_tiff(page(65535 - np.asarray(picture.convert("L")).astype(np.uint16) * 257, 0)), ""


def _thumbnail(picture: Image.Image, random: Random) -> Odd:
    small = np.asarray(picture.resize((140, 200)).rotate(180))
    first = page(small, 2, _254=(4, int(random.integers(0, 2))))
    inner = {1: 0} if first[0][254][1] and random.random() < 0.5 else None
    return write_tiff(first, page(np.asarray(picture), 2), inner=inner), "the first picture of the TIFF"


def _raw(picture: Image.Image, random: Random) -> Odd:
    maker = [b"NIKON CORPORATION", b"SONY", b"PENTAX", b"Hasselblad"][random.integers(0, 4)]
    preview = page(np.asarray(picture), 2, _254=(4, 1), _271=(2, maker))
    sensor = page(np.asarray(picture.convert("L")), [32803, 34892][random.integers(0, 2)])
    return write_tiff(preview, sensor, inner={1: 0}), "camera_raw odd_raw"


def _compression(picture: Image.Image, random: Random) -> Odd:
    kind = int(random.choice([34712, 34887, 50002, 52546, 33005, 34661]))
    tags, strips = page(np.asarray(picture), 2, _259=(3, kind))
    return write_tiff((tags, strips)), "unread_tiff"


def _tail(picture: Image.Image, random: Random) -> Odd:
    pixels = np.asarray(picture).copy()
    pixels[int(random.uniform(0.3, 0.95) * len(pixels)) :] = 0
    return write_tiff(page(pixels, 2)), "rows are exactly 0"


def _damaged_png(picture: Image.Image, random: Random) -> Odd:
    data = bytearray(_saved(picture, "PNG", compress_level=1))
    at = int(random.uniform(0.1, 0.9) * len(data))
    data[at : at + 100] = bytes(100)
    return bytes(data), "damaged truncated"


def _strays(picture: Image.Image, random: Random) -> Odd:
    data = _saved(picture, "JPEG", quality=92)
    at = data.index([b"\xff\xdb", b"\xff\xc4", b"\xff\xc0", b"\xff\xda"][random.integers(0, 4)])
    return data[:at] + bytes([1]) * int(random.integers(1, 40)) + data[at:], "odd JPEG"


def _before_end(picture: Image.Image, random: Random) -> Odd:
    data = _saved(picture, "JPEG", quality=92)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz 0123456789.:\0", np.uint8)
    return data[:-2] + random.choice(letters, int(random.integers(12, 400))).tobytes() + data[-2:], "odd JPEG"


def _marker_within(picture: Image.Image, random: Random) -> Odd:
    data = bytearray(_saved(picture, "JPEG", quality=92, progressive=bool(random.integers(0, 2))))
    at = int(random.uniform(0.3, 0.9) * len(data))
    data[at : at + 2] = [b"\xff\x47", b"\xff\xc4", b"\xff\xdb", b"\xff\xc3"][random.integers(0, 4)]
    return bytes(data), "damaged truncated"


def _few_rows(picture: Image.Image, random: Random) -> Odd:
    rows = [b"\0" + row.tobytes() for row in np.asarray(picture)]
    return png(rows[: int(random.uniform(0.3, 0.99) * len(rows))], picture.size, 8, 2), "damaged truncated"


def _odd_header(picture: Image.Image, random: Random) -> Odd:
    data = _saved(picture, "JPEG", quality=92)
    return data.replace(b"JFIF\0\x01", b"JFIF\0" + bytes([int(random.integers(2, 9))]), 1), "odd JPEG"


def _xmp(picture: Image.Image, random: Random) -> Odd:
    turn = int(random.integers(2, 9))
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>{turn}</tiff:Orientation></x:xmpmeta>'
    return _saved(picture, "JPEG", quality=92, xmp=xmp.encode()), ""


PICTURES: dict[str, Callable[[Image.Image, Random], Odd]] = {
    "JPEG 2000 of any size": _jpeg2000,
    "16-bit planes": _planes,
    "white is zero": _white_is_zero,
    "thumbnail first": _thumbnail,
    "camera raw": _raw,
    "TIFF compressions": _compression,
    "zero-filled tails": _tail,
    "PNG with a hole": _damaged_png,
    "strays before tables": _strays,
    "text before the end": _before_end,
    "a marker within the picture": _marker_within,
    "PNG with too few rows": _few_rows,
    "an unknown version of JFIF": _odd_header,
    "XMP orientation": _xmp,
}


def try_odd_pictures(number: int, seed: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes by kind, `number` of each, and what went wrong."""
    random, outcomes, faults = np.random.default_rng(seed), {}, []
    drawn = photograph(describe("stain", 1, 1, shortcut=False)).picture
    with Readers(1, "squash", Limits()) as readers:
        for kind, make in PICTURES.items():
            counts = outcomes.setdefault(f"odd pictures, {kind}", Counter())
            for n in range(number):
                size = (int(random.integers(400, 1400)), int(random.integers(400, 1400)))
                picture = drawn.resize(size, Image.Resampling.BICUBIC)
                data, expected = make(picture, random)
                reading = readers.read({"image_id": str(n), "path": "sheet", "sha256": ""}, data)
                outcome = _judge(reading.facts, reading.pixels, picture, expected)
                counts[outcome] += 1
                if outcome in ("lost", "wrong"):
                    faults.append(f"{kind} {n}, {size}: {outcome}; {reading.facts.get('reason')}")
    return outcomes, faults


def _judge(facts: dict[str, Any], pixels: bytes, picture: Image.Image, expected: str) -> str:
    if expected and " " not in expected.replace(" odd_raw", "").replace(" truncated", "") and expected != "odd JPEG":
        return "refused" if facts["status"] != "ok" and facts["reason_code"] in expected.split() else "wrong"
    if facts["status"] != "ok":
        return "lost"
    grey = facts["mode"].startswith("I;16")
    right = np.asarray((picture.convert("L") if grey else picture).convert("RGB").resize((SIZE, SIZE), 3))
    error = np.mean(
        (right.transpose(2, 0, 1).astype(float) - np.frombuffer(pixels, np.uint8).reshape(3, SIZE, SIZE)) ** 2
    )
    close = "rows are exactly 0" in expected or 10 * np.log10(255**2 / max(error, 1e-9)) > CLOSE
    return "read" if close and expected in facts["notes"] and "turned" not in facts["notes"] else "wrong"


PAGE = b"<!doctype html><html><body>Specimen</body></html>"
Serve = Callable[[bytes, dict[str, str], int], bytes]
ENCODED = {"gzip": gzip.compress, "deflate": zlib.compress}


def _with_encoding(name: str) -> Serve:
    return lambda body, *_: reply(ENCODED.get(name, bytes)(body), Content_Encoding=name)


def _cut(status: str) -> Serve:
    """Half of it at first, and an objection to being asked for the rest."""

    def answer(body: bytes, headers: dict[str, str], count: int) -> bytes:
        if "range" in headers:
            return reply(status=status)
        head = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(body)
        return head + (body[: len(body) // 2] if count == 1 else body)

    return answer


def _cookie(body: bytes, headers: dict[str, str], count: int) -> bytes:
    if "seen=1" in headers.get("cookie", ""):
        return reply(body)
    return reply(status="302 Found", Location="?", Set_Cookie="seen=1; Path=/")


SERVERS: dict[str, tuple[Serve, str]] = {  # how it answers, and the code of a refusal that is right, or ""
    **{
        f"Content-Encoding {name!r}": (_with_encoding(name), "")
        for name in ("", "identity", "Identity", "utf-8", "none", "binary", "gzip", "deflate")
    },
    **{
        f"Content-Type {kind!r}": (lambda body, headers, count, kind=kind: reply(body, Content_Type=kind), "")
        for kind in ("text/html", "image/svg+xml", "application/json", "")
    },
    **{f"ranges: {status}": (_cut(status), "") for status in ("400 X", "403 X", "405 X", "416 X", "500 X", "501 X")},
    "a cookie and a redirect": (_cookie, ""),
    "203": (lambda body, *_: reply(body, status="203 X"), ""),
    "a long header": (lambda body, *_: reply(body, X_Policy="x" * 9000), ""),
    "a page now and then": (lambda body, headers, count: reply(body) if count > 1 else reply(PAGE), ""),
    "a landing page": (lambda *_: reply(PAGE), "html"),
    "404": (lambda *_: reply(status="404 X"), "status"),
    "a date of eleven digits": (
        lambda body, headers, count: (
            reply(body) if count > 1 else reply(status="503 X", Retry_After="Fri, 31 Dec 99999999999 23:59:59 GMT")
        ),
        "",
    ),
}


def try_odd_servers(number: int, seed: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes of `number` files of each kind of server (FILES at most), and what went wrong.

    Each kind is a host of its own: one that only fails is rightly left alone.
    """
    random, faults, outcomes = np.random.default_rng(seed), list[str](), Counter[str]()
    number = min(number, FILES)
    bodies = [_saved(Image.fromarray(random.integers(0, 255, (80, 60, 3), np.uint8)), "JPEG") for _ in range(number)]
    polite = Fetch(
        allow=("127.0.0.0/8",), hosts={"127.0.0.1": HostLimit(rate=1000, connections=4)}, pause=0.01, attempts=5
    )
    for kind, (serve, right) in SERVERS.items():

        def answer(path: str, headers: dict[str, str], count: int, serve: Serve = serve) -> bytes:
            return serve(bodies[int(path.strip("/?"))], headers, count)

        with tempfile.TemporaryDirectory() as folder, odd_server(answer) as (url, _):
            rows = bring(polite, Path(folder), [Request(str(n), (f"{url}/{n}",)) for n in range(number)])
            for n, row in rows.items():
                if row["status"] == "ok":
                    whole = (Path(folder) / "originals" / n).read_bytes() == bodies[int(n)]
                    outcome = "read" if whole and not right else "wrong"
                else:
                    outcome = "refused" if right and row["reason_code"] == right else "lost"
                outcomes[outcome] += 1
                if outcome in ("lost", "wrong"):
                    faults.append(f"server, {kind} {n}: {outcome}; {row['reason']}")
    return {"odd servers": outcomes}, faults
