import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.stand_in import StandIn

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("SHEETLENS_REAL_DATA")
    if not folder:
        pytest.skip("SHEETLENS_REAL_DATA does not name the folder with real sheets")
    return Path(folder)


@pytest.fixture(scope="session")
def _stand_in():
    with StandIn() as services:
        yield services


@pytest.fixture
def services(_stand_in):
    """The stand-ins for the services, without faults or counts of another test."""
    _stand_in.reset()
    return _stand_in


def sheetlens(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "sheetlens", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def snakemake(directory: Path, *arguments: object, **options) -> subprocess.CompletedProcess:
    """Run the workflow of this checkout in another folder."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile",
        "--workflow-profile", ROOT / "profiles/default", "--directory", directory, *arguments,
    ]  # fmt: skip
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
