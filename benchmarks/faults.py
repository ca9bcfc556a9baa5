"""Kills at random moments over a whole run of the demo: the same command must end in the same bytes.

One run is left alone, then others are killed until there were enough kills: Snakemake alone with SIGTERM or SIGKILL,
or all its processes at once, as when the power fails. A run that ends is compared with the one left alone, file by
file, and the next begins afresh. The demo has few sheets (`tests.conftest.TINY`), so that most kills hit between
steps and in their beginnings; `--whole` takes the whole demo. Run in the project's folder:
`python -m benchmarks.faults --kills 100`. The last line is a JSON object.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.conftest import ROOT, digests, tiny_demo

KINDS = ("SIGTERM to Snakemake", "SIGKILL to Snakemake", "SIGKILL to all")
STOPPED = 600  # seconds in which a run that was asked to stop must end its jobs; later it hangs, which is an error
LONGEST = 14.0  # seconds a run is left alone at most: the start, and a few steps of the small demo


@dataclass
class Outcome:
    """What became of the kills: how many of each kind, and the files that were lost or differ, by run."""

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    lost: list[str] = field(default_factory=list)


def start(folder: Path, arguments: Sequence[object], log: Path | None = None) -> subprocess.Popen[str]:
    """Start the workflow in a folder; what it says goes to a log, `run.log` there unless another is given."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder,
        "--workflow-profile", ROOT / "profiles/default", *arguments,
    ]  # fmt: skip
    with (log or folder / "run.log").open("a") as file:
        words = [str(word) for word in command]
        return subprocess.Popen(words, stdout=file, stderr=file, text=True)  # noqa: S603


def kill(process: subprocess.Popen[str], kind: str) -> None:
    """Kill a run in one of the KINDS and wait until none of its processes is left."""
    main = psutil.Process(process.pid)
    family = [main, *main.children(recursive=True)]
    if kind == "SIGTERM to Snakemake":
        process.terminate()
    elif kind == "SIGKILL to Snakemake":
        process.kill()
    else:
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
    process.wait(STOPPED)
    left = psutil.wait_procs(family, timeout=120)[1]
    if left:
        raise RuntimeError(f"still running two minutes after {kind}: {left}")


def survive(folder: Path, arguments: Sequence[object], expected: dict[str, str], kills: int, seed: int) -> Outcome:
    """Run and kill below `folder` until there were enough kills and the last run has ended; compare each end."""
    outcome, chance = Outcome(), random.Random(seed)  # noqa: S311 - moments, not secrets
    while outcome.kills.total() < kills:
        place = folder / f"run-{outcome.runs}"
        place.mkdir()
        outcome.runs += 1
        process = start(place, arguments)
        while outcome.kills.total() < kills:
            try:
                process.wait(chance.uniform(0.5, LONGEST))
                break
            except subprocess.TimeoutExpired:
                kind = KINDS[outcome.kills.total() % len(KINDS)]
                kill(process, kind)
                outcome.kills[kind] += 1
                process = start(place, arguments)
        outcome.lost += _compare(place, process, expected)
    return outcome


def _compare(place: Path, process: subprocess.Popen[str], expected: dict[str, str]) -> list[str]:
    if process.wait():
        return [f"{place.name}: the command ended with {process.returncode}, see {place / 'run.log'}"]
    found = digests(place / "results")
    return [f"{place.name}: {name}" for name in sorted(found | expected) if found.get(name) != expected.get(name)]


def main() -> None:
    """Measure, print a table and the JSON object."""
    parser = argparse.ArgumentParser(description="Kill runs of the demo at random moments.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="the whole demo instead of the one with few sheets")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = tiny_demo(folder)
        if chosen.whole:
            arguments = arguments[:-1]
        (folder / "alone").mkdir()
        began = time.monotonic()
        if start(folder / "alone", arguments).wait():
            raise SystemExit((folder / "alone/run.log").read_text())
        alone = time.monotonic() - began
        expected = digests(folder / "alone/results")
        print(
            f"{platform.platform()}, {os.cpu_count()} cores; {len(expected)} products, {alone:.0f} s alone", flush=True
        )
        outcome = survive(folder, arguments, expected, chosen.kills, chosen.seed)
    for kind, number in outcome.kills.items():
        print(f"{kind:<22} {number:4}")
    print(f"runs compared {outcome.runs}; products lost or other {len(outcome.lost)}")
    print(*outcome.lost[:20], sep="\n")
    facts = {"benchmark": "faults", "kills": outcome.kills.total(), "runs": outcome.runs, "lost": len(outcome.lost)}
    print(json.dumps(facts | {"products": len(expected), "seconds_alone": round(alone)}))


if __name__ == "__main__":
    main()
