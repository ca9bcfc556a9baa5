import hashlib
import io
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Limits
from sheetlens.fetch.listing import listing
from sheetlens.prepare.assemble import REPEATED, assemble
from sheetlens.prepare.image_set import open_image_set
from sheetlens.prepare.resize import read_sheet
from sheetlens.prepare.shards import Shard, write_shard
from tests.unit.prepare.test_resize import encode, sheet


def make_listing(folder, sheets):
    """Write files and the listing of them; return the listing's path."""
    records = []
    for name, data in sheets.items():
        path = folder / "originals" / name
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
    files.write_table(folder / "listing.parquet", listing(records))
    return folder / "listing.parquet"


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """The listing of 40 sheets, two of them unusable, and one file that the listing itself refuses."""
    sheets = {f"{label}/{n:02}.jpg": encode(sheet(300 + n, 400), "JPEG") for label in "ab" for n in range(20)}
    sheets["a/05.jpg"] = b"<html>Request Rejected</html>"
    sheets["b/07.jpg"] = sheets["b/07.jpg"][:-500]
    path = make_listing(tmp_path_factory.mktemp("some"), sheets)
    table = files.read_table(path)
    stray = {"image_id": "SOURCES.tsv", "status": "refused", "reason": "not in a class folder"}
    files.write_table(path, listing([*table.to_dict("records"), stray]))
    return path


def paths(folder):
    return [folder / name for name in ("pixels.npy", "index.parquet", "manifest.parquet")]


def packed(listing, folder, jobs=1, workers=1, limits=Limits(), fit="squash"):  # noqa: B008
    """Both steps of the phase; return the image set's files."""
    shards = [folder / "shards" / str(part) for part in range(jobs)]
    for part, shard in enumerate(shards):
        write_shard(listing, part, jobs, shard, fit, limits, workers)
    assemble(listing, shards, fit, *paths(folder))
    return paths(folder)


def digests(made):
    return [files.sha256(path) for path in made]


@pytest.fixture(scope="module")
def plain(some, tmp_path_factory):
    """The image set of `some`, made in the simplest way."""
    return packed(some, tmp_path_factory.mktemp("plain"))


def test_pack_holds_the_accepted_sheets_in_order(some, plain):
    pixels, index, manifest = plain
    originals = files.read_table(some).set_index("image_id")
    table = files.read_table(index)
    images = open_image_set(pixels)
    assert images.shape == (38, 3, 256, 256)
    assert table["image_id"].tolist() == sorted(set(originals.index) - {"a/05.jpg", "b/07.jpg", "SOURCES.tsv"})
    for row in (0, 20, 37):
        expected = read_sheet(open(originals["path"][table["image_id"][row]], "rb").read())
        np.testing.assert_array_equal(images[row], expected.pixels)
        assert table["pixels_sha256"][row] == hashlib.sha256(images[row].tobytes()).hexdigest()
        assert table["sha256"][row] == originals["sha256"][table["image_id"][row]]
    table = files.read_table(manifest)
    assert table["image_id"].tolist() == originals.index.tolist()
    refused = table.query("status == 'refused'").set_index("image_id")["reason"]
    assert refused.to_dict() == {
        "SOURCES.tsv": "not in a class folder",
        "a/05.jpg": "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture, but a web page",
        "b/07.jpg": "truncated: the file ends before the picture does",
    }


def test_index_holds_the_set_up(plain):
    table = files.read_table(plain[1])
    assert not table.drop(columns="jpeg_quality").isna().any().any()
    assert (table["jpeg_quality"] == 75).all()
    assert set(table["policy"]) == {"reduced-bicubic-3"}
    assert table[["width", "height"]].iloc[3].tolist() == [303, 400]
    assert table.dtypes["box_right"] == "int64"
    assert table.dtypes["jpeg_quality"] == table.dtypes["balance_red"] == "float64"


def test_the_pixels_are_those_of_any_other_machine(tmp_path):
    """Files without compression, since encoders differ from version to version; JPEG is in `test_images`."""
    sheets = {}
    for number in range(12):
        width, height = 200 + 37 * number, 300 + 11 * number
        y, x = np.mgrid[0:height, 0:width].astype(np.uint32)
        values = np.stack([x * 7 + y * 3 + number, x * y // 91, (x * x + 5 * y) // 17], axis=-1) % 251
        buffer = io.BytesIO()
        Image.fromarray(values.astype(np.uint8)).save(buffer, "TIFF")
        sheets[f"{'ab'[number % 2]}/{number:02}.tif"] = buffer.getvalue()
    pixels, *_ = packed(make_listing(tmp_path, sheets), tmp_path)
    assert files.sha256(pixels) == "e4e7c981aa7b2a5b81a5f0f39046e763b4a8314f149595d690d17daf30a8f87f"


@pytest.mark.parametrize(("jobs", "workers"), [(1, 2), (3, 8), (50, 1)])
def test_any_number_of_jobs_and_workers_gives_the_same_bytes(some, plain, tmp_path, jobs, workers):
    if jobs == 50:  # more jobs than originals: some shards are empty
        table = files.read_table(some).iloc[[0, 1, 2, 3, -1, -2]]
        small = tmp_path / "few.parquet"
        files.write_table(small, table.sort_values("image_id"))
        assert digests(packed(small, tmp_path / "many", 50)) == digests(packed(small, tmp_path / "one"))
    else:
        assert digests(packed(some, tmp_path, jobs, workers)) == digests(plain)


# A run that dies as an eighth further row is about to be written.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from sheetlens.config import Limits
from sheetlens.prepare.shards import Shard, write_shard
append, appended = Shard.append, []
def until_killed(shard, reading):
    appended.append(reading)
    if len(appended) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    append(shard, reading)
Shard.append = until_killed
write_shard(Path(sys.argv[1]), 0, 1, Path(sys.argv[2]), "squash", Limits(), 2)
"""


def test_killed_again_and_again_it_goes_on_to_the_same_bytes(some, plain, tmp_path):
    shard, begun = tmp_path / "shards/0", []
    journal = tmp_path / "shards/0.jsonl.part"
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", SCRIPT, some, shard]).returncode == -signal.SIGKILL
        begun.append(journal.read_bytes().count(b"\n"))
    assert begun == [8, 15, 22]  # the head and the rows
    with journal.open("ab") as half:  # and one kill in the middle of a line, its pixels half written
        half.write(b'{"image_id": "b/1')
    with (tmp_path / "shards/0.pixels.part").open("ab") as half:
        half.write(b"x" * 1000)
    assert digests(packed(some, tmp_path)) == digests(plain)


def test_what_another_policy_left_is_not_continued(some, plain, tmp_path):
    with Shard(tmp_path / "shards/0", "letterbox") as shard:
        shard.append(reading("a/00.jpg"))
    assert digests(packed(some, tmp_path)) == digests(plain)


def reading(image_id, status="refused"):
    from sheetlens.prepare.decoding.decoder_processes import Reading

    return Reading({"image_id": image_id, "sha256": "0", "status": status, "reason": "for the test"})


def test_a_shard_of_another_listing_is_not_taken(some, tmp_path):
    with Shard(tmp_path / "0", "squash") as shard:
        shard.append(reading("a/00.jpg"))
        shard.finish()
    with pytest.raises(UserError, match="no shard holds the sheet 'a/00"):
        assemble(some, [tmp_path / "0"], "squash", *paths(tmp_path))
    assert not any(path.exists() for path in paths(tmp_path))


def test_spoilt_pixels_are_noticed(some, tmp_path):
    write_shard(some, 0, 1, tmp_path / "0", "squash", Limits())
    with (tmp_path / "0.pixels").open("r+b") as rows:
        rows.seek(200_000)
        rows.write(b"spoilt")
    with pytest.raises(UserError, match=r"'a/01\.jpg' in .* are spoilt"):
        assemble(some, [tmp_path / "0"], "squash", *paths(tmp_path))
    assert not any(path.exists() for path in paths(tmp_path))


def test_a_picture_that_stands_for_missing_ones_is_refused(tmp_path):
    sheets = {f"{label}/{n}.png": encode(sheet(200 + n, 300)) for label in "ab" for n in range(3)}
    sheets |= {f"a/missing{n}.png": encode(sheet(400, 300)) for n in range(REPEATED)}
    _, index, manifest = packed(make_listing(tmp_path, sheets), tmp_path)
    assert len(files.read_table(index)) == 6
    refused = files.read_table(manifest).query("status == 'refused'")
    assert len(refused) == REPEATED
    assert refused["reason"].str.startswith("a placeholder").all()


def test_one_usable_class_is_not_enough(tmp_path):
    sheets = {"a/1.png": encode(sheet(300, 400)), "b/1.png": b"nothing" * 9}
    with pytest.raises(UserError, match=r"two classes with usable sheets are needed, found a: 1, b: 0\. Most files"):
        packed(make_listing(tmp_path, sheets), tmp_path)
    assert not any(path.exists() for path in paths(tmp_path))


def test_reading_needs_no_copy(some, plain, tmp_path):
    pack = open_image_set(plain[0])
    tensor = torch.from_numpy(pack)
    assert tensor.data_ptr() == pack.ctypes.data


def test_listing_knows_every_column():
    assert pd.isna(listing([{"image_id": "x"}])).sum().sum() == 0
