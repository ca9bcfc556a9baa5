"""The leaderboard: chosen on validation, tested in pairs on the test part, with what each network costs."""

import numpy as np
import pandas as pd
import pytest
import torch

from sheetlens.common import files
from sheetlens.config import Network
from sheetlens.explore.costs import measure_costs
from sheetlens.explore.leaderboard import as_table, rank_networks
from sheetlens.figure.costs import draw_costs
from sheetlens.statistics.comparisons import mcnemar
from sheetlens.statistics.intervals import wilson_interval

SHARES = {  # right of 40 sheets in validation and test, for each seed: the best of validation is not that of test
    "table1": ([30, 32], [30, 30]),
    "wide": ([36, 38], [31, 33]),
    "deep": ([30, 32], [38, 38]),
}
LOSSES = {"table1": 0.5, "wide": 0.6, "deep": 0.4}
TIMES = "times/{network}-{seed}.tsv"


def write_model(folder, network, seed, right):
    """A model folder with as many right answers; the first sheets are those named rightly."""
    rows = []
    for part, count in zip(("validation", "test"), right, strict=True):
        for number in range(40):
            label, wrong = ("a", "b") if number % 2 else ("b", "a")
            answer = label if number < count else wrong
            rows.append((f"{part} {number:02}", part, label, float(answer == "a"), float(answer == "b")))
    columns = ["image_id", "part", "label", "probability_a", "probability_b"]
    files.write_table(folder / "predictions.parquet", pd.DataFrame(rows, columns=columns))
    facts = {"network": network, "seed": seed, "classes": ["a", "b"], "validation_loss": LOSSES[network]}
    if network == "deep":
        facts["restarts"] = [{"seed": seed, "epoch": 3, "reason": "the loss diverged, to 30 in epoch 3"}] * seed
    files.write_json(folder / "model.json", facts)
    return folder / "predictions.parquet"


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predictions, costs = [], []
    for place, (network, shares) in enumerate(SHARES.items(), start=1):
        for seed, right in enumerate(zip(*shares, strict=True), start=1):
            predictions.append(write_model(tmp_path / network / str(seed), network, seed, right))
        cost = {"network": network, "definition": None, "gpu_memory": None, "parameters": 1000 * place}
        cost |= {"trained": 1000, "flops": 10**9 * place, "device": "cpu", "precision": "float32"}
        costs.append(tmp_path / f"{network}.json")
        files.write_json(costs[-1], cost)
    (tmp_path / "times").mkdir()
    for seed, seconds in ((1, 60.0), (2, 80.0)):
        (tmp_path / TIMES.format(network="wide", seed=seed)).write_text(f"s\th:m:s\n{seconds}\t0:01:00\n")
    return rank_networks(predictions, costs, "table1", TIMES, 0.95)


def test_the_choice_rests_on_validation_alone(rows):
    assert [row["network"] for row in rows] == ["wide", "deep", "table1"], "of equals the one with the lower loss first"
    wide = rows[0]
    assert wide["validation"]["mean"] == pytest.approx(37 / 40)
    assert wide["validation"]["sd"] == pytest.approx(np.std([36 / 40, 38 / 40], ddof=1))
    assert (wide["test"]["low"], wide["test"]["high"]) == pytest.approx(wilson_interval(32 / 40, 40, 0.95))


def test_each_network_is_tested_against_the_papers_on_the_same_sheets(rows):
    gains = {row["network"]: row["gain"] for row in rows}
    assert gains["table1"] is None
    assert gains["deep"]["gain"] == pytest.approx(8 / 40)
    assert gains["deep"]["low"] > 0 and gains["wide"]["low"] <= gains["wide"]["gain"] == pytest.approx(2 / 40)
    first = mcnemar(np.arange(40) < 38, np.arange(40) < 30)
    assert gains["deep"]["mcnemar"] == [
        {"seed": seed, "only_first": 8, "only_second": 0, "p": first["p"]} for seed in (1, 2)
    ]
    assert gains["deep"]["p"] == pytest.approx(2 * first["p"])
    assert gains["deep"]["p_adjusted"] == pytest.approx(2 * gains["deep"]["p"])
    assert gains["wide"]["p"] == 1


def test_the_table_has_the_costs(rows):
    table = as_table(rows).set_index("network")
    assert table["rank"].tolist() == [1, 2, 3]
    assert table.loc["wide", "seconds"] == 70
    assert table["seconds"].isna().sum() == 2, "trainings whose benchmarks are not here"
    assert table.loc["deep", "flops"] == 3e9
    assert table["restarts"].to_dict() == {"wide": 0, "deep": 3, "table1": 0}
    assert table.loc["deep", "gain_low"] == rows[1]["gain"]["low"]


def test_the_figure_shows_what_was_measured(rows):
    board = {"standard": "table1", "chosen": "wide", "networks": rows}
    figure, table = draw_costs(board)
    assert list(dict.fromkeys(table["cost"])) == ["seconds", "flops", "parameters"]
    assert len(table) == 2 * (1 + 3 + 3)
    deep = table[(table["cost"] == "flops") & (table["network"] == "deep")].set_index("series")
    assert deep["x"].tolist() == [3, 3]
    assert deep["y"].to_dict() == {"test": rows[1]["test"]["mean"], "validation": rows[1]["validation"]["mean"]}
    texts = [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))]
    assert {"wide (chosen)", "deep", "table1 (standard)"} <= set(texts)


def facts(network, definition=None, **changes):
    settings = {"dropout": 0.5, "batch_size": 4, "recipe": {}}
    values = {"network": network, "classes": ["a", "b"], "settings": settings, "device": "cpu", "precision": "float32"}
    return values | ({"definition": definition.facts} if definition else {}) | changes


def test_costs_of_the_papers_network(tmp_path):
    files.write_json(tmp_path / "model.json", facts("table1"))
    costs = measure_costs(tmp_path)
    assert costs["parameters"] == costs["trained"] == 4_150_830
    layers = [(252, 3 * 16 * 25), (122, 16 * 32 * 25), (57, 32 * 64 * 25), (26, 64 * 48 * 9)]
    assert costs["flops"] == 2 * (sum(side**2 * weights for side, weights in layers) + 8112 * 500 + 500 * 2)
    assert costs["gpu_memory"] is None


def test_costs_of_a_frozen_transformer_are_those_of_the_whole(tmp_path):
    weights, costs = {"path": "x", "sha256": "0" * 64}, {}
    for name, more in (("all", {}), ("head", {"weights": weights, "train": "head"})):
        files.write_json(tmp_path / "model.json", facts("vit", Network(backbone="vit_b_16", **more)))
        costs[name] = measure_costs(tmp_path)
    assert costs["head"]["trained"] == 768 * 2 + 2
    assert costs["head"]["flops"] == costs["all"]["flops"] > 40e9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_memory_of_a_training_step_grows_with_the_batch(tmp_path):
    memory = []
    for sheets in (4, 16):
        settings = {"dropout": 0.5, "batch_size": sheets, "recipe": {}, "deterministic": True}
        files.write_json(tmp_path / "model.json", facts("table1", device="cuda", settings=settings))
        memory.append(measure_costs(tmp_path)["gpu_memory"])
    assert 0 < memory[0] < memory[1]
