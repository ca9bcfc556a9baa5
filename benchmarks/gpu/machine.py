"""What the run is on: hardware, versions, and whether everything that the parts need is installed."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmarks.gpu.kit import BUILT_TOGETHER, NEEDED, THERE
from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import REHEARSAL, Scale
from benchmarks.gpu.whole import bandwidth

DRIVER = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
COMMIT = ["git", "rev-parse", "--short", "HEAD"]


def measure(scale: Scale) -> Iterator[Facts]:
    """Facts of the machine; ends with a sentence if a package is missing."""
    gpu = torch.cuda.is_available()
    found = {name: installed(name) for name in (*BUILT_TOGETHER, *THERE, *NEEDED)}
    yield {
        "rehearsal": scale is REHEARSAL,
        "date": time.strftime("%Y-%m-%d"),
        "commit": said_by(COMMIT),
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "gpus": torch.cuda.device_count(),
        "gpu_gigabytes": torch.cuda.get_device_properties(0).total_memory / 1e9 if gpu else None,
        "driver": said_by(DRIVER) if gpu else None,
        "copy_gigabytes_per_second": bandwidth("cuda" if gpu else "cpu") / 1e9,
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "versions": found,
    }
    missing = [name for name, number in found.items() if not number]
    if missing:
        raise SystemExit(
            f"not installed here: {', '.join(missing)}: bring them with 'make gpu-kit' (docs/contributing/gpu.md)"
        )


def installed(name: str) -> str | None:
    """The version of a package, None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def said_by(command: list[str]) -> str | None:
    """The first line that a program prints, None where it is missing or fails."""
    if not shutil.which(command[0]):
        return None
    run = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    return run.stdout.strip().split("\n")[0] or None
