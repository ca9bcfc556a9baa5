"""A newcomer's path in a clean environment, then a look at what came out: minutes, so behind the marker."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sheetlens.common.files import read_json, read_table
from sheetlens.config import DemoSource
from sheetlens.fetch.sources import demo
from sheetlens.prepare.image_set import open_image_set
from tests.conftest import ROOT

pytestmark = pytest.mark.long
STUDIES = (("mercury", "table1"), ("lycophytes", "table2"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """375 real sheets of Piperaceae in two classes, and a file that is none; drawn ones where these are not at hand."""
    if "SHEETLENS_REAL_DATA" in os.environ:
        return Path(os.environ["SHEETLENS_REAL_DATA"]) / "piperaceae"
    folder = tmp_path_factory.mktemp("photographs")
    demo.fetch(DemoSource(task="stain", sheets=80, seed=5), folder, 2)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory, photographs):
    """The clone in which the whole path was walked, with a home that was empty."""
    folder = tmp_path_factory.mktemp("newcomer")
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    cache = os.environ.get("PIP_CACHE_DIR", Path.home() / ".cache/pip")  # spares the second download of the packages
    surroundings = {"PATH": path, "HOME": str(folder / "home"), "PIP_CACHE_DIR": str(cache), "LANG": "C.UTF-8"}
    (folder / "home").mkdir()
    command = [ROOT / "tests/newcomer.sh", folder, photographs]
    result = subprocess.run(command, env=surroundings, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "The report is results/report.html" in result.stderr
    assert "The whole path is walked" in result.stdout
    return folder / "sheetlens"


@pytest.fixture(scope="module")
def results(clone):
    return clone / "results"


def evaluation(results, dataset, network):
    return read_json(results / f"{dataset}/evaluation/{network}-random.json")


@pytest.mark.parametrize(("dataset", "network"), STUDIES)
def test_the_demo_is_learnt_and_rejection_has_something_to_do(results, dataset, network):
    values = evaluation(results, dataset, network)
    assert 0.85 <= values["accuracy"]["mean"] <= 0.98
    assert values["kept_accuracy"]["mean"] > values["accuracy"]["mean"]


@pytest.mark.parametrize(("dataset", "network"), STUDIES)
def test_colour_alone_does_not_tell(results, dataset, network):
    """A logistic regression on the colour histogram at 32 pixels, on the same splits as the network."""
    pixels = open_image_set(results / dataset / "images/pixels.npy")
    index = read_table(results / dataset / "images/index.parquet")
    small = np.asarray(pixels).reshape(-1, 3, 32, 8, 32, 8).mean(axis=(3, 5))
    edges = np.linspace(0, 256, 9)
    histograms = np.stack([np.concatenate([np.histogram(band, edges)[0] for band in sheet]) for sheet in small])
    values = evaluation(results, dataset, network)
    gaps = []
    for model in values["models"]:
        split = read_table(results / dataset / f"splits/random-{model['seed']}.tsv").set_index("image_id")["part"]
        part = split.reindex(index["image_id"]).to_numpy()
        train, test = part != "test", part == "test"
        colour = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        colour.fit(histograms[train], index["label"][train])
        gaps.append(model["accuracy"] - colour.score(histograms[test], index["label"][test]))
    assert np.mean(gaps) >= 0.08


def test_real_sheets_in_a_folder(real_data, results):
    """Two classes: far better than always naming the larger one."""
    values = evaluation(results, "own", "features")
    assert values["classes"] == ["not_piper", "piper"]
    assert values["accuracy"]["low"] > values["majority"]
    manifest = read_table(results / "own/manifest.parquet")
    assert manifest["status"].value_counts().to_dict() == {"ok": 375, "refused": 1}
    assert (manifest.query("status == 'refused'")["image_id"] == "SOURCES.tsv").all()
    assert "SOURCES.tsv" in (results / "report.html").read_text()


def test_each_photograph_has_an_answer_and_the_review_page_shows(clone, photographs):
    answers = read_table(clone / "answers/predictions.parquet")
    assert len(answers) == sum(path.is_file() for path in photographs.rglob("*"))
    assert (answers["reason"].ne("") | answers["decision"].isin(["review", ""]).eq(False)).all()
    assert "<html" in (clone / "answers/review.html").read_text()
