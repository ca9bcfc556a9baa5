"""Maps of sheets that a model has not seen: found where the network looks, compared with an untrained one, written."""

import csv
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sheetlens.common import files
from sheetlens.config import Limits, Network
from sheetlens.explain.attribution import GRID, parted, to_shares
from sheetlens.explain.sheets import METHODS, Explainer, lay_over, write_explanations
from sheetlens.predict.inference import BATCH
from sheetlens.predict.input_list import write_list
from sheetlens.predict.model_package import PARTS
from sheetlens.train.batches import batch_images
from sheetlens.train.networks import build_network
from tests.browser.runs import CLASSES, write_model
from tests.conftest import digests, sheetlens
from tests.unit.predict.test_collection_predictions import jpeg, photograph
from tests.unit.prepare.test_resize import encode, sheet


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("explain") / "model")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain") / "photographs"
    for number, name in enumerate(("fern/1.jpg", "moss/two\nlines.jpg", "=1+1.jpg")):
        jpeg(photograph(90 + 40 * number, number), folder / name)
    (folder / "page.jpg").write_text("<html>Request Rejected</html>")
    return folder


@pytest.mark.parametrize("method", [name for name in METHODS if name != "grad-cam"])
def test_evidence_is_found_where_the_last_layers_look(model, method):
    """Weights of the hidden layer outside the upper left quarter are nothing: next to no evidence may lie there."""
    explainer, side = Explainer(model, method), 13
    mask = torch.zeros(48, side, side)
    mask[:, : side // 2, : side // 2] = 1
    explainer._trained.hidden.weight.mul_(mask.flatten())
    pixels = np.zeros((BATCH, 3, 256, 256), np.uint8)
    pixels[1] = np.asarray(photograph(90, 3, (256, 256))).transpose(2, 0, 1)
    (found,) = explainer.explain(pixels, [1])
    assert found.map.sum() == pytest.approx(1, abs=1e-4)
    assert found.map.min() >= 0
    assert found.map[: GRID // 2 + 4, : GRID // 2 + 4].sum() > 0.9


def test_grad_cam_shows_the_features_that_speak_for_the_class(model):
    """With one channel left to the hidden layer, the map is that channel, or flat where it speaks against it."""
    explainer = Explainer(model, "grad-cam")
    pixels = np.zeros((BATCH, 3, 256, 256), np.uint8)
    pixels[0] = np.asarray(photograph(90, 3, (256, 256))).transpose(2, 0, 1)
    image = batch_images(torch.from_numpy(pixels[:1]), explainer._normalisation)
    activations, weights = parted(explainer._trained)[0](image), explainer._trained.hidden.weight.clone()
    compared = 0
    for channel in range(8):
        mask = torch.zeros(48, 13, 13)
        mask[channel] = 1
        explainer._trained.hidden.weight.copy_(weights * mask.flatten())
        (found,) = explainer.explain(pixels, [0])
        if np.ptp(found.map):
            (wanted,) = to_shares(activations[:, channel : channel + 1])
            np.testing.assert_allclose(found.map, wanted, atol=1e-6)
            compared += 1
    assert compared


def test_a_command_writes_a_row_and_a_picture_for_each_sheet(model, photographs, tmp_path):
    seen = []
    for _ in range(2):
        result = sheetlens("explain", model, photographs, "--output", tmp_path / "maps", "--method", "grad-cam")
        assert result.returncode == 0, result.stderr
        assert "3 sheets explained, 1 files refused" in result.stderr
        seen.append(digests(tmp_path / "maps"))
    assert seen[0] == seen[1]
    rows = list(csv.DictReader((tmp_path / "maps/explanations.csv").open(newline="")))
    assert [row["image_id"] for row in rows] == ["'=1+1.jpg", "fern/1.jpg", "moss/two\nlines.jpg", "page.jpg"]
    assert rows[3]["reason"].startswith("not a JPEG") and not rows[3]["picture"]
    for row in rows[:3]:
        assert row["answer"] in CLASSES and 0 < float(row["probability"]) <= 1
        assert Image.open(tmp_path / "maps" / row["picture"]).size == (1024, 512)
    summary = files.read_json(tmp_path / "maps/summary.json")
    assert (summary["rows"], summary["explained"], summary["refused"], summary["method"]) == (4, 3, 1, "grad-cam")


@pytest.mark.long
def test_a_kill_between_two_batches_changes_nothing(model, tmp_path):
    for number in range(BATCH + 4):
        jpeg(photograph(120, number), tmp_path / f"sheets/{number:02}.jpg")
    arguments = ["explain", model, tmp_path / "sheets", "--method", "grad-cam", "--output"]
    assert sheetlens(*arguments, tmp_path / "whole").returncode == 0
    command = [sys.executable, "-m", "sheetlens", *map(str, arguments), str(tmp_path / "killed")]
    journal = tmp_path / "killed/explanations.jsonl.part"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not journal.is_file() or journal.read_bytes().count(b"\n") <= BATCH:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    kept = tmp_path / "killed/pictures/000001-00.jpg"
    before = kept.stat().st_mtime_ns
    assert not (tmp_path / "killed/explanations.csv").exists()
    assert sheetlens(*arguments, tmp_path / "killed").returncode == 0
    assert kept.stat().st_mtime_ns == before, "the first batch was not done again"
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def test_maps_of_a_network_too_deep_for_small_pictures(tmp_path):
    """Five groups: a picture of 64 pixels would come to nothing."""
    folder, deep = write_model(tmp_path / "model"), Network(groups=[(4, 5), (4, 5), (4, 5), (4, 3), (4, 3)], hidden=8)
    save_file(build_network(deep, len(CLASSES)).state_dict(), folder / "weights.safetensors")
    save_file({"centre": torch.full((40,), 0.5), "whitening": torch.eye(40)}, folder / "typical.safetensors")
    files.write_json(folder / "model.json", files.read_json(folder / "model.json") | {"definition": deep.facts})
    digests_now = {name: files.sha256(folder / name) for name in PARTS}
    files.write_json(folder / "package.json", files.read_json(folder / "package.json") | {"files": digests_now})
    pixels = np.zeros((BATCH, 3, 256, 256), np.uint8)
    (found,) = Explainer(folder, "grad-cam").explain(pixels, [0])
    assert found.map.shape == (GRID, GRID)


def test_a_map_that_random_weights_do_not_change_is_not_sane(model, photographs, tmp_path):
    explainer = Explainer(model, "grad-cam")
    explainer._untrained = explainer._trained
    write_list(photographs, tmp_path / "list.parquet")
    found = write_explanations(explainer, tmp_path / "list.parquet", tmp_path, 1)
    assert found["random"] == pytest.approx(1)
    assert not found["sane"]


@pytest.mark.parametrize(("source", "sentence"), [("empty", "there are no files in"), ("x.txt", "is neither a folder")])
def test_bad_input_is_one_sentence(model, tmp_path, source, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.txt").write_text("x")
    result = sheetlens("explain", model, tmp_path / source, "--output", tmp_path / "maps")
    assert result.returncode == 1
    assert sentence in result.stderr and "Traceback" not in result.stderr


def test_an_overlay_colours_where_the_evidence_is():
    cells = np.zeros((GRID, GRID), np.float32)
    cells[:, GRID // 2 :] = 2 / GRID**2
    grey = Image.new("RGB", (128, 96), (120, 120, 120))
    laid = np.asarray(lay_over(grey, cells))
    assert (laid[:, :50] == 120).all()
    assert (laid[:, 80:, 0] > 180).all()
    assert (np.asarray(lay_over(grey, np.full_like(cells, 1 / cells.size))) == 120).all()


def test_the_limits_of_the_config_hold(model, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(encode(sheet(1000, 1200), "JPEG"))
    write_list(tmp_path / "photos", tmp_path / "list.parquet")
    explainer, listing, limits = Explainer(model, "grad-cam"), tmp_path / "list.parquet", Limits(megapixels=1)
    found = write_explanations(explainer, listing, tmp_path, 1, limits=limits)
    assert (found["explained"], found["refused"]) == (0, 1)
