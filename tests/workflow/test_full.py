"""The demo as people run it, and real sheets: minutes, so behind the marker."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sheetlens.files import read_json, read_table
from sheetlens.pack import open_pack
from tests.conftest import ROOT, snakemake

pytestmark = pytest.mark.long
STUDIES = (("mercury", "table1"), ("lycophytes", "table2"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    result = snakemake(folder, "--cores", "all", "--configfile", ROOT / "config/demo.yaml")
    assert result.returncode == 0, result.stderr
    return folder / "results"


def evaluation(results, dataset, network):
    return read_json(results / f"{dataset}/evaluation/{network}-random.json")


@pytest.mark.parametrize(("dataset", "network"), STUDIES)
def test_the_demo_is_learnt_and_rejection_has_something_to_do(demo, dataset, network):
    values = evaluation(demo, dataset, network)
    assert 0.85 <= values["accuracy"]["mean"] <= 0.98
    assert values["kept_accuracy"]["mean"] > values["accuracy"]["mean"]


@pytest.mark.parametrize(("dataset", "network"), STUDIES)
def test_colour_alone_does_not_tell(demo, dataset, network):
    """A logistic regression on the colour histogram at 32 pixels, on the same splits as the network."""
    pixels = open_pack(demo / dataset / "images/pixels.npy")
    index = read_table(demo / dataset / "images/index.parquet")
    small = np.asarray(pixels).reshape(-1, 3, 32, 8, 32, 8).mean(axis=(3, 5))
    edges = np.linspace(0, 256, 9)
    histograms = np.stack([np.concatenate([np.histogram(band, edges)[0] for band in sheet]) for sheet in small])
    values = evaluation(demo, dataset, network)
    gaps = []
    for model in values["models"]:
        split = read_table(demo / dataset / f"splits/random-{model['seed']}.tsv").set_index("image_id")["part"]
        part = split.reindex(index["image_id"]).to_numpy()
        train, test = part != "test", part == "test"
        colour = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        colour.fit(histograms[train], index["label"][train])
        gaps.append(model["accuracy"] - colour.score(histograms[test], index["label"][test]))
    assert np.mean(gaps) >= 0.08


def test_real_sheets_in_a_folder(real_data, tmp_path):
    """375 sheets of Piperaceae, two classes: far better than always naming the larger one."""
    path = real_data / "piperaceae"
    config = ("--configfile", ROOT / "config/own.yaml", "--config")
    result = snakemake(tmp_path, "--cores", "all", *config, f'datasets={{"own": {{"folder": {{"path": "{path}"}}}}}}')
    assert result.returncode == 0, result.stderr
    values = evaluation(tmp_path / "results", "own", "table1")
    print(values["accuracy"], values["kept_accuracy"], values["majority"])
    assert values["classes"] == ["not_piper", "piper"]
    assert values["accuracy"]["low"] > values["majority"]
    manifest = read_table(tmp_path / "results/own/manifest.parquet")
    assert manifest["status"].value_counts().to_dict() == {"ok": 375, "refused": 1}
    assert (manifest.query("status == 'refused'")["image_id"] == "SOURCES.tsv").all()
    assert "SOURCES.tsv" in (tmp_path / "results/report.html").read_text()
