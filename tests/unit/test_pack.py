import hashlib

import numpy as np
import pandas as pd
import pytest

from sheetlens import files
from sheetlens.errors import UserError
from sheetlens.fetch import listing
from sheetlens.images import read_sheet
from sheetlens.pack import open_pack, pack
from tests.unit.test_images import encode, sheet


def make_listing(folder, sheets):
    records = []
    for name, data in sheets.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        records.append(
            {
                "image_id": name,
                "specimen_id": path.stem,
                "label": name.split("/")[0],
                "path": str(path),
                "bytes": len(data),
                "sha256": files.sha256(path),
            }
        )
    return listing(records)


@pytest.fixture
def originals(tmp_path):
    sheets = {f"{label}/{n}.jpg": encode(sheet(300 + n, 400), "JPEG") for label in "ab" for n in range(40)}
    sheets["a/5.jpg"] = b"<html>Request Rejected</html>"
    sheets["b/7.jpg"] = sheets["b/7.jpg"][:-500]
    return make_listing(tmp_path / "originals", sheets)


def packed(listing, folder, **options):
    paths = [folder / name for name in ("pixels.npy", "index.parquet", "manifest.parquet")]
    pack(listing, *paths, **options)
    return paths


def test_pack_holds_the_accepted_sheets_in_order(originals, tmp_path):
    pixels, index, manifest = packed(originals, tmp_path)
    table = files.read_table(index)
    images = open_pack(pixels)
    assert images.shape == (78, 3, 256, 256)
    assert table["image_id"].tolist() == sorted(set(originals["image_id"]) - {"a/5.jpg", "b/7.jpg"})
    for row in (0, 40, 77):
        expected = read_sheet(open(originals.set_index("image_id")["path"][table["image_id"][row]], "rb").read())
        np.testing.assert_array_equal(images[row], expected.pixels)
        assert table["pixels_sha256"][row] == hashlib.sha256(images[row].tobytes()).hexdigest()
    refused = files.read_table(manifest).query("status == 'refused'").set_index("image_id")["reason"]
    assert refused["a/5.jpg"] == "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture, but a web page"
    assert "truncated" in refused["b/7.jpg"]
    assert len(files.read_table(manifest)) == 80


def test_any_number_of_workers_gives_the_same_bytes(originals, tmp_path):
    one, many = (packed(originals, tmp_path / str(n), workers=n) for n in (1, 7))
    assert [files.sha256(path) for path in one] == [files.sha256(path) for path in many]


def test_a_file_that_changes_under_way_is_refused(originals, tmp_path):
    open(originals["path"][0], "ab").write(b"more")
    _, _, manifest = packed(originals, tmp_path)
    assert "changed after it was listed" in files.read_table(manifest)["reason"][0]


def test_one_usable_class_is_not_enough(tmp_path):
    sheets = {"a/1.png": encode(sheet(300, 400)), "b/1.png": b"nothing"}
    with pytest.raises(UserError, match="two classes with usable sheets are needed, found a: 1, b: 0"):
        packed(make_listing(tmp_path / "originals", sheets), tmp_path / "set")
    assert not list((tmp_path / "set").iterdir())


def test_listing_knows_every_column():
    assert pd.isna(listing([{"image_id": "x"}])).sum().sum() == 0
