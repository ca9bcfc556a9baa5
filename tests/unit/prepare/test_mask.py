"""Regions of a sheet are covered, or alone are left."""

import numpy as np
import pytest

from sheetlens.common import files
from sheetlens.config import Images, Limits
from sheetlens.prepare.assemble import assemble
from sheetlens.prepare.mask import GREY, REGIONS, alone, covered, find_regions
from sheetlens.prepare.shards import write_shard
from tests.unit.garden import jpeg, photograph
from tests.unit.prepare.test_image_set import make_listing


@pytest.fixture
def sheet():
    """Paper on a dark table: 20 pixels of it to the left, a plant in the middle, a label in the corner."""
    pixels = np.full((3, 256, 256), 230, np.uint8)
    pixels[:, :, :20] = 30
    pixels[:, 100:150, 100:140] = 90
    pixels[:, 210:250, 180:250] = 160
    return pixels


def test_what_is_covered_is_grey_and_the_rest_is_as_it_was(sheet):
    for region, place in (("border", np.s_[0, :]), ("label", np.s_[220, 200]), ("surround", np.s_[128, 5])):
        where = find_regions(sheet, [region])
        assert where[place].all() and not where[120, 120]
        assert (covered(sheet, [region])[:, where] == GREY).all()
        assert np.array_equal(covered(sheet, [region])[:, ~where], sheet[:, ~where])
        assert np.array_equal(alone(sheet, [region])[:, where], sheet[:, where])
        assert (alone(sheet, [region])[:, ~where] == GREY).all()
    assert np.array_equal(covered(sheet, []), sheet) and find_regions(sheet, ["surround"]).mean() == 20 / 256
    everything = covered(sheet, REGIONS)
    assert (everything == 160).sum() == 0 and (everything == 30).sum() == 0 and (everything == 90).any()


def test_an_image_set_says_what_is_covered_on_it(tmp_path):
    sheets = {f"{name}/{n}.jpg": jpeg(photograph(level, n), tmp_path / "x.jpg")
              for name, level in (("fern", 90), ("moss", 170)) for n in range(2)}  # fmt: skip
    listing = make_listing(tmp_path, sheets)
    write_shard(listing, 0, 1, tmp_path / "shard", "squash", Limits(), workers=1)
    places = [tmp_path / name for name in ("{}.npy", "{}-index.parquet", "{}-manifest.parquet")]
    for name, mask in (("whole", ()), ("masked", Images(mask=("label", "border")).mask)):
        named = [place.with_name(place.name.format(name)) for place in places]
        assemble(listing, [tmp_path / "shard"], "squash", *named, mask=mask)
    whole, masked = (np.load(tmp_path / f"{name}.npy") for name in ("whole", "masked"))
    assert np.array_equal(masked, [covered(sheet, ["label", "border"]) for sheet in whole])
    index, before = (files.read_table(tmp_path / f"{name}-index.parquet") for name in ("masked", "whole"))
    assert set(index["mask"]) == {"label,border"} and "mask" not in before
    assert not set(index["pixels_sha256"]) & set(before["pixels_sha256"])
