import hashlib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, snakemake

TINY = {
    "datasets": {"mercury": {"demo": {"sheets": 24}}, "lycophytes": {"demo": {"sheets": 24}}},
    "split": {"seeds": [1, 2]},
    "train": {"epochs": 2, "batch_size": 8},
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
    """A folder with one finished run of the tiny demo."""
    folder = tmp_path_factory.mktemp("finished")
    result = snakemake(folder, *tiny_demo(folder))
    assert result.returncode == 0, result.stderr
    assert "The report is results/report.html" in result.stderr
    return folder
