"""Hostile and odd input: thousands of broken pictures, tables, archives, configs and models, each read or refused.

Pictures go through the reading processes of `prepare/decoding` with their limits; everything else through the function
that reads it, in a process with limits of its own. A file is `read`, `refused` with a reason,
`crashed` (any other exception, a process that died) or `hung`. Sound tables and archives in odd dress (stray quotes,
other delimiters, encodings and line ends, archives within folders) must be read with every row and cell, or they are
`lost`. Of odd pictures and servers (`benchmarks/odd.py`) it is known what is right, so that they can be `lost` (fit,
and refused) or `wrong` (in, and not what it should be). All but the first two must be zero. What is tried depends on
the seed only (`benchmarks/broken.py` and `tests/services/odd_archives.py` make them). Run in the project's folder:
`python -m benchmarks.inputs`. The last line is a JSON object.
"""

import argparse
import hashlib
import json
import logging
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tests.services.odd_archives import SHAPES, TABLES, build, build_table, plain

from benchmarks.broken import (
    ROOT,
    broken_pictures,
    real_pictures,
    write_archive,
    write_config,
    write_dwca,
    write_model,
    write_table,
)
from benchmarks.odd import try_odd_pictures, try_odd_servers
from sheetlens.common import files, tables
from sheetlens.common.errors import UserError
from sheetlens.config import Limits, read_files
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.fetch.unpack import unpack
from sheetlens.prepare.corrections import read_corrections
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import SIZE

PICTURES, OTHERS = 2000, 300  # tried: pictures in all, files of each other kind
LIMITS = Limits(megabytes=500, seconds=10)
SECONDS, MEMORY = 30, 4 * 2**30  # for a file that is no picture
OUTCOMES = ("read", "refused", "lost", "wrong", "crashed", "hung")
FAULTS = ("lost", "wrong", "crashed", "hung")
ODD = 30  # of each kind of odd picture, and of each kind of server


class LostError(Exception):
    """Rows or cells of a sound file that were not read."""


def try_pictures(number: int, seed: int) -> tuple[dict[str, Counter[str]], list[str], float]:
    """Outcomes by what was done, what went wrong, and the longest seconds one picture took."""
    outcomes: dict[str, Counter[str]] = {}
    faults, longest = [], 0.0
    with Readers(1, "squash", LIMITS) as readers:
        for n, (way, data) in enumerate(broken_pictures(number, seed)):
            start = time.perf_counter()
            facts = readers.read({"image_id": str(n), "path": "sheet.jpg", "sha256": ""}, data).facts
            longest = max(longest, time.perf_counter() - start)
            outcome = _outcome(facts)
            outcomes.setdefault(f"pictures, {way}", Counter())[outcome] += 1
            if outcome in ("crashed", "hung"):
                faults.append(f"picture {n}, {way}, {hashlib.sha256(data).hexdigest()[:12]}: {facts.get('reason')}")
    return outcomes, faults, longest


def _outcome(facts: dict[str, Any]) -> str:
    if facts["status"] == "ok":
        return "read"
    reason = facts["reason"]
    if not reason or "crashed" in reason:  # a refusal without a reason is as bad
        return "crashed"
    return "hung" if "hung" in reason else "refused"


def read_table(folder: Path) -> None:
    """Read it as corrections."""
    read_corrections(next(folder.glob("table.*")))


def read_listing(folder: Path) -> None:
    """Read it as a listing of a collection."""
    list(tables.read_rows(next(folder.glob("table.*")), {"image_id": "image_id", "path": "path"}))


def read_dwca(folder: Path) -> None:
    """Read every row of the core."""
    with open_archive(folder / "archive.zip") as archive:
        for table in (archive.core, *archive.extensions):
            for _ in archive.rows(table, ("family",)):
                pass


def read_archive(folder: Path) -> None:
    """Unpack it."""
    list(unpack(folder / "archive", folder / "unpacked", 10**6))


def read_config(folder: Path) -> None:
    """Lay it over the paper's config."""
    read_files([ROOT / "config/config.yaml", folder / "config.yaml"])


def read_model(folder: Path) -> None:
    """Open it and read a sheet."""
    from sheetlens.predict.classifier import Classifier

    classifier = Classifier(folder)
    classifier.read(np.zeros((1, 3, SIZE, SIZE), np.uint8))
    classifier.threshold(0.1)


def write_odd_archive(folder: Path, random: np.random.Generator) -> None:
    """A sound archive in odd dress, and beside it what is in it."""
    path, records, pictures = build(folder, str(random.choice(list(SHAPES))), random)
    files.write_json(folder / "held.json", {"path": path.as_posix(), "held": [records, pictures]})


def read_odd_archive(folder: Path) -> None:
    """Read all its rows; say which are lost, and which lines are in no account."""
    made = files.read_json(folder / "held.json")
    with open_archive(Path(made["path"])) as archive:
        for rows, table in zip(made["held"], (archive.core, archive.media[0]), strict=True):
            terms = [term for term in rows[0] if term != "id"]
            found = [{"id": key, **row} for key, row in archive.rows(table, terms)]
            compare(sorted(plain(found), key=lambda row: int(row["id"])), plain(rows))
        for location, notes in archive.notes.items():
            if notes.lines != notes.rows + notes.continued + notes.empty:
                raise LostError(f"lines of {location} that are neither rows nor parts of one")


def write_odd_table(folder: Path, random: np.random.Generator) -> None:
    """A sound table in odd dress, and beside it what is in it."""
    path, rows = build_table(folder, str(random.choice(list(TABLES))), random)
    files.write_json(folder / "held.json", {"path": path.as_posix(), "held": rows})


def read_odd_table(folder: Path) -> None:
    """Read all its rows; say which are lost."""
    made = files.read_json(folder / "held.json")
    columns = {term: term for term in made["held"][0]}
    compare(plain(list(tables.read_rows(Path(made["path"]), columns))), plain(made["held"]))


def compare(found: list[dict[str, str]], held: list[dict[str, str]]) -> None:
    """Raise LostError where rows or cells are missing, or are others."""
    if found != held:
        same = sum(one in held for one in found)
        raise LostError(f"{len(held)} rows were held, {len(found)} read, {same} of them as they stand")


Step = Callable[..., None]
KINDS: dict[str, tuple[Step, Step]] = {  # what is broken -> how it is made, how it is read
    "tables of corrections": (write_table, read_table),
    "listings": (write_table, read_listing),
    "Darwin Core Archives": (write_dwca, read_dwca),
    "archives in odd dress": (write_odd_archive, read_odd_archive),
    "tables in odd dress": (write_odd_table, read_odd_table),
    "archives of pictures": (write_archive, read_archive),
    "configs": (write_config, read_config),
    "models": (write_model, read_model),
}


def attempt(kind: str, number: int, seed: int) -> tuple[str, str]:
    """Make one broken file of a kind and read it: the outcome, and what was said."""
    make, read = KINDS[kind]
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), np.random.default_rng([seed, number, len(kind)]))
        try:
            read(Path(name))
        except UserError as error:
            whole = kind.endswith("in odd dress")  # nothing is wrong with those
            return ("crashed" if not str(error).strip() else "lost" if whole else "refused"), str(error)
        except LostError as error:
            return "lost", str(error)
        except Exception as error:
            return "crashed", f"{type(error).__name__}: {error}"
    return "read", ""


def _limit() -> None:
    logging.disable()  # what is odd about broken files
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def try_others(number: int, seed: int, kinds: list[str]) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes by kind, and what went wrong."""
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    faults = []
    pool = _pool()
    for kind in kinds:
        for n in range(number):
            try:
                outcome, said = pool.submit(attempt, kind, n, seed).result(SECONDS)
            except (BrokenProcessPool, TimeoutError) as error:
                outcome = "crashed" if isinstance(error, BrokenProcessPool) else "hung"
                said = "the process ended" if outcome == "crashed" else f"no end in {SECONDS} seconds"
                _end(pool)
                pool = _pool()
            outcomes[kind][outcome] += 1
            if outcome in FAULTS:
                faults.append(f"{kind} {n}: {said[:300]}")
    _end(pool)
    return outcomes, faults


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_limit)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(cancel_futures=True)


def main() -> None:
    """Try all, print a table, the faults and the JSON object; the exit code tells whether there were faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--others", type=int, default=OTHERS, help="files of each other kind")
    parser.add_argument("--odd", type=int, default=ODD, help="odd pictures and servers of each kind")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, {len(real_pictures())} real pictures", flush=True)
    outcomes, faults, longest = try_pictures(chosen.pictures, chosen.seed)
    more, others = try_others(chosen.others, chosen.seed, chosen.kinds)
    outcomes, faults = outcomes | more, faults + others
    for attempt_odd in (try_odd_pictures, try_odd_servers):
        more, others = attempt_odd(chosen.odd, chosen.seed)
        outcomes, faults = outcomes | more, faults + others
    total: Counter[str] = sum(outcomes.values(), Counter())
    print(f"{'':36}{'tried':>8}" + "".join(f"{name:>10}" for name in OUTCOMES))
    for what, counts in (*outcomes.items(), ("all", total)):
        print(f"{what:36}{counts.total():8,}" + "".join(f"{counts[name]:10,}" for name in OUTCOMES))
    print("\n".join(faults))
    facts = {"benchmark": "inputs", "tried": total.total()} | {name: total[name] for name in OUTCOMES}
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(json.dumps(facts | {"longest_picture_seconds": round(longest, 2), "gigabytes": round(gigabytes, 2)}))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
