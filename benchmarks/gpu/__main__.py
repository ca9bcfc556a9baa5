"""Everything about trainings that only a GPU can show, in one command of at most eight minutes.

`python -m benchmarks.gpu`: the parts of `parts.py` in order of worth, each in a process of its own that may hang or
crash without harm to the others. Each result is a JSON line on standard output and in `--lines`, written at once; in
the end follow the section that RESULTS.md takes and, as the last line, a JSON object. With names of parts only those
and the first are run. `--rehearse` does all of it on little, on the CPU. `--show FILE ...` prints section and object
of earlier lines; a part that is in several files is taken from the last. docs/contributing/gpu.md tells how to use it.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import IO

from benchmarks.gpu.parts import PARTS, SLOWER, TOTAL, Facts, Part
from benchmarks.gpu.running import run_limited
from benchmarks.gpu.table import section, summary

FIRST = PARTS[0].name  # says what the run is on, so it always runs
LEAST = 5  # seconds under which no part is begun


def main() -> None:
    """Run the parts, and end with an error if one failed."""
    asked = arguments()
    if asked.show:
        lines = latest([read_lines(path) for path in asked.show])
    else:
        asked.lines.parent.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and end the part at work
        chosen = {FIRST, *(asked.parts or (part.name for part in PARTS))}
        with asked.lines.open("w") as file:
            lines = run_parts([part for part in PARTS if part.name in chosen], asked, file)
    print(section(lines))
    found = summary(lines)
    print(json.dumps(found))
    if found["failed"]:
        sys.exit(1)


def arguments() -> argparse.Namespace:
    """What to run."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"Run only these: {', '.join(names)}.")
    parser.add_argument("--rehearse", action="store_true", help="Do little of each, without a GPU.")
    parser.add_argument("--lines", type=Path, default=Path("logs/gpu.jsonl"), help="File for the JSON lines.")
    parser.add_argument("--show", type=Path, nargs="+", help="Print what these files of JSON lines say.")
    asked = parser.parse_args()
    if unknown := [name for name in asked.parts if name not in names]:
        parser.error(f"there is no part {unknown[0]}: choose among {', '.join(names)}")
    return asked


def run_parts(parts: list[Part], asked: argparse.Namespace, file: IO[str]) -> list[Facts]:
    """Run parts one after the other; all their lines, with one after each that says its seconds and why it failed."""
    slower, lines, begun = SLOWER if asked.rehearse else 1, list[Facts](), time.monotonic()

    def write(facts: Facts) -> None:
        lines.append(facts)
        text = json.dumps(facts)
        print(text, flush=True)
        print(text, file=file, flush=True)

    for part in parts:
        start = time.monotonic()
        limit = min(part.limit * slower, TOTAL * slower - (start - begun))
        command = [sys.executable, "-m", "benchmarks.gpu.parts", part.name, *(["rehearse"] if asked.rehearse else [])]
        if limit < LEAST:
            why = f"was not begun: the {TOTAL * slower} s for all parts are over"
        else:
            name = part.name
            why = run_limited(command, limit, lambda facts, name=name: write({"part": name} | facts))
        write({"part": part.name, "part_seconds": round(time.monotonic() - start, 1), "failed": why})
        if part.name == FIRST and not asked.rehearse and not all(line.get("gpu", True) for line in lines):
            sys.exit("torch finds no GPU here: run this where one is, or with --rehearse")
    return lines


def read_lines(path: Path) -> list[Facts]:
    """The lines of a file; a last one that was cut off is left out."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def latest(runs: list[list[Facts]]) -> list[Facts]:
    """The lines of several runs, each part from the last run that has it, in the order of the parts."""
    newest = {line["part"]: run for run in runs for line in run}
    return [line for part in PARTS for line in newest.get(part.name, []) if line["part"] == part.name]


if __name__ == "__main__":
    main()
