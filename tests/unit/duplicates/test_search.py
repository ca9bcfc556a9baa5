"""Planted duplicates on drawn sheets, which share their layout and so are not easy to tell apart."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sheetlens.common import files
from sheetlens.config import DemoSource, FolderSource
from sheetlens.demo.defects import encoded, photographed_again
from sheetlens.duplicates.alignment import similarity
from sheetlens.duplicates.search import COLUMNS, find_duplicates
from sheetlens.duplicates.signatures import brightness
from sheetlens.fetch.sources import demo, folder
from sheetlens.prepare.resize import read_sheet
from tests.unit.prepare.test_image_set import packed

KINDS = {"exact duplicate": "exact file", "near duplicate": "near"}


def pack(listing, folder):
    """Write the image set of a listing into a folder."""
    files.write_table(folder / "listing.parquet", listing)
    packed(folder / "listing.parquet", folder, workers=2)


def drawn(place, task, seed, sheets):
    listing = demo.fetch(DemoSource(task=task, sheets=sheets, seed=seed), place / "originals", workers=2)
    pack(listing, place)
    return place


def planted(place):
    truth = files.read_table(place / "originals/truth.parquet").query("defect_of != ''")
    return {
        (*sorted((row.file, row.defect_of)), KINDS[row.defect]) for row in truth.itertuples() if row.defect in KINDS
    }


def found(place):
    pairs = find_duplicates(place / "pixels.npy", place / "index.parquet")
    assert tuple(pairs.columns) == COLUMNS
    assert (pairs["first"] < pairs["second"]).all()
    return set(pairs[["first", "second", "kind"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("sheets"), "family", 1, 40)


def test_every_planted_duplicate_is_found_and_no_other(sheets):
    assert found(sheets) == planted(sheets)


@pytest.mark.parametrize("task", ["stain", "family"])
@pytest.mark.parametrize("seed", [pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.open)])
def test_every_planted_duplicate_is_found_on_other_demos(tmp_path, task, seed):
    place = drawn(tmp_path, task, seed, 200)
    assert len(planted(place)) == 4
    assert found(place) == planted(place)


def test_any_sheet_photographed_again_is_found(sheets):
    """Each sheet gets a twin in a second data set of all; the pairs are exactly those."""
    index = files.read_table(sheets / "index.parquet")
    alike = {name for pair in planted(sheets) for name in pair[:2]}
    index = index[~index["image_id"].isin(alike)].reset_index(drop=True)
    pixels = np.load(sheets / "pixels.npy")[index["row"]]
    random = np.random.default_rng(0)
    twins = []
    for name in index["image_id"]:
        picture = Image.open(sheets / "originals" / name)
        twins.append(read_sheet(encoded(photographed_again(picture, random), int(random.integers(80, 90)))).pixels)
    both = pd.concat([index, index.assign(image_id="twin " + index["image_id"], sha256="t" + index["sha256"])])
    both = both.assign(row=np.arange(len(both)), pixels_sha256=np.arange(len(both)).astype(str))
    folder = sheets / "twins"
    folder.mkdir()
    np.save(folder / "pixels.npy", np.concatenate([pixels, twins]))
    files.write_table(folder / "index.parquet", both.sample(frac=1, random_state=np.random.RandomState(0)))
    assert found(folder) == {(name, f"twin {name}", "near") for name in index["image_id"]}


def test_same_pixels_in_another_file_and_crowds_hang_on_their_first(tmp_path):
    random = np.random.default_rng(0)
    photos = tmp_path / "photos"
    for label, names in {"a": "pqr", "b": "st"}.items():
        (photos / label).mkdir(parents=True)
        for name in names:
            small = Image.fromarray(random.integers(0, 255, (12, 9, 3), dtype=np.uint8))
            small.resize((300, 400)).save(photos / label / f"{name}.png")
    original = (photos / "a/p.png").read_bytes()
    for copy in ("a/p1.png", "a/p2.png", "b/p3.png"):
        (photos / copy).write_bytes(original)
    again = io.BytesIO()
    Image.open(photos / "a/p.png").save(again, "PNG", compress_level=1)
    (photos / "b/z.png").write_bytes(again.getvalue())
    listing = folder.fetch(FolderSource(path=str(photos)))
    pack(listing, tmp_path)
    pairs = find_duplicates(tmp_path / "pixels.npy", tmp_path / "index.parquet")
    assert pairs[["first", "second", "kind", "labels_differ"]].to_numpy().tolist() == [
        ["a/p.png", "a/p1.png", "exact file", False],
        ["a/p.png", "a/p2.png", "exact file", False],
        ["a/p.png", "b/p3.png", "exact file", True],
        ["a/p.png", "b/z.png", "exact pixels", True],
    ]


def bordered(picture):
    """On a dark table, not in its middle."""
    table = Image.new("RGB", (round(1.2 * picture.width), round(1.15 * picture.height)), (30, 30, 30))
    table.paste(picture, (round(0.12 * picture.width), round(0.05 * picture.height)))
    return table


def cropped(share):
    def crop(picture):
        wide, high = round(share * picture.width), round(share * picture.height)
        return picture.crop((wide, high, picture.width - wide, picture.height - high))

    return crop


COPIES = {
    **{f"turned {turn}": lambda picture, turn=turn: picture.rotate(turn, expand=True) for turn in (90, 180, 270)},
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "bordered": bordered,
    "cropped by 5 %": cropped(0.05),
    "cropped by 10 %": cropped(0.1),
}


def test_turned_mirrored_bordered_and_cropped_copies_are_found(sheets):
    """Each kind of copy of sheets of its own, among all others; a few may be missed, none is confused."""
    index = files.read_table(sheets / "index.parquet")
    alike = {name for pair in planted(sheets) for name in pair[:2]}
    index = index[~index["image_id"].isin(alike)].reset_index(drop=True).head(28)
    pixels, copies, expected = np.load(sheets / "pixels.npy")[index["row"]], [], {}
    for number, name in enumerate(index["image_id"]):
        kind = list(COPIES)[number % len(COPIES)]
        copies.append(read_sheet(encoded(COPIES[kind](Image.open(sheets / "originals" / name)), 85)).pixels)
        expected[name, f"twin {name}", "near"] = kind
    both = pd.concat([index, index.assign(image_id="twin " + index["image_id"], sha256="t" + index["sha256"])])
    both = both.assign(row=np.arange(len(both)), pixels_sha256=np.arange(len(both)).astype(str))
    folder = sheets / "copies"
    folder.mkdir()
    np.save(folder / "pixels.npy", np.concatenate([pixels, copies]))
    files.write_table(folder / "index.parquet", both)
    pairs = found(folder)
    assert not pairs - set(expected)
    missed = [kind for pair, kind in expected.items() if pair not in pairs]
    assert len(missed) <= 3 and len(set(missed)) == len(missed), missed


def test_blank_sheets_are_not_similar():
    blank = np.full((256, 256), 200, np.float32)
    assert similarity(blank, blank + np.float32(3)) == 0


def test_a_real_sheet_photographed_twice(real_data, tmp_path):
    """The institute IAN photographed no. 33182 twice, with another chart beside it."""
    listing = folder.fetch(FolderSource(path=str(real_data / "piperaceae")))
    pack(listing, tmp_path)
    stem = "piper/pothomorphe_IAN033182"
    assert found(tmp_path) == {(f"{stem}_1__311.jpg", f"{stem}__310.jpg", "near")}


def test_similarity_sees_through_a_turn_and_another_light(sheets):
    name = files.read_table(sheets / "index.parquet")["image_id"].iloc[0]
    picture = Image.open(sheets / "originals" / name)
    turned = picture.rotate(1.2, Image.Resampling.BICUBIC, translate=(9, -9)).point(lambda level: level * 0.93)
    one, other = (brightness(read_sheet(encoded(each, 85)).pixels) for each in (picture, turned))
    plain = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert similarity(one, other) > max(0.9, plain)
