"""2,000 mutated photographs through the real readers: each is read or refused with a reason, within time and memory.

Demo sheets in every format, and real ones where SHEETLENS_REAL_DATA names them, are damaged in the ways of MUTATIONS.
A fault is a file without an answer or a reason, one whose decoder crashed or hung, or one beyond the limits.
Run in the project's folder: `python -m benchmarks.inputs`. The last line is a JSON object.
"""

import io
import json
import os
import platform
import random
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from sheetlens.config import Limits
from sheetlens.demo.camera import photograph
from sheetlens.demo.collection import describe
from sheetlens.readers import WORKING, Readers

FORMATS = {"JPEG": {}, "PNG": {}, "TIFF": {"compression": "tiff_lzw"}, "JPEG2000": {}, "WEBP": {}}
LIMITS = Limits(seconds=10, megabytes=500)
LARGEST = 4 * 10**6  # bytes of a real file that is taken: reading 2,000 shall take minutes
Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def flip_bits(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Flip 1 to 30 bits anywhere."""
    changed = bytearray(data)
    for _number in range(chance.randint(1, 30)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_header(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Flip bits in the first 600 bytes."""
    return flip_bits(data[:600], chance, others) + data[600:]


def truncate(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """End the file anywhere, the beginning included."""
    return data[: int(len(data) * chance.random() ** 2)]


def splice_header(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Begin as another file does."""
    length = chance.randint(4, 600)
    return chance.choice(others)[:length] + data[length:]


def overwrite(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Overwrite a stretch with zeros, ones or noise."""
    start, length = chance.randrange(len(data)), chance.randint(1, 5000)
    filling = chance.choice([bytes(length), b"\xff" * length, chance.randbytes(length)])
    return data[:start] + filling + data[start + length :]


def claim_size(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Claim another size in the header of a JPEG or PNG, huge ones and 0 too; put numbers into the others' headers."""
    sides = [chance.choice([0, 1, 127, 5000, 65_535, 2**31 - 1]) for _ in range(2)]
    if data.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", *sides) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    if data.startswith(b"\xff\xd8") and frame > 0:
        return data[: frame + 5] + struct.pack(">HH", *(side & 65_535 for side in sides)) + data[frame + 9 :]
    place = chance.randrange(4, min(200, len(data) - 8))
    return data[:place] + struct.pack(">II", *sides) + data[place + 8 :]


def bomb(_: bytes, chance: random.Random, __: Sequence[bytes]) -> bytes:
    """A small PNG that unpacks to many megabytes, some of them just within the limit of pixels."""
    side = chance.choice([8000, 13_000, 30_000])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (side // 8 + 1)))
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    packed = (struct.pack(">I", len(body)) + n + body + struct.pack(">I", zlib.crc32(n + body)) for n, body in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def wrong_type(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Something else under a picture's name."""
    starts = [
        b"<html>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"GIF89a",
        b"BM",
        b"<svg ",
        b"\0\0\0\x20ftypheic",
        b"",
    ]
    return chance.choice(starts) + chance.randbytes(chance.randint(0, 3000))


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_header, truncate, splice_header, overwrite, claim_size, bomb, wrong_type
)  # fmt: skip


@dataclass
class Outcome:
    """How many files were tried, read and refused (by the beginning of the reason), and what went wrong."""

    tried: int = 0
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0  # of the slowest file
    megabytes: float = 0.0  # resident, of a reading process at its end


def originals(real: Path | None, sheets: int) -> list[bytes]:
    """Demo sheets in every format, and the real files below a folder."""
    found = []
    for number in range(sheets):
        picture = photograph(describe("stain", 1, number, shortcut=False)).picture
        for name, options in FORMATS.items():
            buffer = io.BytesIO()
            picture.save(buffer, name, **options)
            found.append(buffer.getvalue())
    paths = sorted(real.rglob("*.*")) if real else []
    return found + [path.read_bytes() for path in paths if path.is_file() and 64 < path.stat().st_size < LARGEST]


def try_images(sources: Sequence[bytes], number: int, seed: int) -> Outcome:
    """Mutate files and read them with the real readers, one after the other."""
    chance, outcome = random.Random(seed), Outcome()  # noqa: S311 - damage, not secrets
    with Readers(1, "squash", LIMITS) as pool:
        for place in range(number):
            mutate = MUTATIONS[place % len(MUTATIONS)]
            data = mutate(chance.choice(sources), chance, sources)
            start = time.monotonic()
            facts = pool.read({"image_id": f"{place}", "path": f"{place}.jpg", "sha256": ""}, data).facts
            taken = time.monotonic() - start
            outcome.seconds = max(outcome.seconds, taken)
            memory = max(psutil.Process(reader.pid).memory_info().rss / 2**20 for reader in pool._all)
            outcome.megabytes = max(outcome.megabytes, memory)
            outcome.tried += 1
            _judge(outcome, f"{mutate.__name__} {place}", facts, taken, memory)
    return outcome


def _judge(outcome: Outcome, name: str, facts: dict[str, str], taken: float, memory: float) -> None:
    reason = facts.get("reason", "")
    if facts["status"] == "ok":
        outcome.read += 1
    else:
        outcome.refused[reason.split(":")[0]] += 1
    if (facts["status"] != "ok" and not reason) or "crashed" in reason or "hung" in reason:
        outcome.faults.append(f"{name}: {reason or 'no reason'}")
    if taken > 10 * LIMITS.seconds or memory > LIMITS.megabytes + WORKING:
        outcome.faults.append(f"{name}: {taken:.0f} s, {memory:.0f} MB")


def main() -> None:
    """Measure, print a table and the JSON object."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    real = os.environ.get("SHEETLENS_REAL_DATA")
    sources = originals(Path(real) if real else None, 8)
    outcome = try_images(sources, number, seed=1)
    print(f"{platform.platform()}, {os.cpu_count()} cores; {outcome.tried} files from {len(sources)}")
    print(f"{outcome.read:5} read\n{outcome.refused.total():5} refused")
    for reason, count in outcome.refused.most_common(12):
        print(f"{count:5}   {reason}")
    print(f"slowest {outcome.seconds:.2f} s, largest {outcome.megabytes:.0f} MB, faults {len(outcome.faults)}")
    print(*outcome.faults[:20], sep="\n")
    facts = {"benchmark": "inputs", "tried": outcome.tried, "read": outcome.read, "refused": outcome.refused.total()}
    print(json.dumps(facts | {"faults": len(outcome.faults), "slowest_s": round(outcome.seconds, 2)}))


if __name__ == "__main__":
    main()
