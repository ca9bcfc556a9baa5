"""What goes wrong on shared machines, done to runs of the demo: the same command must end in the same bytes.

The disk fills up at every writing phase (a small file system that grows by a step after each failure), or can only be
read; two runs start at once; the clock jumps by a day, forwards and back, between two halves of a run; products lose a
bit or their end behind the workflow's back; the processes that decode photographs are killed. Each failure must end
the command with a non-zero status and words that say why; `sheetlens check` must name exactly the products that were
changed. The demo has few sheets (`tests.conftest.TINY`). Run as root, for the small file system, in the project's
folder: `python -m benchmarks.mishaps`. The last line is a JSON object.
"""

import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.conftest import digests, sheetlens, tiny_demo

from benchmarks.faults import kill, start

FIRST, GROWTH = 3, 1.5  # megabytes of the small file system, and how much it grows each time
ENOUGH = 4000  # megabytes
DAY = 86_400_000_000_000  # nanoseconds
HALF = 25.0  # seconds: about the middle of the small demo
FULL = ("disk is full", "No space left")
READ_ONLY = ("Read-only file system", "may not write")
SKEW = "clock skew problem"
BUSY = ("another run is at work", "cannot be locked")
DAMAGED = (  # one of each kind, and the folder that is one product
    "mercury/images/pixels.npy", "mercury/models/table1/random-1/weights.safetensors", "lycophytes/manifest.parquet",
    "lycophytes/splits/random-1.tsv", "figures/figure-1.png", "metrics.json", "workflow/Snakefile",
)  # fmt: skip


@dataclass
class Outcome:
    """How often something was done, and what came of it that should not have."""

    injected: int = 0
    lost: list[str] = field(default_factory=list)

    def expect(self, right: bool, otherwise: str) -> None:
        """Note a fault unless all is right."""
        if not right:
            self.lost.append(otherwise)


Arguments = Sequence[object]


def said(folder: Path) -> str:
    """What the last run in a folder wrote; the next one begins a new log."""
    log = folder / "run.log"
    text = log.read_text()
    log.write_text("")
    return text


def compare(outcome: Outcome, folder: Path, expected: dict[str, str]) -> None:
    """Note products that are not those of the run that was left alone."""
    found = digests(folder / "results")
    outcome.lost += [name for name in sorted(found | expected) if found.get(name) != expected.get(name)]


def system(program: str, *words: object) -> None:
    """Run a program of the system."""
    command = [shutil.which(program) or program, *map(str, words)]
    subprocess.run(command, check=True)  # noqa: S603


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Callable[[str], None]]:
    """A file system in memory; what is given sets its options anew."""
    folder.mkdir()
    system("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
    try:
        yield lambda options: system("mount", "-o", f"remount,{options}", folder)
    finally:
        system("umount", folder)


def full_disk(folder: Path, arguments: Arguments, expected: dict[str, str]) -> Outcome:
    """Run on a disk that is too small, give it more, and so on to the end."""
    outcome, size = Outcome(), FIRST
    place = folder / "small"
    with small_disk(place, size) as set_options:
        while start(place, arguments, folder / "run.log").wait():
            outcome.injected += 1
            text = said(folder)
            outcome.expect(any(words in text for words in FULL), f"at {size} MB: {text[-300:]}")
            size = round(GROWTH * size)
            set_options(f"size={size}m")
        compare(outcome, place, expected)
    return outcome


def read_only(folder: Path, arguments: Arguments, expected: dict[str, str]) -> Outcome:
    """Let the disk become one that can only be read: before a run, and in its midst."""
    outcome, place = Outcome(), folder / "read"
    with small_disk(place, ENOUGH) as set_options:
        for after in (0.0, HALF):
            process = start(place, arguments, folder / "run.log") if after else None
            time.sleep(after)
            if process:
                kill(process, "SIGKILL to all")  # the system does not turn a disk over that is written to
            set_options("ro")
            outcome.injected += 1
            outcome.expect(start(place, arguments, folder / "run.log").wait() != 0, "a run ended well there")
            text = said(folder)
            outcome.expect(any(words in text for words in READ_ONLY), f"read-only: {text[-300:]}")
            set_options("rw")
        outcome.expect(start(place, arguments, folder / "run.log").wait() == 0, f"failed: {said(folder)[-300:]}")
        compare(outcome, place, expected)
    return outcome


def two_at_once(folder: Path, arguments: Arguments, expected: dict[str, str]) -> Outcome:
    """Start a second run in the same folder, at the same moment and later."""
    outcome, place = Outcome(), folder / "two"
    place.mkdir()
    processes = [start(place, arguments, folder / f"{number}.log") for number in range(2)]
    time.sleep(HALF)
    processes.append(start(place, arguments, folder / "2.log"))
    outcome.injected = 2
    codes = [process.wait() for process in processes]
    outcome.expect(codes.count(0) == 1 and codes[2] != 0, f"the runs ended with {codes}")
    for number, code in enumerate(codes):
        text = (folder / f"{number}.log").read_text()
        outcome.expect(not code or any(words in text for words in BUSY), f"run {number}: {text[-300:]}")
    compare(outcome, place, expected)
    return outcome


def clock_jumps(folder: Path, arguments: Arguments, expected: dict[str, str]) -> Outcome:
    """Kill a run, move the times of all its files, as if the clock had been set since, and go on.

    Files from the future stop a run, because Snakemake could not tell new products from old: it must say so, and go on
    when the clock has caught up.
    """
    outcome = Outcome()
    for days in (1, -1):
        place = folder / f"clock{days}"
        place.mkdir()
        process = start(place, arguments, folder / "run.log")
        time.sleep(HALF)
        kill(process, "SIGKILL to all")
        shift(place, days)
        outcome.injected += 1
        if start(place, arguments, folder / "run.log").wait():
            text = said(folder)
            outcome.expect(days > 0 and SKEW in text, f"{days} days: {text[-300:]}")
            shift(place, -days)
            outcome.expect(start(place, arguments, folder / "run.log").wait() == 0, f"failed: {said(folder)[-300:]}")
        compare(outcome, place, expected)
    return outcome


def shift(folder: Path, days: int) -> None:
    """Move the times of all files."""
    for path in folder.rglob("*"):
        times = path.stat()
        os.utime(path, ns=(times.st_atime_ns + days * DAY, times.st_mtime_ns + days * DAY))


def changed_products(place: Path, arguments: Arguments, expected: dict[str, str], log: Path) -> Outcome:
    """Flip a bit of some products of a finished run, cut others, and leave their times as they were."""
    outcome, chance = Outcome(), random.Random(1)  # noqa: S311 - places, not secrets
    for number, name in enumerate(DAMAGED):
        path = place / "results" / name
        times, data = path.stat(), bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data if number % 2 else data[: len(data) // 2])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        outcome.injected += 1
    told = sheetlens("check", place / "results", "--remove").stderr
    named = sorted(line.split(" is not ")[0].split("/results/")[1] for line in told.splitlines() if " is not " in line)
    outcome.expect(named == sorted(DAMAGED), f"check named {named}")
    outcome.expect(start(place, arguments, log).wait() == 0, f"failed: {log.read_text()[-300:]}")
    compare(outcome, place, expected)
    return outcome


def killed_readers(place: Path, folder: Path) -> Outcome:
    """Kill the processes that decode photographs, one after another, while a model reads a folder of them."""
    outcome, made = Outcome(), []
    model, sheets = place / "results/mercury/models/table1/random-1", folder / "sheets"
    sheets.mkdir()
    for number in range(20):
        for picture in (place / "results/mercury/originals").rglob("*.jpg"):
            (sheets / f"{number}-{picture.name}").hardlink_to(picture)
    for kills in (0, 10):
        output = folder / f"answers-{kills}"
        command = [sys.executable, "-m", "sheetlens", "predict", model, sheets, "--output", output, "--workers", "2"]
        process = psutil.Popen([str(word) for word in command], stderr=subprocess.DEVNULL)
        while process.poll() is None:
            readers = [child for child in process.children() if _decodes(child)]
            if readers and outcome.injected < kills:
                readers[0].kill()
                outcome.injected += 1
            time.sleep(0.3)
        outcome.expect(process.wait() == 0, "predict failed")
        made.append((output / "predictions.csv").read_bytes())
    outcome.expect(made[0] == made[1], "other answers after readers were killed")
    return outcome


def told(kind: str, outcome: Outcome) -> Outcome:
    """Print what came of one kind of mishap."""
    print(f"{kind:<18} {outcome.injected:4}   lost {len(outcome.lost)}", flush=True)
    for text in outcome.lost[:10]:
        print(f"    {text}", flush=True)
    return outcome


def _decodes(process: psutil.Process) -> bool:
    try:
        return "sheetlens.prepare.decoding.decoder_worker" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


def main() -> None:
    """Do all of it, print a table and the JSON object."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = tiny_demo(folder)
        alone = folder / "alone"
        alone.mkdir()
        if start(alone, arguments).wait():
            raise SystemExit((alone / "run.log").read_text())
        expected = digests(alone / "results")
        print(f"{platform.platform()}, {os.cpu_count()} cores; {len(expected)} products", flush=True)
        common = (folder, arguments, expected)
        outcomes = [
            told("full disk", full_disk(*common)),
            told("read-only disk", read_only(*common)),
            told("two runs at once", two_at_once(*common)),
            told("clock jumps", clock_jumps(*common)),
            told("killed readers", killed_readers(alone, folder)),
            told("changed products", changed_products(alone, arguments, expected, folder / "run.log")),
        ]
    facts = {"benchmark": "mishaps", "injected": sum(outcome.injected for outcome in outcomes)}
    print(json.dumps(facts | {"lost": sum(len(outcome.lost) for outcome in outcomes)}))


if __name__ == "__main__":
    main()
