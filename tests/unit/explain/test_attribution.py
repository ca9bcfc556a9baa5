"""The maps find evidence where it was put, and the audit says when it lies beside the plant."""

import numpy as np
import pandas as pd
import pytest
import torch

from sheetlens.audit.regions import audit_regions
from sheetlens.audit.saliency import REGIONS, audit_saliency, find_regions, measure_regions
from sheetlens.common.errors import UserError
from sheetlens.common.files import write_table
from sheetlens.explain.attribution import GRID, evidence_maps, parted, read_tests
from sheetlens.train.networks import TABLES, build_network


@pytest.mark.parametrize("name", TABLES)
def test_evidence_is_found_where_the_last_layers_look(name):
    """Weights of the hidden layer outside the upper left quarter are nothing: no evidence may lie there."""
    torch.manual_seed(1)
    network = build_network(name, 2).eval().requires_grad_(False)
    layers, head = parted(network)
    sheet, others = torch.rand(1, 3, 256, 256), torch.rand(2, 3, 256, 256)
    features = layers(sheet)
    channels, side = features.shape[1], features.shape[2]
    mask = torch.zeros(channels, side, side)
    mask[:, : side // 2, : side // 2] = 1
    network.hidden.weight.mul_(mask.flatten())
    usual = layers(others).mean(0, keepdim=True)
    (found,) = evidence_maps(head, features, usual, torch.tensor([0]))
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert found[: GRID // 2, : GRID // 2].sum() > 0.9
    assert found.min() >= 0
    more = torch.cat([layers(others), features])
    assert np.allclose(evidence_maps(head, more, usual, torch.tensor([1, 0, 0]))[2], found, rtol=1e-3, atol=1e-6)


def test_no_evidence_lies_nowhere_in_particular():
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 13 * 13, 2))
    torch.nn.init.zeros_(head[1].weight)
    same = torch.rand(1, 4, 13, 13)
    assert np.ptp(evidence_maps(head, same, same, torch.tensor([1]))) == 0


def sheet(border: int = 24) -> np.ndarray:
    """Light paper on a dark table, with a dark plant in the upper middle."""
    picture = np.full((3, 256, 256), 60, np.uint8)
    picture[:, border : 256 - border, border : 256 - border] = 225
    picture[:, 64:160, 96:160] = 90
    return picture


def test_regions_are_told_apart():
    regions = find_regions(sheet(), GRID)
    assert regions.shape == (len(REGIONS), GRID, GRID)
    assert np.allclose(regions.sum(axis=0), 1)
    area = dict(zip(REGIONS, regions.mean(axis=(1, 2)), strict=True))
    assert area["plant"] == pytest.approx(96 * 64 / 256**2, abs=0.01)
    assert area["surround"] == pytest.approx(1 - (208 / 256) ** 2, abs=0.05)
    assert regions[REGIONS.index("plant"), 12, 16] == 1
    whole = find_regions(sheet(0), GRID)
    assert whole[REGIONS.index("surround")].max() == 0


def explained(place: tuple[slice, slice], random: float = 0.0) -> pd.DataFrame:
    """Maps of ten sheets with their evidence in one place; `random` is how like them an untrained network's are."""
    rng = np.random.default_rng(2)
    rows = []
    for number in range(10):
        field = 0.2 * rng.random((GRID, GRID))
        field[place] += 1 + rng.random(field[place].shape)
        other = random * field + (1 - random) * rng.random((GRID, GRID))
        flat = {"map": (field / field.sum()).ravel(), "random": (other / other.sum()).ravel()}
        rows.append({"image_id": str(number), "label": "a", "answer": "a", **flat})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("place", "random", "severity", "word"),
    [
        ((slice(8, 20), slice(12, 20)), 0.0, "ok", "does not keep"),
        ((slice(24, 32), slice(17, 32)), 0.0, "alarm", "label corner"),
        ((slice(0, 3), slice(0, 32)), 0.0, "alarm", "surround"),
        ((slice(0, 3), slice(0, 32)), 1.0, "note", "untrained"),
        ((slice(0, 32), slice(0, 32)), 0.0, "ok", "does not keep"),
    ],
)
def test_evidence_beside_the_plant_is_an_alarm(place, random, severity, word):
    table = measure_regions(explained(place, random), np.stack([sheet()] * 10))
    finding = audit_saliency(table, 0.95)
    assert finding.severity == severity
    assert word in finding.sentence
    for region in finding.numbers["regions"].values():
        assert region["low"] <= region["ratio"] <= region["high"]
    assert sum(region["evidence"] for region in finding.numbers["regions"].values()) == pytest.approx(1, abs=1e-3)


PREDICTIONS = pd.DataFrame({"image_id": ["a.jpg"], "label": ["a"], "part": ["test"], "probability_a": [1.0]})
UNREAL = {
    "no part": PREDICTIONS.drop(columns="part"),
    "no label": PREDICTIONS.drop(columns="label"),
    "no image_id": PREDICTIONS.drop(columns="image_id"),
    "numbers for parts": PREDICTIONS.assign(part=1),
    "no test sheets": PREDICTIONS.assign(part="train"),
}


@pytest.mark.parametrize("fault", UNREAL)
def test_predictions_that_lack_something_are_one_sentence(tmp_path, fault):
    """Both who read test sheets again name the table."""
    path, nothing = tmp_path / "predictions.parquet", tmp_path / "nothing"
    write_table(path, UNREAL[fault])
    for read in (lambda: read_tests(path, ["a"]), lambda: audit_regions(nothing, nothing, nothing, path, 0.95)):
        with pytest.raises(UserError, match=r"predictions\.parquet (cannot be read|has no sheets)") as said:
            read()
        assert "\n" not in str(said.value)


@pytest.mark.parametrize("table", [PREDICTIONS.drop(columns="probability_a"), PREDICTIONS.assign(probability_a="x")])
def test_predictions_without_probabilities_are_one_sentence(tmp_path, table):
    write_table(tmp_path / "predictions.parquet", table)
    with pytest.raises(UserError, match=r"predictions\.parquet cannot be read"):
        read_tests(tmp_path / "predictions.parquet", ["a"])


@pytest.mark.parametrize(
    "index", [pd.DataFrame({"image_id": ["a.jpg"]}), pd.DataFrame({"image_id": ["b.jpg"], "row": [0]})]
)
def test_an_index_that_does_not_fit_is_one_sentence(tmp_path, index):
    nothing, path = tmp_path / "nothing", tmp_path / "predictions.parquet"
    write_table(path, PREDICTIONS)
    write_table(tmp_path / "index.parquet", index)
    with pytest.raises(UserError, match=r"index\.parquet cannot be read"):
        audit_regions(nothing, nothing, tmp_path / "index.parquet", path, 0.95)
