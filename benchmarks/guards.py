"""Each guard of SECURITY.md taken out of a copy of the code, one by one: a test must fail for each.

`python -m benchmarks.guards [WORD]` (only those with WORD in their name). In a copy of the package and the tests the
text of a guard (guards.tsv) is replaced by what does not guard, then the tests run that are to notice. Before that,
the same tests pass with nothing taken out. The last line is a JSON object.
"""

import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = "workflow/sheetlens"
LONGEST = 120  # seconds for the tests of a guard that is gone: they may wait for ever


class Guard(NamedTuple):
    """What guards, in which file of the package, its text, what takes its place, and the tests that must notice."""

    name: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]


def read_guards() -> list[Guard]:
    """The guards of guards.tsv. Tests are named by what stands between `test_` and `.py`, or by their path."""
    with Path(__file__).with_suffix(".tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Guard(**row | {"tests": tuple(_path(test) for test in row["tests"].split())}) for row in rows]


def _path(test: str) -> str:
    if "/" in test:
        return test
    (path,) = (ROOT / "tests/unit").rglob(f"test_{test}.py")
    return path.relative_to(ROOT).as_posix()


def copy(folder: Path) -> None:
    """Copy what Git knows of."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S607
    for name in names.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


def passes(folder: Path, tests: tuple[str, ...], longest: float | None = LONGEST) -> bool:
    """Whether the tests pass in the copy; those that never end do not."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    surroundings = os.environ | {"PYTHONPATH": str(folder / "workflow"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, timeout=longest)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    if run.returncode not in (0, 1) or (run.returncode and longest is None):
        raise RuntimeError(run.stdout.decode() + run.stderr.decode())
    return run.returncode == 0


def main() -> None:
    """Take out each guard, print the table and the JSON object."""
    word = sys.argv[1] if sys.argv[1:] else ""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    asked, unnoticed = [guard for guard in read_guards() if word in guard.name], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        tests = tuple(sorted({test for guard in asked for test in guard.tests}))
        passes(folder, tests, None)  # or nothing can be said of a guard that is gone
        for guard in asked:
            path = folder / PACKAGE / guard.file
            whole = path.read_text()
            if guard.text not in whole:
                sys.exit(f"{guard.name}: {guard.file} has no {guard.text!r} any more: look where it is guarded now")
            path.write_text(whole.replace(guard.text, guard.without))
            noticed = not passes(folder, guard.tests)
            path.write_text(whole)
            print(f"{guard.name:40}{'a test fails' if noticed else 'NOTHING NOTICED'}", flush=True)
            unnoticed += [] if noticed else [guard.name]
    print(json.dumps({"benchmark": "guards", "guards": len(asked), "unnoticed": unnoticed}))


if __name__ == "__main__":
    main()
