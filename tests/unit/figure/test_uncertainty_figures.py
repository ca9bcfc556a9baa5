"""The added figures say what the evaluations say, and the gap between protocols is what it should be."""

import json
from pathlib import Path

import pytest

from sheetlens.figure.style import save_figure
from sheetlens.figure.uncertainty import draw_reliability, draw_risk, draw_seeds
from sheetlens.statistics.comparisons import protocol_gaps
from tests.unit.finished_study import MadeUp, make_study


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def evaluations(root) -> list[Path]:
    """One data set under two protocols; the second evaluation is the first one made worse."""
    path = make_study(root, MadeUp())
    values = json.loads(path.read_text()) | {"protocol": "grouped"}
    values["accuracy"] = {"mean": 0.5, "sd": 0.1, "low": 0.2, "high": 0.8}
    for model in values["models"]:
        model["accuracy"] -= 0.1 * model["seed"]
    other = path.with_name("table1-grouped.json")
    other.write_text(json.dumps(values))
    return [path, other]


def test_risk_holds_the_numbers_of_the_evaluation(root, evaluations):
    _, table = draw_risk(evaluations, root / "results")
    section = json.loads(evaluations[0].read_text())["selective"]
    mean = table[(table["series"] == "mean") & (table["protocol"] == "random")]
    assert mean["x"].tolist() == section["coverage"]
    for column, key in (("y", "mean"), ("low", "low"), ("high", "high")):
        assert mean[column].tolist() == section["risk"][key]
    assert set(table["panel"]) == {"a", "b"}


def test_reliability_holds_both_tables(root, evaluations):
    _, table = draw_reliability(evaluations, root / "results")
    section = json.loads(evaluations[0].read_text())["calibration"]
    for kind in ("predicted", "scaled"):
        assert table[table["series"] == kind]["y"].tolist() == [row["accuracy"] for row in section[kind]]


def test_the_gap_is_drawn_beside_the_seeds(root, evaluations):
    _, table = draw_seeds(evaluations, root / "results")
    first, second = (json.loads(path.read_text()) for path in evaluations)
    gap = table[table["series"] == "gap"].iloc[0]
    one, other = first["accuracy"], second["accuracy"]
    assert gap["x"] == one["mean"] - other["mean"]
    (numbers,) = protocol_gaps([first, second])
    assert (gap["low"], gap["high"]) == (numbers["low"], numbers["high"])
    assert numbers["sd"] == pytest.approx(0.1)
    assert protocol_gaps([first]) == []
    assert set(table[table["protocol"] == "grouped"]["series"]) == {"seed 1", "seed 2", "seed 3", "mean", "gap"}


@pytest.mark.parametrize("draw", [draw_risk, draw_reliability, draw_seeds])
def test_same_figure_same_bytes(root, evaluations, draw, tmp_path):
    for name in ("first", "second"):
        save_figure(*draw(evaluations[:1], root / "results"), tmp_path / name / "figure")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_three_classes_without_a_paper(tmp_path):
    path = make_study(tmp_path, MadeUp("own", "Three", ("a", "b", "c"), paper=None))
    for draw in (draw_risk, draw_reliability, draw_seeds):
        save_figure(*draw([path], tmp_path / "results"), tmp_path / draw.__name__, formats=("png",))
    assert "paper" not in set(draw_seeds([path], tmp_path / "results")[1]["series"])
