"""Ways to break pictures, tables, archives, configs and models; `benchmarks/inputs.py` tries them.

What comes out depends on the random generator only. SHEETLENS_REAL_DATA may name a folder with real sheets.
"""

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from sheetlens.common import files
from sheetlens.demo.camera import photograph
from sheetlens.demo.collection import describe
from sheetlens.predict.model_package import PARTS
from sheetlens.prepare.resize import POLICY, SIZE

HEADER = 600  # bytes in which the formats say most of what they say
ODD = (None, True, -1, 0, 1e308, float("nan"), 10**30, "", "x" * 10_000, "\ud800", "../../etc/passwd", [], [[]], {})
ROOT = Path(__file__).parents[1]
Random = np.random.Generator


def demo_pictures() -> list[bytes]:
    """Two demo sheets in every format and colour that is read."""
    sheets = []
    for number in (1, 2):
        picture = photograph(describe("stain", 1, number, shortcut=False)).picture.resize((500, 750))
        grey = np.asarray(picture.convert("L"))
        exif = Image.Exif()
        exif[0x0112] = 6
        sheets += [
            _saved(picture, "JPEG", exif=exif),
            _saved(picture.convert("CMYK"), "JPEG"),
            _saved(picture, "JPEG", progressive=True),
            _saved(picture, "PNG"),
            _saved(picture.convert("P"), "PNG", transparency=3),
            _saved(Image.fromarray(grey.astype(np.uint16) * 256), "PNG"),
            *(_saved(picture, "TIFF", compression=name) for name in ("raw", "tiff_lzw", "tiff_deflate", "jpeg")),
            _saved(picture, "JPEG2000"),
            _saved(picture, "WEBP"),
        ]
    return sheets


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def real_pictures() -> list[bytes]:
    """Real sheets and oddities of at most 1.5 MB, where there are any."""
    folder = os.environ.get("SHEETLENS_REAL_DATA")
    if not folder:
        return []
    endings = (".jpg", ".jpeg", ".png", ".tif", ".gif")
    found = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in endings]
    small = [path for path in found if path.stat().st_size < 1.5e6]
    return [path.read_bytes() for path in small[:: max(1, len(small) // 40)]]


def flip(data: bytes, random: Random, most: int = 40, within: int | None = None) -> bytes:
    """Turn some bits over."""
    changed = np.frombuffer(data, np.uint8).copy()
    places = random.integers(0, min(len(data), within or len(data)), random.integers(1, most + 1))
    changed[places] ^= (1 << random.integers(0, 8, len(places))).astype(np.uint8)
    return changed.tobytes()


def cut(data: bytes, random: Random) -> bytes:
    """End early, now and then within the header."""
    return data[: random.integers(0, HEADER if random.random() < 0.2 else len(data))]


def splice(data: bytes, random: Random, other: bytes) -> bytes:
    """Go on as another file: its head before this one's body, or its body behind this one's head."""
    at = int(random.integers(8, HEADER))
    return other[:at] + data[at:] if random.random() < 0.5 else data[:at] + other[random.integers(0, len(other)) :]


def hole(data: bytes, random: Random) -> bytes:
    """Lose, repeat, or blank a piece."""
    start, stop = sorted(random.integers(0, len(data) + 1, 2).tolist())
    instead = (b"", data[start:stop] * 2, b"\0" * (stop - start))[random.integers(0, 3)]
    return data[:start] + instead + data[stop:]


def enlarge(data: bytes, random: Random) -> bytes:
    """Claim other dimensions: in the frame of a JPEG, the IHDR of a PNG, or wherever numbers stand."""
    width, height = (int(random.choice([0, 1, 255, 13_000, 30_000, 65_535])) for _ in range(2))
    frame = max(data.find(b"\xff\xc0\x00\x11"), data.find(b"\xff\xc2\x00\x11"))
    if data.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", width * 1000, height) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    if data.startswith(b"\xff\xd8") and frame > 0:
        return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]
    at = int(random.integers(4, min(HEADER, len(data)) - 4))
    return data[:at] + struct.pack(random.choice(["<I", ">I"]), width * 65_537) + data[at + 4 :]


def bomb(random: Random) -> bytes:
    """A small file of very many pixels."""
    side = int(random.integers(9_000, 13_000))
    kind, options = [("PNG", {}), ("TIFF", {"compression": "tiff_deflate"}), ("WEBP", {})][random.integers(0, 2)]
    return _saved(Image.new(str(random.choice(["1", "L"])), (side, side)), kind, **options)


def wrong_type(random: Random) -> bytes:
    """What is no picture at all."""
    begins = [b"", b"PK\x03\x04", b"%PDF-1.7", b"GIF89a", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0",
              b"MM\0*", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"]  # fmt: skip
    return begins[random.integers(0, len(begins))] + random.bytes(int(random.integers(0, 5000)))


def broken_pictures(number: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """What was done to a picture, and its bytes."""
    random = np.random.default_rng(seed)
    sound = demo_pictures() + real_pictures()
    ways: dict[str, Callable[[bytes], bytes]] = {
        "bits flipped": lambda data: flip(data, random),
        "header flipped": lambda data: flip(data, random, 8, HEADER),
        "cut off": lambda data: cut(data, random),
        "spliced": lambda data: splice(data, random, sound[random.integers(0, len(sound))]),
        "pieces lost": lambda data: hole(data, random),
        "huge": lambda data: enlarge(data, random),
        "wrong type": lambda data: wrong_type(random),
        "bomb": lambda data: bomb(random),
    }
    for n in range(number):
        way = "bomb" if n % 50 == 7 else list(ways)[n % 7]
        yield way, ways[way](sound[random.integers(0, len(sound))])


def change_values(values: Any, random: Random) -> Any:
    """Put something odd at one place of what a JSON or YAML file says, or leave the place out."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            places.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(values)
    node, key = places[random.integers(0, len(places))]
    odd = random.integers(0, len(ODD) + 2)
    if odd >= len(ODD):
        del node[key]
    else:
        node[key] = ODD[odd]
    return values


def spoil(data: bytes, random: Random) -> bytes:
    """Any of the ways to break bytes."""
    way = random.integers(0, 4)
    return [flip, cut, hole, lambda data, random: flip(data, random, 4, HEADER)][way](data, random) if data else data


def write_table(folder: Path, random: Random) -> None:
    """A table of corrections with broken bytes."""
    ending = random.choice([".csv", ".tsv", ".parquet"])
    said = {"label_before": "moss", "label_after": "", "decision": "unsure", "reviewer": "E", "time": "1"}
    path = folder / f"table{ending}"
    files.write_table(path, pd.DataFrame([{"image_id": f"a/{n}", "path": f"{n}.jpg"} | said for n in range(50)]))
    path.write_bytes(spoil(path.read_bytes(), random))


META = """<archive xmlns="http://rs.tdwg.org/dwc/text/">
<core encoding="UTF-8" fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy='' ignoreHeaderLines="1"
rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files><location>occurrence.txt</location></files>
<id index="0"/><field index="1" term="http://rs.tdwg.org/dwc/terms/family"/></core></archive>"""


def write_dwca(folder: Path, random: Random) -> None:
    """A Darwin Core Archive with a broken descriptor, a broken table, or broken as a whole."""
    rows = "id\tfamily\n" + "".join(f"{n}\tLycopodiaceae\n" for n in range(300))
    members = {"meta.xml": META.encode(), "occurrence.txt": rows.encode()}
    which = random.integers(0, 3)
    if which < 2:
        name = list(members)[which]
        members[name] = spoil(members[name], random) if random.random() < 0.7 else flip(members[name], random, 1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (folder / "archive.zip").write_bytes(spoil(buffer.getvalue(), random) if which == 2 else buffer.getvalue())


def write_archive(folder: Path, random: Random) -> None:
    """An archive of pictures, tar or zip, compressed or not, with broken bytes."""
    picture, buffer = _saved(Image.effect_noise((60, 90), 80), "JPEG"), io.BytesIO()
    mode = str(random.choice(["", "gz", "bz2", "xz", "stored", "deflated", "bzip2", "lzma"]))
    if mode in ("", "gz", "bz2", "xz"):
        with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:
            for n in range(5):
                member = tarfile.TarInfo(f"sheets/{n}.jpg")
                member.size = len(picture)
                archive.addfile(member, io.BytesIO(picture))
    else:
        with zipfile.ZipFile(buffer, "w", getattr(zipfile, f"ZIP_{mode.upper()}")) as packed:
            for n in range(5):
                packed.writestr(f"sheets/{n}.jpg", picture)
    (folder / "archive").write_bytes(spoil(buffer.getvalue(), random))


def write_config(folder: Path, random: Random) -> None:
    """The demo's overlay with an odd value, or with broken bytes."""
    path = ROOT / "config" / str(random.choice(["demo.yaml", "config.yaml"]))
    data = path.read_bytes()
    if random.random() < 0.5:
        text = yaml.safe_dump(change_values(yaml.safe_load(data), random), allow_unicode=True)
        data = text.encode(errors="surrogatepass")
    else:
        data = spoil(data, random) if random.random() < 0.5 else flip(data, random, 2)
    (folder / "config.yaml").write_bytes(data)


def write_model(folder: Path, random: Random) -> None:
    """A model folder of which one file is broken; half of the time package.json vouches for it all the same."""
    import torch
    from safetensors.numpy import save
    from safetensors.torch import save_file

    from sheetlens.predict import out_of_distribution
    from sheetlens.train.networks import build_network

    torch.manual_seed(1)
    net = build_network("table1", 2, 0.5)
    save_file(net.state_dict(), folder / "weights.safetensors")
    widths = sum(layer.num_features for layer in net if isinstance(layer, torch.nn.BatchNorm2d))
    features = np.random.default_rng(1).normal(size=(50, 2 * widths))
    (folder / "typical.safetensors").write_bytes(save(out_of_distribution.fit(features)))
    model = {
        "network": "table1", "seed": 1, "classes": ["fern", "moss"],
        "settings": {"dropout": 0.5, "threads": 1, "device": "cpu"},
        "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
    }  # fmt: skip
    package = {
        "policy": POLICY, "image_size": SIZE, "fit": "squash", "classes": ["fern", "moss"], "temperature": 1.5,
        "thresholds": [
            {"risk": 0.1, "threshold": 0.7, "unguaranteed": 0.6, "coverage": 0.5, "unguaranteed_coverage": 0.6}
        ],
        "limit": 2.0, "errors": {}, "floors": [], "reference": [], "independent": 0, "group_size": 1.0,
        "confusion": [], "trained_on": 100,
        "dataset": "garden", "title": "Fern or moss", "shares": {"fern": 0.5, "moss": 0.5}, "unlike": 0.05,
    }  # fmt: skip
    name = str(random.choice(["", *PARTS, "package.json"]))
    if name == "model.json" and random.random() < 0.7:
        model = change_values(model, random)
    (folder / "model.json").write_text(json.dumps(model))
    vouched = random.random() < 0.7
    if name in PARTS and vouched:
        _spoil_file(folder / name, random)
    package["files"] = {part: files.sha256(folder / part) for part in PARTS}
    if name in PARTS and not vouched:
        _spoil_file(folder / name, random)
    if name == "package.json" and vouched:
        package = change_values(package, random)
    (folder / "package.json").write_text(json.dumps(package))
    if name == "package.json" and not vouched:
        _spoil_file(folder / name, random)


def _spoil_file(path: Path, random: Random) -> None:
    path.write_bytes(spoil(path.read_bytes(), random))
