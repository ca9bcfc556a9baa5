"""A collection from the server to ranked cabinets: speed against decoding alone, memory, kills, and the truth.

A server on the loopback interface offers SHEETS sheets, each a drawn picture with the barcode in it. They are fetched,
read by a model and ranked: `python benchmarks/collection.py results/mercury/models/table1/random-1 [SHEETS]`, the
model of a finished demo, whose evaluation lies beside it. One cabinet in eight is treated. A second run of the same
is killed at random moments and must end in the same bytes. The limit is decoding and resizing the same files and
nothing else, with as many workers, in rounds with predicting, whose network takes its share of the same cores: for the
drawn sheets, which are small, and for the same in the size of a museum's photographs. The last line is a JSON object.
"""

import asyncio
import functools
import hashlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from aiohttp import web
from PIL import Image

from sheetlens.common import files
from sheetlens.config import DemoSource, Limits
from sheetlens.fetch.sources import demo
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.inference import BATCH
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import SIZE

SHEETS, DRAWN, SEED = 20_000, 1_200, 77  # another seed than the demo's: sheets the model has not seen
CABINET, TREATED = 100, 1 / 8  # sheets in a cabinet, share of treated cabinets
SHARES = {True: (0.4, 0.95), False: (0.0, 0.05)}  # of stained sheets in a cabinet, treated or not
WORKERS, ROUNDS, KILLS = 2, 3, 12
DRAWN_SAMPLE, CAMERA_SAMPLE, COPIES = 1_500, 60, 6  # files of a comparison with the limit, and names of each
CAMERA = (3_450, 4_950)  # pixels of a sheet of 11.5 by 16.5 inches at 300 dpi
LISTING, PREDICTIONS = "listing.parquet", "answers/predictions.parquet"
SAMPLED = 0.2  # seconds between two looks at the memory


def make_collection(folder: Path, sheets: int) -> pd.DataFrame:
    """Draw pictures, and say which one each sheet shows and in which cabinet it is."""
    demo.fetch(DemoSource(task="stain", sheets=DRAWN, seed=SEED), folder / "pictures", WORKERS)
    truth = files.read_table(folder / "pictures/truth.parquet").query("defect == ''")
    random = np.random.default_rng(SEED)
    cabinets = -(-sheets // CABINET)
    treated = random.permutation(np.arange(cabinets) < round(TREATED * cabinets))
    share = np.where(treated, random.uniform(*SHARES[True], cabinets), random.uniform(*SHARES[False], cabinets))
    cabinet = np.arange(sheets) % cabinets
    stained = random.random(sheets) < share[cabinet]
    pictures = {kind: truth.loc[truth["stained"].eq(kind), "file"].to_numpy() for kind in (True, False)}
    shown = np.where(stained, random.choice(pictures[True], sheets), random.choice(pictures[False], sheets))
    names = [f"C{number:03d}" for number in cabinet]
    return pd.DataFrame(
        {
            "barcode": [f"{number:08d}" for number in range(sheets)],
            "picture": shown,
            "cabinet": names,
            "stained": stained,
            "treated": treated[cabinet],
        }
    )


async def serve(pictures: Path) -> None:
    """Offer `/{picture}/{barcode}.jpg`; print the port."""
    read = functools.cache(lambda name: (pictures / name).read_bytes())

    async def answer(request: web.Request) -> web.Response:
        body, mark = read(request.match_info["picture"]), request.match_info["barcode"].encode()
        marked = body[:2] + b"\xff\xfe" + (len(mark) + 2).to_bytes(2, "big") + mark + body[2:]
        return web.Response(body=marked, content_type="image/jpeg", headers={"ETag": f'"{mark.decode()}"'})

    app = web.Application()
    app.router.add_get("/{picture:.+}/{barcode}.jpg", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def steps(folder: Path, sheets: pd.DataFrame, port: int, model: Path) -> dict[str, list[str]]:
    """The commands a person types, from the table of addresses to the ranked cabinets."""
    table = sheets.assign(
        url=[f"http://127.0.0.1:{port}/{row.picture}/{row.barcode}.jpg" for row in sheets.itertuples()],
        image_id=[f"{barcode}.jpg" for barcode in sheets["barcode"]],
        label="unknown",
    )
    files.write_table(folder / "table.csv", table[["url", "image_id", "label"]])
    files.write_table(folder / "cabinets.csv", sheets[["barcode", "cabinet"]])
    records = '{"path": "cabinets.csv", "barcode": "barcode", "columns": {"storageLocation": "cabinet"}}'
    return {
        "fetch": ["fetch", "urls", *options(settings='{"table": "table.csv"}', originals="originals", listing=LISTING)],
        "predict": ["predict", str(model), LISTING, *options(output="answers", workers=WORKERS)],
        "hotspots": [
            "hotspots",
            *options(predictions=PREDICTIONS, model=model, records=records, output="hotspots"),
        ],
    }


def options(**values: object) -> list[str]:
    """Options of a command line."""
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def run(folder: Path, arguments: list[str], kill_after: float | None = None) -> tuple[float, list[float]]:
    """Run a command, or kill it after some seconds; return seconds, and the memory (MB) of all its processes."""
    asking = {"allow": ["127.0.0.0/8"], "hosts": {"127.0.0.1": {"rate": 1e6, "connections": 32}}}
    surroundings = os.environ | {"SHEETLENS_FETCH": json.dumps(asking)}
    start, memory = time.perf_counter(), []
    with (folder / "log").open("a") as log:
        command = [sys.executable, "-m", "sheetlens", *arguments]
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, env=surroundings, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
        while process.poll() is None:
            if kill_after is not None and time.perf_counter() - start > kill_after:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return time.perf_counter() - start, memory
            memory.append(resident(process.pid))
            time.sleep(SAMPLED)
    if process.returncode:
        sys.exit(f"{arguments[0]} failed: {(folder / 'log').read_text()[-2000:]}")
    return time.perf_counter() - start, memory


def resident(pid: int) -> float:
    """Memory of a process and those it started, MB; shared pages count once (proportional set size)."""
    total = 0
    try:
        for process in (main := psutil.Process(pid), *main.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:
        pass
    return total / 2**20


def killed_run(folder: Path, commands: dict[str, list[str]], seconds: dict[str, float]) -> int:
    """The same commands, each killed a few times before it may finish; the number of kills."""
    random, kills = np.random.default_rng(SEED), 0
    for name, arguments in commands.items():
        for _ in range(KILLS // len(commands)):
            run(folder, arguments, random.uniform(0.05, 0.4) * seconds[name])
            kills += 1
        run(folder, arguments)
    return kills


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each product."""
    products = [
        *sorted((folder / "hotspots").rglob("*")),
        folder / "answers/predictions.csv",
        folder / "listing.parquet",
    ]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in products
        if path.is_file()
    }


def as_by_a_camera(folder: Path, pictures: list[Path]) -> list[Path]:
    """The same sheets in the size and with the noise of a museum's photographs, under COPIES names each."""
    folder.mkdir()
    noise = np.random.default_rng(SEED).normal(0, 4, (CAMERA[1], CAMERA[0], 3)).astype(np.int8)
    made = []
    for picture in pictures:
        with Image.open(picture) as drawn:
            large = np.asarray(drawn.convert("RGB").resize(CAMERA, Image.Resampling.BICUBIC))
        name = folder / f"{picture.stem}-0.jpg"
        Image.fromarray((large + noise.astype(np.int16)).clip(0, 255).astype(np.uint8)).save(name, quality=90)
        made.append(name)
        for number in range(1, COPIES):
            made.append(folder / f"{picture.stem}-{number}.jpg")
            made[-1].hardlink_to(name)
    return made


def limit(names: list[Path]) -> float:
    """Seconds to decode and resize files, with as many threads and readers as predicting has."""
    rows = [{"image_id": name.name, "path": str(name), "sha256": ""} for name in names]
    start = time.perf_counter()
    with Readers(WORKERS, "squash", Limits()) as readers, ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(readers.read, rows))
    return time.perf_counter() - start


def against_limit(folder: Path, model: Path, names: list[Path]) -> tuple[float, float, float]:
    """Sheets a second decoding alone and predicting, start left out, and the median of the ratios."""
    rates: dict[str, list[float]] = {"limit": [], "predict": []}
    for number in range(ROUNDS):
        rates["limit"].append(len(names) / limit(names))
        took = []
        for count in (1, len(names)):
            place = folder / f"{names[0].parent.name}-{number}-{count}"
            files.write_table(folder / "sample.csv", pd.DataFrame({"path": [str(name) for name in names[:count]]}))
            arguments = ["predict", str(model), "sample.csv", *options(output=place, workers=WORKERS)]
            took.append(run(folder, arguments)[0])
        rates["predict"].append((len(names) - 1) / (took[1] - took[0]))
    ratio = statistics.median(p / d for d, p in zip(rates["limit"], rates["predict"], strict=True))
    return statistics.median(rates["limit"]), statistics.median(rates["predict"]), ratio


def network_seconds(model: Path) -> float:
    """Seconds of one core that the network takes for a sheet."""
    classifier, pixels = Classifier(model, threads=1), np.zeros((BATCH, 3, SIZE, SIZE), np.uint8)
    took = []
    for _ in range(10):
        start = time.perf_counter()
        classifier.read(pixels)
        took.append(time.perf_counter() - start)
    return statistics.median(took) / BATCH


def judge(folder: Path, sheets: pd.DataFrame) -> dict[str, float]:
    """How well the ranking tells treated cabinets, and how often the intervals hold the true share."""
    shares = pd.read_csv(folder / "hotspots/shares.csv").query("by == 'cabinet'")  # highest first
    truth = sheets.groupby("cabinet").agg(truth=("stained", "mean"), hot=("treated", "first"))
    ranked = shares.join(truth, on="group")
    number = int(truth["hot"].sum())
    inside = ranked["truth"].between(ranked["low"], ranked["high"])
    return {
        "cabinets": len(truth),
        "treated": number,
        "treated_at_the_top": int(ranked["hot"].head(number).sum()),
        "coverage": round(float(inside.mean()), 3),
    }


def main() -> None:
    """Measure, print tables and the JSON object."""
    if sys.argv[1] == "--serve":
        asyncio.run(serve(Path(sys.argv[2])))
        return
    model, number = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else SHEETS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sheets = make_collection(folder, number)
        command = [sys.executable, __file__, "--serve", str(folder / "pictures")]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        try:
            assert server.stdout  # noqa: S101
            measure(folder, sheets, int(server.stdout.readline()), model)
        finally:
            server.kill()


def measure(folder: Path, sheets: pd.DataFrame, port: int, model: Path) -> None:
    """Both runs, and what they show."""
    whole, broken = folder / "whole", folder / "broken"
    seconds, peaks, growth = {}, {}, {}
    for place in (whole, broken):
        place.mkdir()
        commands = steps(place, sheets, port, model)
        if place == whole:
            for name, arguments in commands.items():
                seconds[name], memory = run(place, arguments)
                peaks[name] = max(memory)
                half = len(memory) // 2
                growth[name] = max(memory[half:]) - max(memory[:half], default=0)
        else:
            kills = killed_run(place, commands, seconds)
    made, again = digests(whole), digests(broken)
    same = made == again
    for name in sorted(made.keys() | again.keys()):
        if made.get(name) != again.get(name):
            print(f"not the same after kills: {name}")
    drawn = sorted((whole / "originals").glob("*.jpg"))[:DRAWN_SAMPLE]
    camera = as_by_a_camera(
        whole / "camera", [folder / "pictures" / name for name in sheets["picture"].unique()[:CAMERA_SAMPLE]]
    )
    rates = {kind: against_limit(whole, model, names) for kind, names in (("drawn", drawn), ("camera", camera))}
    found = judge(whole, sheets)
    print(f"{platform.platform()}, {os.cpu_count()} cores; {len(sheets):,} sheets")
    print(f"{'step':12}{'seconds':>9}{'sheets/s':>10}{'MB':>7}{'second half':>13}")
    for name, took in seconds.items():
        print(f"{name:12}{took:9.0f}{len(sheets) / took:10.0f}{peaks[name]:7.0f}{growth[name]:+10.0f} MB")
    seconds_each, possible = network_seconds(model), {}
    for kind, (decoding, predicting, ratio) in rates.items():
        both = 1 / (1 / decoding + seconds_each / WORKERS)
        possible[kind] = predicting / both
        print(
            f"{kind}: decoding alone {decoding:.1f}, predicting {predicting:.1f} sheets/s, ratio {ratio:.2f};", end=" "
        )
        print(f"of what these cores can do, {both:.1f} sheets/s with the network: {possible[kind]:.2f}")
    print(f"{kills} kills, same bytes: {same}")
    print(", ".join(f"{key} {value}" for key, value in found.items()))
    facts = {
        "benchmark": "collection",
        "ratio": round(rates["camera"][2], 3),
        "sheets": len(sheets),
        "kills": kills,
        "same": same,
    }
    facts |= {f"ratio_possible_{kind}": round(value, 3) for kind, value in possible.items()}
    facts["ratio_drawn"] = round(rates["drawn"][2], 3)
    facts |= {f"{name}_seconds": round(took) for name, took in seconds.items()}
    facts |= {f"{name}_mb": round(peak) for name, peak in peaks.items()}
    facts |= {f"{name}_growth_mb": round(more) for name, more in growth.items()}
    print(json.dumps(facts | found))
    if not same:
        sys.exit("the killed run ended in other bytes")


if __name__ == "__main__":
    main()
