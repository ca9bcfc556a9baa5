"""Decisions of reviewers under faults: each one that the server confirmed must be in its run's journal, once.

Eight writers send decisions, one to thirty at a time, to two runs that take turns at one address, while the server is
killed at random moments and started again for either run, and the disk is full for a while now and then. What is not
confirmed is sent again, as the page does, and a tenth of all requests goes to whichever run is served. At the end both
journals are read: `lost` are confirmed decisions that are not there, `in_another_run` those of one run in the journal
of the other, `twice` those that stand there more than once. Run as root, for the small file system, in the project's
folder: `python -m benchmarks.decisions [--decisions 10000]`. The last line is a JSON object.
"""

import argparse
import http.client
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser.runs import write_run

from benchmarks.mishaps import small_disk
from sheetlens.review.decisions import NAME, read_contents

WRITERS, LARGEST, SHEETS = 8, 30, 400
PAUSE = 0.5  # seconds between two requests of a writer, at most: time for faults between them
MEGABYTES = 64  # of the disk; what is free of it is filled up when it is to be full
RUNS = ("first", "second")
HEADERS = {"Content-Type": "application/json", "X-Sheetlens-Review": "1"}


@dataclass
class Tally:
    """What the writers know: the ids that were confirmed for each run, and what else they were told."""

    confirmed: dict[str, set[str]] = field(default_factory=lambda: {run: set() for run in RUNS})
    answers: Counter[object] = field(default_factory=Counter)
    kills: int = 0
    full: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> int:
        """Decisions confirmed so far."""
        return sum(map(len, self.confirmed.values()))


class Address:
    """One port, at which the server of either run is started and killed."""

    def __init__(self, folder: Path) -> None:
        """Find a free port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder, self._process = folder, None

    def serve(self, run: str) -> None:
        """Serve a run in the place of the one before; wait until it answers."""
        command = [sys.executable, "-m", "sheetlens", "review", str(self._folder / run), "--port", str(self.port)]
        with (self._folder.parent / "server.log").open("a") as log:
            self._process = subprocess.Popen(command, stderr=log)  # noqa: S603
        for _ in range(600):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self._process.poll() is not None:
                raise SystemExit((self._folder.parent / "server.log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server as the power does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """One request, its status and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, json.dumps(body).encode() if body is not None else None, HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def write(number: int, port: int, queues: dict[str, dict], tally: Tally, wanted: int, seed: int) -> None:
    """Send decisions of one reviewer until enough are confirmed; what is not confirmed is sent again."""
    chance = random.Random(seed * 100 + number)  # noqa: S311
    made, pending = 0, {run: [] for run in RUNS}
    while tally.count() < wanted:
        run = chance.choice(RUNS)
        if not pending[run] or chance.random() < 0.5:
            for _ in range(chance.choice((1, 1, 1, LARGEST))):
                made += 1
                label = chance.choice(queues[run]["classes"])
                pending[run].append({
                    "id": f"{run}-{number}-{made}", "key": chance.choice(queues[run]["keys"]), "decision": "class",
                    "label": label, "reviewer": f"reviewer {number} " + "x" * 80, "undoes": "",
                    "time": "2026-01-01T00:00:00Z", "run": queues[run]["run"],
                })  # fmt: skip
        some = pending[run][: chance.choice((1, LARGEST))]
        if chance.random() < 0.1:  # as a page does that knows no runs: the keys alone must tell
            some = [{name: value for name, value in one.items() if name != "run"} for one in some]
        try:
            status, body = ask(port, "POST", "/decisions", some)
        except (OSError, http.client.HTTPException) as error:
            status, body = type(error).__name__, b""
            time.sleep(0.05)
        with tally.lock:
            tally.answers[status] += 1
        if status == 200:
            kept = set(json.loads(body)["kept"])
            with tally.lock:
                tally.confirmed[run] |= kept
            pending[run] = [one for one in pending[run] if one["id"] not in kept]
        time.sleep(chance.uniform(0, PAUSE))


def fill(filler: Path, left: int) -> None:
    """Fill the disk but for so many blocks; others write meanwhile, so that it may be full before."""
    state = os.statvfs(filler.parent)
    with suppress(OSError), filler.open("wb") as file:
        for _ in range(max(0, state.f_bavail - left)):
            file.write(bytes(state.f_bsize))


def disturb(address: Address, disk: Path, tally: Tally, wanted: int, chance: random.Random) -> None:
    """Kill the server, change the run, fill the disk, until enough decisions are confirmed."""
    filler = disk / "filler"
    while tally.count() < wanted:
        time.sleep(chance.uniform(0.1, 1.5))
        if chance.random() < 0.5:
            fill(filler, chance.randrange(40))
            tally.full += 1
            time.sleep(chance.uniform(0.2, 1.0))
            if chance.random() < 0.5:
                filler.unlink()
        if chance.random() < 0.6:
            address.kill()
            tally.kills += 1
            filler.unlink(missing_ok=True)  # else a server that has just begun would be refused its journal for ever
            address.serve(chance.choice(RUNS))
        filler.unlink(missing_ok=True)


def judge(folder: Path, tally: Tally) -> dict[str, int]:
    """Compare the journals with what was confirmed."""
    found = {"acknowledged": tally.count(), "lost": 0, "in_another_run": 0, "twice": 0, "damaged_lines": 0}
    for run in RUNS:
        contents = read_contents(folder / run / NAME)
        stored = [json.loads(line)["id"] for line in (folder / run / NAME).read_bytes().splitlines()]
        found["lost"] += len(tally.confirmed[run] - {entry["id"] for entry in contents.entries})
        found["in_another_run"] += sum(not name.startswith(f"{run}-") for name in stored)
        found["twice"] += len(stored) - len(set(stored))
        found["damaged_lines"] += len(contents.refused)
    return found


def measure(folder: Path, wanted: int, seed: int) -> tuple[dict[str, int], Tally]:
    """Let writers and faults loose on a small disk; return what is found at the end, and the tally."""
    tally, chance = Tally(), random.Random(seed)  # noqa: S311
    with small_disk(folder / "disk", MEGABYTES) as _:
        runs = folder / "disk/runs"
        for run in RUNS:
            write_run(runs / run, SHEETS)
        address, queues = Address(runs), {}
        for run in RUNS:
            address.serve(run)
            queues[run] = json.loads(ask(address.port, "GET", "/queue.json")[1])
            address.kill()
        address.serve(RUNS[0])
        writers = [
            threading.Thread(target=write, args=(number, address.port, queues, tally, wanted, seed), daemon=True)
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        try:
            disturb(address, folder / "disk", tally, wanted, chance)
            for writer in writers:
                writer.join()
        finally:
            address.kill()
        return judge(runs, tally), tally


def main() -> None:
    """Measure, print a table and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found, tally = measure(Path(name), asked.decisions, asked.seed)
    print(f"{platform.platform()}, {os.cpu_count()} cores, {WRITERS} writers, seed {asked.seed}")
    print(f"{tally.kills} kills, the disk full {tally.full} times; answers: {dict(tally.answers)}")
    for key, value in found.items():
        print(f"{key:20}{value:8,}")
    faults = {"kills": tally.kills, "full_disks": tally.full, "writers": WRITERS}
    print(json.dumps({"benchmark": "decisions", **found, **faults}))


if __name__ == "__main__":
    main()
