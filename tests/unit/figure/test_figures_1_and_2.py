"""The figures say what the evaluations say, for any number of classes, and the same bytes each time."""

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sheetlens.figure.figure_1 import draw_sheets
from sheetlens.figure.figure_2 import draw_evaluation
from sheetlens.figure.history import draw_history
from sheetlens.figure.style import save_figure
from tests.unit.finished_study import PAPER, MadeUp, make_study

LYCOPHYTES = MadeUp("lycophytes", "Clubmoss or spikemoss", ("clubmoss", "spikemoss"), network="table2", sureness=3)
THREE = MadeUp("own", "Three & <more> $x$", ("<script>", "be_ta $\\frac$", "gamma"), paper=None)
ENDINGS = ("svg", "png", "pdf", "csv")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def evaluations(root: Path) -> dict[str, Path]:
    return {made_up.dataset: make_study(root, made_up) for made_up in (MadeUp(), LYCOPHYTES, THREE)}


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text")))


def test_figure_2_holds_the_numbers_of_the_evaluation(root, evaluations):
    paths = [evaluations["mercury"], evaluations["lycophytes"]]
    figure, table = draw_evaluation(paths, root / "results")
    assert list(table.columns) == ["panel", "dataset", "series", "x", "y"]
    assert "".join(dict.fromkeys(table["panel"])) == "abcdef"
    for panels, path in zip(("ace", "bdf"), paths, strict=True):
        evaluation = json.loads(path.read_text())
        confusion, shares, rejection = (table[table["panel"] == panel] for panel in panels)
        assert set(pd.concat([confusion, shares, rejection])["dataset"]) == {evaluation["dataset"]}
        assert confusion["y"].tolist() == np.array(evaluation["confusion"]).flatten().tolist()
        assert confusion["series"].tolist() == np.repeat(evaluation["classes"], 2).tolist()
        assert shares.groupby("series")["y"].sum().tolist() == pytest.approx([1, 1])
        mean = rejection[rejection["series"] == "mean"]
        assert mean["y"].tolist() == evaluation["rejection"]["mean"]
        assert mean["x"].tolist() == evaluation["rejection"]["fraction"]
        here = rejection[rejection["series"] == "here"]
        assert here["y"].tolist() == [evaluation["accuracy"]["mean"], evaluation["kept_accuracy"]["mean"]]
        paper = rejection[rejection["series"] == "paper low"]
        assert paper["y"].tolist() == [PAPER["accuracy_low"], PAPER["kept_low"]]
        assert f"accuracy here {100 * evaluation['accuracy']['mean']:.1f} %, paper 90 %" in texts(figure)


def test_distribution_is_of_the_first_class(root, evaluations):
    _, table = draw_evaluation([evaluations["mercury"]], root / "results")
    shares = table[table["panel"] == "b"]
    means = shares.assign(weight=shares["x"] * shares["y"]).groupby("series")["weight"].sum()
    assert means["stained"] > 0.6 > 0.4 > means["unstained"]


def test_one_data_set_and_three_classes(root, evaluations):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, table = draw_evaluation([evaluations["own"]], root / "results")
        figure.canvas.draw()
    assert "".join(dict.fromkeys(table["panel"])) == "abc"
    assert len(table[table["panel"] == "a"]) == 9
    assert "paper" not in set(table["series"])
    assert "Three & <more> $x$" in texts(figure)
    assert "paper" not in texts(figure)


def test_undefined_accuracy_is_left_out(root, evaluations, tmp_path):
    evaluation = json.loads(evaluations["mercury"].read_text())
    evaluation["kept_accuracy"] = None
    evaluation["rejection"]["mean"][50] = None
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(evaluation))
    _, table = draw_evaluation([path], root / "results")
    assert table[table["series"] == "here"]["x"].tolist() == [0]


def test_figure_1_shows_the_typical_right_sheet_in_the_papers_order(root, evaluations):
    paths = [evaluations["mercury"], evaluations["lycophytes"]]
    figure, table = draw_sheets(paths, root / "results")
    assert table["panel"].tolist() == ["a", "b", "c", "d"]
    assert table["class"].tolist() == ["unstained", "stained", "clubmoss", "spikemoss"]
    for row in table.itertuples():
        network = "table1" if row.dataset == "mercury" else "table2"
        model = root / "results" / row.dataset / "models" / network / "random-1"
        tested = pd.read_parquet(model / "predictions.parquet").query("part == 'test'")
        own = tested[tested["label"] == row[3]].set_index("image_id")[f"probability_{row[3]}"]
        right = own[own > 0.5].sort_values()
        assert row.probability == pytest.approx(right.iloc[len(right) // 2])
        assert own[row.image_id] == pytest.approx(row.probability)
    pictures = [axes.images[0].get_array() for axes in figure.axes]
    assert all(picture.shape == (300, 200, 3) for picture in pictures)  # the photograph, not the square
    assert pictures[1].mean() < pictures[0].mean() - 20  # stained sheets are drawn darker


def test_figure_1_without_the_originals_shows_the_packed_picture(tmp_path):
    evaluation = make_study(tmp_path, MadeUp())
    for original in (tmp_path / "originals").rglob("*.jpg"):
        original.unlink()
    figure, _ = draw_sheets([evaluation], tmp_path / "results")
    assert all(axes.images[0].get_array().shape == (256, 256, 3) for axes in figure.axes)


def test_figure_1_turns_a_sheet_upright(tmp_path):
    evaluation = make_study(tmp_path, MadeUp())
    for original in (tmp_path / "originals").rglob("*.jpg"):
        if original.name != "text.jpg":
            exif = Image.Exif()
            exif[0x0112] = 6  # lying on its side
            Image.open(original).copy().save(original, exif=exif)
    figure, _ = draw_sheets([evaluation], tmp_path / "results")
    assert all(axes.images[0].get_array().shape == (200, 300, 3) for axes in figure.axes)


def test_history_keeps_every_epoch_of_every_seed(root, evaluations):
    _, table = draw_history([evaluations["mercury"]], root / "results")
    history = pd.read_csv(root / "results/mercury/models/table1/random-2/history.csv")
    drawn = table[(table["seed"] == 2) & (table["series"] == "validation_accuracy")]
    assert drawn["value"].tolist() == history["validation_accuracy"].tolist()
    assert set(table["seed"]) == {1, 2, 3}


@pytest.mark.parametrize("draw", [draw_sheets, draw_evaluation])
def test_same_figure_same_bytes_and_nothing_else_left(root, evaluations, draw, tmp_path):
    paths = [evaluations["mercury"], evaluations["own"]]
    for name in ("first", "second"):
        save_figure(*draw(paths, root / "results"), tmp_path / name / "figure-1.0")
    written = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert written == sorted(f"figure-1.0.{ending}" for ending in ENDINGS)
    for name in written:
        content = (tmp_path / "first" / name).read_bytes()
        assert content == (tmp_path / "second" / name).read_bytes()
        assert b"CreationDate" not in content
        assert b"<dc:date>" not in content
        assert len(content) < 2_000_000
    ElementTree.parse(tmp_path / "first" / "figure-1.0.svg")  # hostile names leave it well-formed
    assert Image.open(tmp_path / "first" / "figure-1.0.png").width > 1000


def test_csv_holds_the_table_without_loss(root, evaluations, tmp_path):
    figure, table = draw_evaluation([evaluations["mercury"]], root / "results")
    save_figure(figure, table, tmp_path / "figure", formats=())
    read = pd.read_csv(tmp_path / "figure.csv", dtype={"x": str})
    assert read["y"].tolist() == table["y"].astype(float).tolist()


def test_a_style_of_the_user_changes_nothing(root, evaluations, tmp_path):
    import matplotlib

    save_figure(*draw_history([evaluations["own"]], root / "results"), tmp_path / "plain")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none", "savefig.bbox": "tight"}):
        save_figure(*draw_history([evaluations["own"]], root / "results"), tmp_path / "odd")
    for ending in ENDINGS:
        assert (tmp_path / f"plain.{ending}").read_bytes() == (tmp_path / f"odd.{ending}").read_bytes()
