"""Several networks tried on a few demo sheets."""

import pandas as pd
import pytest
import yaml

from sheetlens.common.files import read_json
from tests.conftest import ROOT, digests, snakemake

TINY = {
    "run": ["mercury"],
    "datasets": {"mercury": {"demo": {"sheets": 24}}},
    "split": {"seeds": [1, 2]},
    "train": {"epochs": 1, "batch_size": 8},
    "networks": {"narrow": {"groups": [[4, 9], [4, 9], [4, 9]], "hidden": 10}},
    "explore": {"mercury": ["narrow"]},
    "figures": {"dots_per_inch": 50},
}


@pytest.mark.long
def test_an_exploration_ranks_the_networks_and_leaves_the_study_alone(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    study = ("--cores", 2, "--configfile", ROOT / "config/demo.yaml", tmp_path / "tiny.yaml")
    result = snakemake(tmp_path, "explore", *study)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "results/mercury/explore"
    endings = ("svg", "png", "pdf", "csv")
    assert set(digests(folder)) == {
        "leaderboard.csv", "leaderboard.json", "costs/table1.json", "costs/narrow.json",
        *(f"figure-costs.{ending}" for ending in endings),
    }  # fmt: skip
    board, table = read_json(folder / "leaderboard.json"), pd.read_csv(folder / "leaderboard.csv")
    assert set(table["network"]) == {"table1", "narrow"} and board["standard"] == "table1"
    assert board["chosen"] == table["network"][0] == table.sort_values("validation_mean")["network"].iloc[-1]
    assert (table["seconds"] > 0).all(), "Snakemake's benchmarks"
    models = tmp_path / "results/mercury/models"
    assert "definition" in read_json(models / "narrow/random-2/model.json")
    means = [read_json(models / f"narrow/random-{seed}/model.json")["validation_accuracy"] for seed in (1, 2)]
    narrow = table.set_index("network").loc["narrow"]
    assert narrow["validation_mean"] == pytest.approx(sum(means) / 2)
    again = snakemake(tmp_path, "explore", *study)
    assert "Nothing to be done" in again.stdout + again.stderr
    rest = snakemake(tmp_path, "--dry-run", *study)
    assert "train_network" not in rest.stdout + rest.stderr, "the study takes the models that are there"
