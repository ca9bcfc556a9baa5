"""Memory of the preparation over the rows of a listing: it must not grow with them.

100,000 rows of small files: one in ten is a sheet, the others are refused, as a listing gone wrong would have it (so
that rows and not pixels make the length). Resident memory of the job and of its largest reader is taken along the way.
Writes the figure `docs/memory-prepare.svg` when asked with --figure. The last line is a JSON object.
"""

import argparse
import hashlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from sheetlens.config import Limits
from sheetlens.fetch.listing import LISTING, write_listing
from sheetlens.prepare.assemble import assemble
from sheetlens.prepare.shards import write_shard

ROWS, SHEETS, STEP = 100_000, 50, 5_000
FIGURE = Path(__file__).parents[1] / "docs/memory-prepare.svg"
MB = 2**20


def make_listing(folder: Path) -> Path:
    """A listing of many rows: one in ten names a small JPEG of its own, the others a file that is no picture."""
    random, pictures = np.random.default_rng(0), []
    for _ in range(SHEETS):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 255, (160, 140, 3), np.uint8)).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())

    def row(number: int) -> dict[str, object]:
        sheet = number % 10 == 0
        # What follows the picture makes each file another one: copies would be refused as placeholders.
        data = pictures[number // 10 % SHEETS] + str(number).encode() if sheet else b"<html>Request Rejected</html>"
        path = folder / (f"{number}.jpg" if sheet else "page.jpg")
        path.write_bytes(data)
        found = {"path": str(path), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        name = f"{number:08}"
        return LISTING | {"image_id": name, "specimen_id": name, "label": "ab"[number % 20 // 10], **found}

    write_listing(folder / "listing.parquet", map(row, range(ROWS)))
    return folder / "listing.parquet"


def main() -> None:
    """Measure, print a table and the JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--figure", action="store_true")
    figure = parser.parse_args().figure
    me, samples = psutil.Process(), {"read": [], "packed": []}

    def watch(phase: str) -> object:
        """A progress function that looks at the memory every few rows."""

        def progress(done: int, total: int) -> None:
            if done % STEP == 0:
                readers = [child.memory_info().rss for child in me.children()]
                samples[phase].append((done, me.memory_info().rss / MB, max(readers, default=0) / MB))

        return progress

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listing = make_listing(folder)
        write_shard(listing, 0, 1, folder / "0", "squash", Limits(), 2, watch("read"))
        paths = [folder / file for file in ("pixels.npy", "index.parquet", "manifest.parquet")]
        assemble(listing, [folder / "0"], "squash", *paths, watch("packed"))
    print(f"{'rows':>8}{'reading, MB':>13}{'a reader, MB':>14}{'packing, MB':>13}")
    for (rows, reading, reader), (_, packing, _) in zip(samples["read"], samples["packed"], strict=True):
        print(f"{rows:8}{reading:13.0f}{reader:14.0f}{packing:13.0f}")
    if figure:
        draw(samples)
    growth = {phase: (values[-1][1] - values[1][1]) for phase, values in samples.items()}
    facts = {"benchmark": "rows", **{f"growth_mb_{phase}": round(value, 1) for phase, value in growth.items()}}
    print(json.dumps(facts | {"ratio": round(samples["read"][-1][1] / samples["read"][1][1], 3)}))


def draw(samples: dict[str, list[tuple[int, float, float]]]) -> None:
    """The table as a figure."""
    from matplotlib.figure import Figure

    plot = Figure(figsize=(6, 3), layout="constrained")
    axes = plot.subplots()
    for phase, column, label in (
        ("read", 1, "job, reading"),
        ("read", 2, "largest reader"),
        ("packed", 1, "job, packing"),
    ):
        axes.plot(*zip(*((row[0], row[column]) for row in samples[phase]), strict=True), label=label)
    axes.set(xlabel="rows", ylabel="resident memory (MB)", ylim=(0, None))
    axes.legend(frameon=False)
    plot.savefig(FIGURE)


if __name__ == "__main__":
    main()
