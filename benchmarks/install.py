"""How long it takes to install the lock: `make .venv/installed` beside pip alone, each with an empty cache.

    python benchmarks/install.py [--rounds 3]

Both get 4 GB from the same registry in the same minutes, so that a network that is slow for one is slow for both; pip
goes first in odd rounds. What is downloaded is thrown away again: have 20 GB free.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("pyproject.toml", "requirements.lock", "README.md", "envs", "workflow")
LIMIT = 0.6  # of pip's time


def project(folder: Path) -> None:
    """Copy what an installation reads."""
    for name in COPIED:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)


def ours(folder: Path) -> list[list[object]]:
    """The commands of `make .venv/installed` where no uv is on the PATH."""
    return [[sys.executable, "envs/install.py"]]


def pip(folder: Path) -> list[list[object]]:
    """The same packages by pip."""
    install = [folder / ".venv/bin/python", "-m", "pip", "install", "--disable-pip-version-check"]
    return [
        [sys.executable, "-m", "venv", ".venv"],
        [*install, "--require-hashes", "-r", "requirements.lock"],
        [*install, "--quiet", "--no-deps", "--no-build-isolation", "--editable", "."],
    ]


def seconds(commands) -> float:
    """Time one installation from nothing."""
    with tempfile.TemporaryDirectory(dir=ROOT.parent) as name:
        folder = Path(name)
        project(folder)
        caches = {"UV_CACHE_DIR": f"{folder}/uv", "PIP_CACHE_DIR": f"{folder}/pip", "PATH": "/usr/bin:/bin"}
        began = time.perf_counter()
        for command in commands(folder):
            words = [str(word) for word in command]
            subprocess.run(words, cwd=folder, env=os.environ | caches, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return time.perf_counter() - began


def main() -> None:
    """Measure, print a table and the line for RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    times: dict = {ours: [], pip: []}
    for number in range(rounds):
        for method in (pip, ours) if number % 2 == 0 else (ours, pip):
            times[method].append(seconds(method))
            print(f"round {number + 1}: {method.__name__} {times[method][-1]:.0f} s", flush=True)
    mine, peer = (statistics.median(times[method]) for method in (ours, pip))
    print(f"\n| | seconds |\n|---|---|\n| make .venv/installed | {mine:.0f} |\n| pip | {peer:.0f} |")
    result = {"benchmark": "install", "seconds": round(mine), "pip_seconds": round(peer)}
    print(json.dumps(result | {"ratio": round(mine / peer, 2), "limit": LIMIT, "rounds": rounds}))


if __name__ == "__main__":
    main()
