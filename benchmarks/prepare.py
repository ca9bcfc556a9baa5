"""The preparation of sheets against the decode limit and its peers, paired and interleaved in one run.

JPEGs of 4,000 x 6,000 and 2,500 x 3,800 pixels are made from SHEETLENS_REAL_DATA/sheets_fullres (scaled up, grain
added, quality 85 to 92, a third 4:4:4). Ours is the whole step: read, check, decode, resize, hash, set-up features,
write. The floor is libjpeg-turbo's decoding of 1/8 of the size in colour, by the same library, file reading
included, nothing done with the pixels (floor_gray: the colours are thrown away, too). img2dataset's own resizer
runs in a Python that has it: set PEER_PYTHON, or one is installed for the run. Fidelity is PSNR against the same
kernel at full resolution. Ratios are of throughput on the clock, medians over rounds; `_processor` ones of
processor time, for busy machines.

Masters are the first of these pictures as TIFF (uncompressed, LZW, 16 bits deflated) and JPEG 2000 (lossless, tiled);
libvips shrinks them as it loads (`vipsthumbnail`'s way), in the same Python as img2dataset. Run in the project's
folder: `python -m benchmarks.prepare`. The last line is a JSON object.
"""

import hashlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from tests.unit.prepare.tiffs import page, write_tiff

from sheetlens.config import Limits
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import read_sheet
from sheetlens.prepare.shards import AHEAD, Shard, in_order

SIZES = ((4000, 6000), (2500, 3800))
GRAIN = {4000: 5.5, 2500: 5.5}  # grey levels: about 1.6 and 1.9 bits a pixel
ROUNDS = 5
PEERS = ("floor_gray", "floor", "img2dataset", "pillow")
MASTERS = 4  # pictures of each kind, of 24 megapixels
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {  # of masters: ending, Pillow's format, options
    "tiff": (".tif", "TIFF", {}),
    "tiff_lzw": (".tif", "TIFF", {"compression": "tiff_lzw"}),
    "tiff_16": (".tif", "TIFF", {}),
    "jpeg2000": (".jp2", "JPEG2000", {"tile_size": (1024, 1024)}),
}


def make_photographs(folder: Path) -> list[Path]:
    """Write the JPEGs to be read."""
    sources = sorted((Path(os.environ["SHEETLENS_REAL_DATA"]) / "sheets_fullres").glob("*.jpg"))
    random, made = np.random.default_rng(0), []
    for size in SIZES:
        for source in sources:
            picture = Image.open(source).convert("RGB").resize(size, Image.Resampling.BICUBIC)
            grain = random.normal(0, GRAIN[size[0]], (size[1], size[0], 1)).astype(np.int16)
            pixels = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
            number = len(made)
            made.append(folder / f"{size[0]}-{number}.jpg")
            sampling = 0 if number % 3 == 0 else 2
            Image.fromarray(pixels).save(made[-1], quality=85 + number % 8, subsampling=sampling)
    return made


def make_masters(folder: Path, photographs: list[Path]) -> dict[str, list[Path]]:
    """Write the masters, by kind."""
    made: dict[str, list[Path]] = {}
    for number, photograph in enumerate(photographs[:MASTERS]):
        picture = Image.open(photograph).convert("RGB")
        for kind, (ending, form, options) in KINDS.items():
            path = folder / f"{kind}-{number}{ending}"
            made.setdefault(kind, []).append(path)
            if kind == "tiff_16":
                path.write_bytes(deep_tiff(np.asarray(picture)))
            else:
                picture.save(path, form, **options)
    return made


def deep_tiff(pixels: np.ndarray) -> bytes:
    """A TIFF of 16 bits a colour, each row deflated with libtiff's predictor, as scanners' programs write it."""
    deep = pixels.astype("<u2") * 257
    rows = np.diff(deep, axis=1, prepend=np.zeros_like(deep[:, :1]))
    tags, _ = page(deep, 2, _259=(3, 8), _317=(3, 2), _278=(4, 1))
    return write_tiff((tags, [zlib.compress(row.tobytes(), 6) for row in rows]))


def measure_masters(folder: Path, photographs: list[Path], python: str) -> dict[str, float]:
    """Throughput against libvips and memory of a worker, by kind; prints a table."""
    facts: dict[str, float] = {}
    print(f"{'masters, 2 workers':30}{'ours/s':>10}{'the other':>12}{'MB a worker':>13}{'the other':>12}")
    for kind, paths in make_masters(folder, photographs).items():
        name = "libvips" if reads("libvips", python, paths[0]) else "pillow"  # its wheel lacks JPEG 2000
        rounds = [(run_ours(paths, 2, folder), run_peer(name, python, paths, 2)) for _ in range(ROUNDS)]
        ours, peer = (np.median(np.array(side), axis=0) for side in zip(*rounds, strict=True))
        facts[f"ratio_{name}_{kind}"] = statistics.median(other[0] / mine[0] for mine, other in rounds)
        facts[f"ratio_{name}_{kind}_processor"] = statistics.median(other[1] / mine[1] for mine, other in rounds)
        facts[f"megabytes_{kind}"] = float(max(mine[2] for mine, _ in rounds))
        rates = f"{len(paths) / ours[0]:10.2f}{len(paths) / peer[0]:12.2f}"
        print(f"{f'{kind}, beside {name}':30}{rates}{ours[2]:13.0f}{peer[2]:12.0f}", flush=True)
    return facts


def reads(peer: str, python: str, path: Path) -> bool:
    """Whether a peer, as it is installed, reads a file."""
    command = [python, Path(__file__).with_name("peers.py"), peer]
    done = subprocess.run(command, input=f"{path}\ngo\n", capture_output=True, text=True)  # noqa: S603
    return done.returncode == 0


def peer_python(folder: Path) -> str:
    """A Python that has img2dataset and libvips."""
    if python := os.environ.get("PEER_PYTHON"):
        return python
    subprocess.run([sys.executable, "-m", "venv", folder / "peer"], check=True)  # noqa: S603
    python = str(folder / "peer/bin/python")
    libvips = "pyvips" if find_library("vips") else "pyvips[binary]"  # whose libvips lacks JPEG 2000
    subprocess.run([python, "-m", "pip", "install", "--quiet", "img2dataset", libvips], check=True)  # noqa: S603
    return python


def run_peer(name: str, python: str, photographs: list[Path], workers: int) -> tuple[float, float, float]:
    """Seconds on the clock, of processors, and peak MB of a worker, for a peer in `workers` processes."""
    chosen = python if name in ("img2dataset", "libvips") else sys.executable
    command = [chosen, Path(__file__).with_name("peers.py"), name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(workers)]  # noqa: S603
    for number, process in enumerate(processes):
        process.stdin.write("\t".join(map(str, photographs[number::workers])) + "\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout.readline() == "ready\n", name  # noqa: S101
    start = time.perf_counter()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [tuple(map(float, process.stdout.readline().split())) for process in processes]
    seconds = time.perf_counter() - start
    for process in processes:
        process.communicate()
    return seconds, sum(processor for processor, _ in told), max(memory for _, memory in told)


def run_ours(photographs: list[Path], workers: int, folder: Path) -> tuple[float, float, float]:
    """The same for the whole step, the process that writes the shard included."""
    records = [
        {"image_id": f"{number:04}", "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for number, path in enumerate(photographs)
    ]
    with Readers(workers, "squash", Limits()) as readers, ThreadPoolExecutor(workers) as pool:
        list(pool.map(readers.read, records[:workers]))
        processes = [psutil.Process(), *map(psutil.Process, (reader.pid for reader in readers._all))]
        before, start = sum(sum(process.cpu_times()[:2]) for process in processes), time.perf_counter()
        with Shard(folder / "shard", "squash") as shard:
            for reading in in_order(pool, readers.read, records, AHEAD * workers):
                assert reading.facts["status"] == "ok"  # noqa: S101
                shard.append(reading)
            shard.finish()
        seconds = time.perf_counter() - start
        processor = sum(sum(process.cpu_times()[:2]) for process in processes) - before
        return seconds, processor, max(peak(process.pid) for process in processes[1:])


def peak(pid: int) -> float:
    """Highest resident memory of a process so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def fidelity(photographs: list[Path]) -> list[float]:
    """PSNR of each picture against the same kernel at full resolution, in dB."""
    values = []
    for path in photographs:
        data = path.read_bytes()
        full = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC))
        error = np.mean((full.transpose(2, 0, 1).astype(float) - read_sheet(data).pixels) ** 2)
        values.append(10 * np.log10(255**2 / error))
    return values


def main() -> None:
    """Measure, print a table and the JSON object."""
    results: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs = make_photographs(folder)
        megapixels = sum(width * height for width, height in SIZES) * len(photographs) / len(SIZES) / 1e6
        bits = sum(path.stat().st_size for path in photographs) * 8 / megapixels / 1e6
        python = peer_python(folder)
        psnr = fidelity(photographs)
        for _ in range(ROUNDS):
            for peer in PEERS:
                results.setdefault((peer, 2), []).append(run_peer(peer, python, photographs, 2))
                if peer == "floor":
                    for workers in (2, 1):
                        results.setdefault(("ours", workers), []).append(run_ours(photographs, workers, folder))
        masters = measure_masters(folder, photographs, python)
    print(f"{platform.platform()}, {os.cpu_count()} cores; {len(photographs)} JPEGs, {bits:.2f} bits a pixel")
    print(f"{'':24}{'sheets/s':>10}{'processor ms':>14}{'MB a worker':>13}")
    for (contender, workers), measured in results.items():
        seconds, processor, memory = (statistics.median(column) for column in zip(*measured, strict=True))
        rate = len(photographs) / seconds
        print(
            f"{contender}, {workers:} workers{'':8}"[:24]
            + f"{rate:10.1f}{1000 * processor / len(photographs):14.1f}{memory:13.0f}"
        )

    def ratio(first: tuple[str, int], second: tuple[str, int], column: int = 0) -> float:
        """How many times the throughput of the second the first has: median over the rounds."""
        pairs = zip(results[first], results[second], strict=True)
        return statistics.median(two[column] / one[column] for one, two in pairs)

    ours = ("ours", 2)
    facts = {
        "benchmark": "prepare",
        **{f"ratio_{peer}": ratio(ours, (peer, 2)) for peer in PEERS},
        **{f"ratio_{peer}_processor": ratio(ours, (peer, 2), 1) for peer in PEERS},
        "psnr_median": statistics.median(psnr),
        "psnr_min": min(psnr),
        "scaling_2": ratio(ours, ("ours", 1)),
        "megabytes_a_worker": max(memory for *_, memory in results[ours]),
        **masters,
    }
    print(json.dumps({key: value if isinstance(value, str) else round(value, 3) for key, value in facts.items()}))


if __name__ == "__main__":
    main()
