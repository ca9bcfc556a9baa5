"""Which folders a labelling may write to, and what a refusal leaves in them."""

import asyncio

import pytest
from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.config import LIMITS
from sheetlens.label import server
from sheetlens.label.export import COLUMNS
from sheetlens.label.sheets import Sheets
from sheetlens.review.decisions import NAME, Journal
from tests.browser.runs import write_run

HEADER = ",".join(f'"{name}"' for name in COLUMNS) + "\n"
HAND_MADE = "image_id,label\n0.png,a\n"


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        Image.new("L", (40, 60), 50 * number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def label(monkeypatch, photographs):
    """Label the photographs into a folder, with a server that stops at once."""

    async def stop(app, door, host, port, ready):
        await asyncio.sleep(0)

    monkeypatch.setattr(server, "run_app", stop)
    monkeypatch.setattr(Sheets, "start", lambda sheets: None)
    return lambda folder: server.serve(photographs, folder, ("a", "b"), "127.0.0.1", 8601, LIMITS)


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def decided(image_id="0.png", **more):
    return {
        "id": image_id, "image_id": image_id, "reviewer": "Ada", "decision": "class", "label": "a", "before": "",
        "time": "2026-11-29T10:00:00+00:00", "chosen": {"how": "picked"}, **more,
    }  # fmt: skip


def decide(folder, *entries):
    journal = Journal(folder / NAME)
    journal.append(entries)
    journal.close()


@pytest.mark.parametrize("table", [HAND_MADE, HEADER + '"0.png","a","Ada","","random"\n'])
def test_labels_that_no_decisions_here_made_are_not_written_over(tmp_path, photographs, label, table):
    """Made by hand, or of a labelling whose decisions are gone."""
    (tmp_path / "labels.csv").write_text(table)
    before = content(tmp_path)
    with pytest.raises(UserError, match=r"labels\.csv that no decisions here made.*: move it away, or give another"):
        label(tmp_path)
    assert content(tmp_path) == before and not (tmp_path / "review").exists()


@pytest.mark.parametrize("table", ["", HEADER])
def test_a_labelling_without_a_decision_goes_on(tmp_path, label, table):
    folder = tmp_path / "labels"
    label(folder)
    assert (folder / "labels.csv").read_text() == HEADER
    (folder / "labels.csv").write_text(table)
    label(folder)
    assert (folder / "labels.csv").read_text() == HEADER


def test_a_labelling_with_decisions_goes_on(tmp_path, label):
    label(tmp_path / "labels")
    decide(tmp_path / "labels", decided())
    for _ in range(2):
        label(tmp_path / "labels")
        assert '"0.png","a","Ada"' in (tmp_path / "labels/labels.csv").read_text()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ["predictions.parquet", "manifest.parquet", "images/index.parquet", "list.parquet"])
def test_the_folder_of_another_command_keeps_its_list(tmp_path, label, name, known):
    """With decisions on it, and without; a list alone is that of `explain`, or of a run under way."""
    folder = write_run(tmp_path / "run", 5)
    (folder / "predictions.parquet").unlink()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    if known:
        decide(folder, decided("sheets/000000.jpg"))
    before = content(folder)
    with pytest.raises(UserError, match=rf"another command \(it holds {name}\).*: give another --output"):
        label(folder)
    assert content(folder) == before


def test_a_labelling_beside_photographs_in_images_goes_on(tmp_path, photographs, label):
    photographs.rename(tmp_path / "images")
    photographs.symlink_to(tmp_path / "images")
    label(tmp_path)
    label(tmp_path)
    assert (tmp_path / "labels.csv").read_text() == HEADER


def test_a_refusal_leaves_the_list_of_the_photographs_as_it_was(tmp_path, photographs, label):
    folder = tmp_path / "labels"
    label(folder)
    decide(folder, *(decided(f"{number}.png", bytes=7) for number in range(3)))
    Image.new("L", (9, 9)).save(photographs / "3.png")
    before = content(folder)
    assert folder / "list.parquet" in before
    with pytest.raises(UserError, match="holds the labels of 3 other photographs"):
        label(folder)
    assert content(folder) == before
    for one in folder.glob("sheets.sqlite*"):
        one.unlink()
    before = content(folder)
    with pytest.raises(UserError, match="holds the labels of 3 other photographs"):
        label(folder)
    assert content(folder) == before


def test_the_list_is_no_photograph_where_both_share_a_folder(tmp_path, photographs):
    Sheets(photographs, photographs, "run", LIMITS, []).close()
    sheets = Sheets(photographs, photographs, "run", LIMITS, [])
    assert not [name for name in sheets.row_of if name.startswith(".") or name.endswith(".part")]
    sheets.close()
