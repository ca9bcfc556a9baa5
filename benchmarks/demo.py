"""Time and memory of the whole demo against the limits we hold it to: 8 minutes and 4 GB on two cores.

Runs the demo in a folder of its own and samples the memory of all its processes (proportional set size, so
that shared pages count once). The last line is a JSON object; a ratio below 1 is within the limit.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
SECONDS, GIGABYTES = 480, 4.0
SAMPLE = 0.5  # seconds between two looks at the memory


def memory(process: psutil.Process) -> int:
    """Bytes held by a process and its descendants."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total


def run(folder: Path) -> tuple[float, float]:
    """Run the demo in a folder; return its seconds and the highest memory in GB."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--workflow-profile", ROOT / "profiles/default", "--cores", "2"]
    command += ["--configfile", ROOT / "config/demo.yaml"]
    start, peak = time.monotonic(), 0
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)  # noqa: S603
        while process.poll() is None:
            peak = max(peak, memory(psutil.Process(process.pid)))
            time.sleep(SAMPLE)
    if process.returncode:
        sys.exit((folder / "log").read_text())
    return time.monotonic() - start, peak / 1e9


def main() -> None:
    """Run twice: from nothing, and with nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, gigabytes = run(Path(folder))
        again, _ = run(Path(folder))
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    print(f"{'':24}{'measured':>10}{'limit':>8}{'ratio':>7}")
    print(f"{'demo, seconds':24}{seconds:10.0f}{SECONDS:8.0f}{seconds / SECONDS:7.2f}")
    print(f"{'demo, GB of memory':24}{gigabytes:10.2f}{GIGABYTES:8.1f}{gigabytes / GIGABYTES:7.2f}")
    print(f"{'nothing to do, seconds':24}{again:10.1f}")
    facts = {
        "benchmark": "demo",
        "ratio": seconds / SECONDS,
        "ratio_memory": gigabytes / GIGABYTES,
        "seconds": seconds,
        "gigabytes": gigabytes,
        "seconds_nothing_to_do": again,
    }
    print(json.dumps({key: value if isinstance(value, str) else round(value, 3) for key, value in facts.items()}))


if __name__ == "__main__":
    main()
