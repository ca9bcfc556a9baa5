"""The workflow at the size of the paper's whole collection: 1.2 million sheets, nothing computed.

Builds the chain of jobs for a synthetic listing of that size and prints what Snakemake and DVC need to find
out what is to be done: from nothing, and when nothing has changed. Limits: 2,000 jobs, 60 s and 2 GB for a
dry run, 10 s for `dvc status`. The last line is a JSON object; a ratio below 1 is within its limit.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).parents[1]
SHEETS = 1_200_000
SHEETS_A_JOB, SHEETS_A_FILE = 1_000, 8_192
JOBS, SECONDS, GIGABYTES, STATUS_SECONDS = 2_000, 60, 2.0, 10
REPEATS = 3

CONFIG = {
    "study": "own",
    "run": ["collection"],
    "datasets": {
        "collection": {
            "title": "A whole collection",
            "source": "demo",
            "demo": {"task": "stain", "sheets": SHEETS},
            "network": "table1",
        }
    },
    "images": {"jobs": SHEETS // SHEETS_A_JOB},
}


def measured(*words: object, folder: Path) -> tuple[float, float, str]:
    """Run a command; return its seconds, its highest memory in GB (resident set) and what it printed."""
    with tempfile.TemporaryFile("w+") as output:
        start, peak = time.monotonic(), 0
        process = subprocess.Popen([str(word) for word in words], cwd=folder, stdout=output, stderr=output)  # noqa: S603
        while process.poll() is None:
            try:
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)
        seconds = time.monotonic() - start
        output.seek(0)
        text = output.read()
    if process.wait():
        sys.exit(text)
    return seconds, peak / 1e9, text


def snakemake(folder: Path, *more: object) -> tuple[float, float, str]:
    """Run Snakemake with the synthetic collection."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--workflow-profile", ROOT / "profiles/default", "--configfile", folder / "collection.yaml"]
    return measured(*command, "--cores", 2, *more, folder=folder)


def middle(runs: list[tuple[float, float, str]]) -> tuple[float, float]:
    """Median seconds and memory."""
    return float(np.median([run[0] for run in runs])), float(np.median([run[1] for run in runs]))


def write_products(folder: Path) -> int:
    """Put a small file where each product would be, and real tables of 1.2 million rows; return their number."""
    _, _, summary = snakemake(folder, "--summary")
    paths = [line.split("\t")[0] for line in summary.splitlines() if line.startswith("results/")]
    paths = [path for path in paths if "/shards/" not in path]  # they are gone when a run ends
    for path in paths:
        product = folder / path
        if not product.suffix:  # a folder
            product.mkdir(parents=True)
            continue
        product.parent.mkdir(parents=True, exist_ok=True)
        product.write_text(path)
    sheets = pd.DataFrame({"image_id": [f"{number:08d}.jpg" for number in range(SHEETS)], "status": "ok"})
    for name in ("listing.parquet", "manifest.parquet", "images/index.parquet"):
        sheets.to_parquet(folder / "results/collection" / name, index=False)
    return len(paths)


def dvc_status(folder: Path) -> tuple[float, float, int]:
    """Seconds and memory of `dvc status` for a pack of 1.2 million sheets in files of 8,192, and how many files."""
    pack = folder / "results/collection/images/pixels"
    pack.mkdir(parents=True)
    for number in range(-(-SHEETS // SHEETS_A_FILE)):  # a megabyte each: an unchanged file is not read again
        (pack / f"{number:05d}.npy").write_bytes(np.full(2**20, number % 256, np.uint8).tobytes())
    dvc = [sys.executable, "-m", "dvc"]
    measured("git", "init", "--quiet", folder=folder)
    measured(*dvc, "init", "--quiet", folder=folder)
    measured(*dvc, "add", "--quiet", "results/collection", folder=folder)
    tracked = sum(path.is_file() for path in (folder / "results/collection").rglob("*"))
    runs = [measured(*dvc, "status", folder=folder) for _ in range(REPEATS)]
    if "up to date" not in runs[0][2]:
        sys.exit(runs[0][2])
    return *middle(runs), tracked


def main() -> None:
    """From nothing, with nothing to do, and DVC."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "collection.yaml").write_text(yaml.safe_dump(CONFIG))
        runs = [snakemake(folder, "--dry-run", "--quiet", "rules") for _ in range(REPEATS)]
        jobs = int(re.findall(r"^total +(\d+)", runs[0][2], re.MULTILINE)[0])
        seconds, gigabytes = middle(runs)
        products = write_products(folder)
        snakemake(folder, "--touch", "--quiet", "all")
        runs = [snakemake(folder) for _ in range(REPEATS)]
        if "Nothing to be done" not in runs[0][2]:
            sys.exit(runs[0][2])
        idle_seconds, idle_gigabytes = middle(runs)
        status_seconds, status_gigabytes, tracked = dvc_status(folder)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"snakemake {version('snakemake')}, dvc {version('dvc')}; {SHEETS:,} sheets, medians of {REPEATS} runs")
    print(f"{'':40}{'measured':>10}{'limit':>8}{'ratio':>7}")
    for what, value, limit in (
        ("jobs from nothing", jobs, JOBS),
        ("dry run from nothing, seconds", seconds, SECONDS),
        ("dry run from nothing, GB", gigabytes, GIGABYTES),
        ("run with nothing to do, seconds", idle_seconds, SECONDS),
        ("run with nothing to do, GB", idle_gigabytes, GIGABYTES),
        ("dvc status, seconds", status_seconds, STATUS_SECONDS),
    ):
        print(f"{what:40}{value:10.2f}{limit:8g}{value / limit:7.2f}")
    print(f"{'dvc status, GB':40}{status_gigabytes:10.2f}")
    print(f"{'products that Snakemake follows':40}{products:10d}")
    print(f"{'files that DVC follows':40}{tracked:10d}")
    facts = {
        "benchmark": "scale",
        "ratio": seconds / SECONDS,
        "ratio_memory": gigabytes / GIGABYTES,
        "ratio_jobs": jobs / JOBS,
        "ratio_nothing_to_do": idle_seconds / SECONDS,
        "ratio_dvc_status": status_seconds / STATUS_SECONDS,
        "jobs": jobs,
        "products": products,
        "tracked": tracked,
    }
    print(json.dumps({key: value if isinstance(value, str) else round(value, 3) for key, value in facts.items()}))


if __name__ == "__main__":
    main()
