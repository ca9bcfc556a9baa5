import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.services.stand_in import StandIn

ROOT = Path(__file__).parents[1]
# What tests start by name is this environment's, also where it was not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
# Several tests run at a time: one thread each, and none that keeps a core busy while it waits.
for name, value in (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "passive")):
    os.environ.setdefault(name, value)
# A shell starts what runs in the background with interrupts ignored, and what that starts inherits it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their argument and place: packed ones hold the time, and workers must agree on names."""
    return argname if isinstance(val, bytes) else None


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


TINY = {
    "datasets": {"mercury": {"demo": {"sheets": 24}}, "lycophytes": {"demo": {"sheets": 24}}},
    "split": {"seeds": [1, 2]},
    "train": {"epochs": 2, "batch_size": 8},
    "figures": {"dots_per_inch": 50},
}

SECRETS = {
    "SI_API_KEY": "s3cret-k3y",
    "GBIF_USER": "b0tanist",
    "GBIF_PWD": "s3cret-w0rd",
    "GBIF_EMAIL": "b0t@herbari.um",
}


def tiny_demo(folder: Path) -> list[object]:
    """Arguments that run the whole demo on few sheets."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return ["--cores", 2, "--configfile", ROOT / "config/demo.yaml", folder / "tiny.yaml"]


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder with one finished run of the tiny demo, in whose surroundings secrets stand."""
    folder = tmp_path_factory.mktemp("finished")
    result = snakemake(folder, *tiny_demo(folder), env=os.environ | SECRETS)
    assert result.returncode == 0, result.stderr
    assert "The report is results/report.html" in result.stderr
    return folder
