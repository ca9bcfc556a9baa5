"""The how-to pages, executed line by line in a copy of the project with files such as a reader has."""

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sheetlens.common.files import read_table
from sheetlens.config import DemoSource
from sheetlens.fetch.sources import demo
from tests.conftest import ROOT
from tests.shown_commands import BLOCK, WALKED, commands_of

pytestmark = pytest.mark.long
SERVES = re.compile(r"sheetlens review \S+$")  # until it is stopped
PORT = "8673"
LONG = 900  # seconds for one command


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """A checkout with the reader's photographs, table of cabinets and copies of what other pages would have made."""
    folder = tmp_path_factory.mktemp("pages") / "sheetlens"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for name in ("requirements.lock", "pyproject.toml", "envs/install.py"):
        os.utime(folder / name, (0, 0))  # so that make does not install into the shared environment
    drawn = demo.fetch(DemoSource(task="stain", sheets=60, seed=5), folder / "drawn", 2)
    drawn = drawn[drawn["path"].str.endswith((".jpg", ".png"))]
    for name in ("path/to/folder", "path/to/new/folder", "path/to/collection", "photographs"):
        for row in drawn.itertuples():
            place = folder / name / ("" if name == "photographs" else row.label)
            place.mkdir(parents=True, exist_ok=True)
            source = folder.parent / row.path if not Path(row.path).is_absolute() else Path(row.path)
            (place / f"{row.specimen_id}{source.suffix}").write_bytes(source.read_bytes())
    first = next((folder / "path/to/new/folder").rglob("*.jpg"))
    (folder / "path/to/sheet.jpg").write_bytes(first.read_bytes())
    table = pd.DataFrame({"barcode": drawn["specimen_id"], "treatment": drawn["label"]})
    table["cabinet"] = [f"C{number % 5}" for number in range(len(table))]
    table["collector"] = drawn["recordedBy"].to_numpy()
    table.to_csv(folder / "cabinets.csv", index=False)
    return folder


def written(folder: Path, page: str) -> None:
    """What the page tells its reader to write: its config, and the path of the photographs in a copied one."""
    mine = folder / "config/mine.yaml"
    for language, block in BLOCK.findall((folder / page).read_text()):
        if language == "yaml" and "study: own" in block:
            mine.write_text(block)
            if (folder / "results").exists():
                (folder / "results").rename(folder / "earlier-results")  # as how-to/own-photographs.md says
    if page.endswith("spreadsheet.md"):  # a colleague's, with names of her own
        pd.read_csv(folder / "cabinets.csv", dtype=str).rename(columns=str.capitalize).to_csv(
            folder / "cabinets.csv", index=False
        )
    if page.endswith("own-photographs.md"):
        values = yaml.safe_load((folder / "config/own.yaml").read_text())
        values["datasets"]["own"]["folder"]["path"] = "path/to/folder"
        for name in ("own.yaml", "mine.yaml"):
            (folder / "config" / name).write_text(yaml.safe_dump(values | {"train": {"epochs": 1}}))


def run(folder: Path, words: list[str]) -> None:
    surroundings = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    # The page on hotspots takes a model of mercury stains: here that is the one of the reader's photographs.
    words = [word.replace("results/mercury/models/table1", "results/own/models/features") for word in words]
    if SERVES.fullmatch(shlex.join(words)):
        served(folder, [*words, "--port", PORT], surroundings)
        return
    done = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"


def served(folder: Path, words: list[str], surroundings: dict[str, str]) -> None:
    """Start the command, read its page, stop it."""
    with subprocess.Popen(words, cwd=folder, env=surroundings, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(60):
                time.sleep(1)
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/") as answer:
                        assert b"<html" in answer.read()
                        return
                except OSError:
                    assert server.poll() is None, f"{shlex.join(words)} ended by itself"
            pytest.fail(f"{shlex.join(words)}: the page does not open")
        finally:
            server.terminate()


def test_the_pages_are_walked(reader):
    for page in WALKED:
        written(reader, page)
        for words in commands_of((reader / page).read_text()):
            run(reader, words)
    answers = read_table(reader / "answers/predictions.parquet")
    photographs = [path for path in (reader / "path/to/collection").rglob("*") if path.is_file()]
    assert len(answers) == len(photographs) and answers["probability_stained"].notna().any()
    for name in (
        "exported/model.onnx", "features.parquet", "alike/similar.jpg", "maps/explanations.csv", "page/index.html",
        "config/own-corrections.csv", "hotspots/hotspots.html", "flags.zip", "results/stain/audits.html",
        "earlier-results/own/explore/leaderboard.csv",
    ):  # fmt: skip
        assert (reader / name).is_file(), name
