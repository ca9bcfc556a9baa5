"""The demo sheets: what is written, what is said about it, and that both stay the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sheetlens.demo import defects, write_sheets
from sheetlens.demo.camera import photograph
from sheetlens.demo.collection import CLASSES, SETUPS, barcode, describe
from sheetlens.demo.stains import stained_paper

SHEETS = 16
COLUMNS = {
    "file", "label", "true_label", "family", "stained", "severity", "stain_left", "stain_top",
    "stain_right", "stain_bottom", "barcode", "collector", "collector_number", "date", "cabinet", "setup",
    "defect", "defect_of",
}  # fmt: skip
BROKEN = ["truncated", "not an image"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, list[tuple[int, int]]]:
    """A folder of a few stain sheets, its truth, and what the progress function was told."""
    folder = tmp_path_factory.mktemp("demo")
    told: list[tuple[int, int]] = []
    truth = write_sheets(folder, "stain", SHEETS, 1, False, 2, lambda done, total: told.append((done, total)))
    return folder, truth, told


def test_truth_has_one_row_for_each_file(demo: tuple[Path, pd.DataFrame, list[tuple[int, int]]]) -> None:
    folder, truth, told = demo
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert truth["file"].tolist() == files
    assert set(truth.columns) == COLUMNS
    assert told == [(done + 1, SHEETS) for done in range(SHEETS)]
    assert truth["label"].value_counts().to_dict() == {"stained": SHEETS // 2, "unstained": SHEETS // 2}
    assert (truth["file"] == truth["label"] + "/" + truth["barcode"] + ".jpg").all()
    assert truth["barcode"].is_unique and truth["barcode"].str.fullmatch(r"\d{8}").all()


def test_pictures_look_like_sheets(demo: tuple[Path, pd.DataFrame, list[tuple[int, int]]]) -> None:
    folder, truth, _ = demo
    for row in truth[~truth["defect"].isin(BROKEN)].itertuples():
        with Image.open(folder / str(row.file)) as picture:
            assert picture.format == "JPEG" and picture.mode == "RGB"
            assert 900 < picture.width < 1_100 and 1.3 < picture.height / picture.width < 1.65
            if row.stained:
                assert 0 <= row.stain_left < row.stain_right <= picture.width
                assert 0 <= row.stain_top < row.stain_bottom <= picture.height


def test_truth_agrees_with_itself(demo: tuple[Path, pd.DataFrame, list[tuple[int, int]]]) -> None:
    _, truth, _ = demo
    assert ((truth["true_label"] == "stained") == truth["stained"]).all()
    assert ((truth["severity"] > 0) == truth["stained"]).all()
    assert truth.loc[~truth["stained"], "stain_left"].isna().all()
    unplanned = ~truth["defect"].isin(["wrong label", "exact duplicate"])
    assert (truth["label"] == truth["true_label"])[unplanned].all()
    assert (truth["label"] != truth["true_label"])[truth["defect"] == "wrong label"].all()


def test_each_defect_is_planted(demo: tuple[Path, pd.DataFrame, list[tuple[int, int]]]) -> None:
    folder, truth, _ = demo
    planted = truth[truth["defect"] != ""].set_index("defect")
    assert sorted(planted.index) == sorted(
        ["exact duplicate", "near duplicate", "wrong label", "truncated", "not an image"]
    )

    def content(file: str) -> bytes:
        return (folder / file).read_bytes()

    exact, near = planted.loc["exact duplicate"], planted.loc["near duplicate"]
    assert content(str(exact["file"])) == content(str(exact["defect_of"]))
    assert content(str(near["file"])) != content(str(near["defect_of"]))
    assert b"<html>" in content(str(planted.loc["not an image", "file"]))
    with Image.open(folder / str(planted.loc["truncated", "file"])) as picture, pytest.raises(OSError):
        picture.load()


def test_same_bytes_for_any_number_of_workers(
    demo: tuple[Path, pd.DataFrame, list[tuple[int, int]]], tmp_path: Path
) -> None:
    folder, truth, _ = demo
    again = write_sheets(tmp_path, "stain", SHEETS, 1, False, 1)
    pd.testing.assert_frame_equal(truth, again)
    for file in truth["file"]:
        assert (folder / file).read_bytes() == (tmp_path / file).read_bytes()


@pytest.mark.parametrize("sheets", [0, 1, 11, 12, 13, 24, 50, 200, 560, 1_000])
def test_defects_fit_any_number_of_sheets(sheets: int) -> None:
    slots = defects.plan("family", 3, sheets)
    assert [slot.number for slot in slots] == list(range(sheets))
    kinds = pd.Series([slot.defect for slot in slots]).value_counts()
    wanted = 0 if sheets < defects.ROOM else 1 if sheets < 50 else 2
    assert kinds.get("exact duplicate", 0) >= wanted and kinds.get("near duplicate", 0) >= wanted
    assert kinds.get("wrong label", 0) >= max(wanted, sheets // 100)
    twins = [slot for slot in slots if slot.defect in (defects.EXACT, defects.NEAR)]
    assert len({slot.sheet for slot in twins}) == len(twins)
    assert all(slots[slot.sheet].defect == "" for slot in twins)


@pytest.mark.parametrize("task", CLASSES)
def test_setup_gives_the_class_away_only_when_asked(task: str) -> None:
    for shortcut, low, high in ((False, 0.44, 0.56), (True, 0.86, 0.94)):
        sheets = [describe(task, 5, number, shortcut) for number in range(600)]
        share = sum(sheet.setup == SETUPS[sheet.number % 2] for sheet in sheets) / len(sheets)
        assert low < share < high


@pytest.mark.parametrize("task", CLASSES)
def test_families_and_stains_are_crossed(task: str) -> None:
    sheets = [describe(task, 5, number, False) for number in range(400)]
    table = pd.crosstab([sheet.family for sheet in sheets], [sheet.stained for sheet in sheets])
    assert (table > 70).all(axis=None)


def test_a_stain_follows_the_plant_and_other_browning_does_not() -> None:
    paper, plant = np.full((300, 200, 3), 220, np.float32), np.zeros((300, 200), np.float32)
    plant[80:220, 60:70] = 1
    beside = np.zeros((300, 200), bool)
    beside[80:220, 50:80] = True
    contrast: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(12):
        for stained in (True, False):
            colours, box = stained_paper(np.random.default_rng(seed), paper, plant, stained, 0.6)
            contrast[stained].append(float(colours[~beside].mean() - colours[beside].mean()))
            assert (box is not None) == stained
            if box is not None:
                assert box[0] < 65 < box[2] and box[1] < 150 < box[3]
    assert np.mean(contrast[True]) > np.mean(contrast[False]) + 15


def test_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stain, family"):
        write_sheets(tmp_path, "leaf", 4, 1, False, 1)


@pytest.mark.parametrize("seed", range(5))
def test_barcodes_differ_and_neighbours_say_nothing_of_the_class(seed: int) -> None:
    codes = np.array([int(barcode("stain", seed, number)) for number in range(2000)])
    assert len(set(codes)) == 2000
    order = np.argsort(codes)
    alike = (order[1:] % 2 == order[:-1] % 2).mean()
    assert 0.45 < alike < 0.55


def test_a_drop_has_its_box_and_changes_nothing_else() -> None:
    sheet = next(sheet for sheet in (describe("stain", 1, number, False, True) for number in range(9)) if sheet.drop)
    with_drop, without = photograph(sheet), photograph(replace(sheet, drop=False))
    assert with_drop.stain_box is not None
    left, top, right, bottom = with_drop.stain_box
    changed = np.asarray(with_drop.picture).astype(int) != np.asarray(without.picture)
    rows, columns = np.nonzero(changed.any(axis=2))
    assert left <= columns.min() and columns.max() < right and top <= rows.min() and rows.max() < bottom
    share = (right - left) * (bottom - top) / (with_drop.picture.width * with_drop.picture.height)
    assert 0.005 < share < 0.03
    assert not any(describe("stain", 1, number, False, True).drop for number in range(1, 9, 2))
