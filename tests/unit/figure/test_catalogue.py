"""Every figure of the table is drawn from a finished study, is the same again, and stands on a page."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sheetlens.audit.finding import Finding
from sheetlens.figure.catalogue import FIGURES, modules, names
from sheetlens.figure.style import save_figure, write_figures
from tests.unit.finished_study import MadeUp, make_study

ENDINGS = ("svg", "png", "pdf", "csv")
ROW = {"accuracy": 0.6, "gain": 0.3, "low": 0.2, "high": 0.4, "area": 0.6, "p_adjusted": 0.001}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A finished study with what its audits found."""
    results = tmp_path_factory.mktemp("project") / "results"
    evaluation = make_study(results.parent, MadeUp(sheets=40, seeds=(1, 2)))
    audits = results / "mercury/audits"
    audits.mkdir()
    numbers = {"network": 0.9, "baselines": {"majority": ROW, "border strip": ROW | {"p_adjusted": 0.9}}}
    Finding("shortcuts", "ok", "", "", numbers, []).write(audits / "shortcuts-random.json")
    Finding("setup", "ok", "", "", {"level": 0.01}, []).write(audits / "setup.json")
    model = json.loads(evaluation.read_text())["models"][0]["directory"]
    tested = pd.read_parquet(results.parent / model / "predictions.parquet").query("part == 'test'").head(4)
    maps = tested[["image_id", "label"]].assign(map=[np.full(64, 1 / 64)] * 4)
    maps.to_parquet(audits / "maps.parquet", index=False)
    shares = tested[["image_id", "label"]].assign(answer=tested["label"])
    for what in ("area", "evidence"):
        shares = shares.assign(**{f"{what} plant": 0.4, f"{what} paper": 0.6})
    shares.to_csv(audits / "saliency.csv", index=False)
    return results


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_with_its_table_and_is_the_same_again(results, name, tmp_path):
    evaluations = sorted((results / "mercury/evaluation").glob("*.json"))
    write_figures({name: FIGURES[name].load()}, evaluations, tmp_path, 50, results)
    assert {path.name for path in tmp_path.iterdir()} == {f"figure-{name}.{ending}" for ending in ENDINGS}
    save_figure(*FIGURES[name].load()(evaluations, results), tmp_path / "again", formats=("svg",))
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / f"figure-{name}.svg").read_bytes()
    table = pd.read_csv(tmp_path / f"figure-{name}.csv")
    assert len(table) or name == "mistakes"


def test_every_job_draws_something_and_every_caption_is_a_sentence():
    drawn = [name for group in ("paper", "uncertainty", "audits") for name in names(group)]
    assert sorted(drawn) == sorted(FIGURES)
    assert modules("audits") == ["figure.audits"]
    assert all(drawing.caption.endswith(".") for drawing in FIGURES.values())
