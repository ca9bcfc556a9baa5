import os
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sheetlens.cli import cli
from tests.conftest import ROOT, sheetlens


@pytest.fixture
def photographs(tmp_path):
    random = np.random.default_rng(0)
    for label in ("fern", "moss"):
        for number in range(10):
            path = tmp_path / "photos" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (300, 200, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def fetch(photographs, listing):
    settings = f'{{"path": "{photographs}"}}'
    return sheetlens("fetch", "folder", "--settings", settings, "--originals", "none", "--listing", listing)


def prepare(listing, folder, shard, **options):
    """Both steps; the result is that of the first that fails."""
    first = sheetlens("prepare-shard", "--settings", "{}", "--listing", listing, "--shard", shard, **options)
    if first.returncode:
        return first
    return sheetlens(
        "prepare-pack", "--settings", "{}", "--listing", listing, "--pixels", folder / "pixels.npy",
        "--index", folder / "index.parquet", "--manifest", folder / "manifest.parquet", shard, **options,
    )  # fmt: skip


def test_a_fault_is_one_sentence_and_leaves_nothing(tmp_path):
    result = fetch(tmp_path / "nowhere", tmp_path / "listing.parquet")
    assert result.returncode == 1
    assert result.stderr.startswith("sheetlens fetch: error: the folder")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_settings_that_are_none_are_a_usage_error(tmp_path):
    result = sheetlens("fetch", "gbif", "--settings", "{", "--originals", "x", "--listing", tmp_path / "l.parquet")
    assert result.returncode == 2
    assert "Invalid value for --settings" in result.stderr


def test_dry_run_explains_the_paper_without_a_network():
    result = sheetlens("fetch", "--dry-run", cwd=ROOT)
    assert result.returncode == 0, result.stderr
    for fact in (
        "stained: article 5423083, file 9355285", "7,776", "7,777", "size     413 MB", "only the service can tell",
        "host api.figshare.com: at most 1 requests a second, 1 at a time",
        "lycophytes: Clubmoss or spikemoss, from gbif",
    ):  # fmt: skip
        assert fact in result.stdout, fact


def test_a_command_loads_only_what_every_environment_has():
    code = "import sys, sheetlens.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"scipy", "sklearn", "torch", "matplotlib"} & set(loaded)


def test_help_of_every_command():
    commands = [line.split()[0] for line in sheetlens("--help").stdout.split("Commands:")[1].splitlines() if line]
    assert {
        "fetch",
        "prepare-shard",
        "prepare-pack",
        "split",
        "train",
        "train-predict",
        "predict",
        "evaluate",
        "draw",
        "report",
    } <= set(commands)
    for command in commands:
        result = CliRunner().invoke(cli, [command, "--help"])
        assert result.exit_code == 0
        for option in re.split(r"^  (?=-)", result.output.split("Options:")[1], flags=re.MULTILINE)[1:]:
            assert len(option.split()) > 2, f"{command}: {option} is not explained"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk(photographs, tmp_path, small_disk):
    assert fetch(photographs, tmp_path / "listing.parquet").returncode == 0
    for shard in (small_disk / "shard", tmp_path / "shard"):
        result = prepare(tmp_path / "listing.parquet", small_disk, shard)
        assert result.returncode == 1
        assert "the disk is full" in result.stderr and "make room and run the same command again" in result.stderr
        assert not [path for path in small_disk.iterdir() if path.suffix != ".part"]
        for path in small_disk.iterdir():
            path.unlink()
    assert prepare(tmp_path / "listing.parquet", tmp_path / "set", tmp_path / "shard").returncode == 0


def test_a_job_ends_with_the_workflow_that_started_it():
    """A killed Snakemake leaves its jobs without a parent; they must not go on working."""
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    script = "from sheetlens.cli import _stop_with_workflow as stop; import time; stop(); time.sleep(60)"
    job = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"SHEETLENS_WORKFLOW_PID": str(parent.pid)})
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(3)
    parent.kill()
    parent.wait()
    assert job.wait(10) == -15
