"""Features of an installed backbone as a product, and heads on them that go through everything a network does."""

import errno
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sheetlens.audit.regions import audit_regions, what_is_noticed
from sheetlens.cli.steps.features import features as commands
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Evaluate, Network, Predict, Split, Train
from sheetlens.config.networks import BUILT_IN, FEATURES, INSTALLED
from sheetlens.explain.attribution import explain_sheets
from sheetlens.explain.sheets import Explainer
from sheetlens.features import product
from sheetlens.features.extraction import FeatureReader
from sheetlens.features.training import train_head
from sheetlens.predict import export
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.inference import BATCH, load_network, predict_sheets, read_batch
from sheetlens.predict.packaging import write_package
from sheetlens.prepare.resize import POLICY, read_sheet
from sheetlens.train import backbones
from sheetlens.train.backbones import read_weights
from sheetlens.train.efficientnet_lite import EfficientNetLite, installed_weights
from sheetlens.train.networks import build_network, fuse_batchnorm
from tests.conftest import ROOT

DEFINITION = BUILT_IN[FEATURES]
# What efficientnet-lite-pytorch 0.1.0 with these weights says of three real sheets: the class of ImageNet, its logit.
PEERS_CLASSES = [921, 917, 916]
PEERS_LOGITS = [7.86073, 6.60735, 6.09251]


@pytest.fixture(scope="module")
def reader():
    return FeatureReader(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def whole():
    network = EfficientNetLite()
    network.load_state_dict(torch.load(installed_weights("efficientnet_lite0"), weights_only=True))
    return network.eval()


def normalised(pixels):
    return (torch.from_numpy(pixels).float() - 127) / 128


def test_the_layers_know_what_they_were_trained_for(whole, real_data):
    """Logits of real sheets as efficientnet-lite-pytorch 0.1.0 gives them, to 1e-4 (the largest of each sheet)."""
    paths = sorted((real_data / "sheets_fullres").glob("*.jpg"))[:3]
    sheets = np.stack([read_sheet(path.read_bytes()).pixels for path in paths])
    with torch.inference_mode():
        best = whole.logits(normalised(sheets)).max(dim=1)
    assert best.indices.tolist() == PEERS_CLASSES
    assert best.values.numpy() == pytest.approx(PEERS_LOGITS, abs=1e-4)


@pytest.mark.parametrize("side", [256, 225])
def test_fused_layers_give_the_same_as_those_of_torch(whole, side):
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))
    fused = fuse_batchnorm(build_network(DEFINITION, 2, weights=whole.state_dict()))[0]
    with torch.no_grad():
        expected, fast = whole(images), fused(images)
    slow = fused(images.requires_grad_())  # torch's own way, where somebody wants gradients
    assert expected.shape[1:] == (2944, -(-side // 32), -(-side // 32))
    assert torch.allclose(fast, expected, atol=1e-4) and torch.allclose(slow, expected, atol=1e-4)


def test_features_are_means_over_the_places_of_each_block(reader, whole, image_set):
    pixels = np.load(image_set / "pixels.npy")[:3]
    with torch.inference_mode():
        expected = whole(normalised(pixels)).mean((2, 3))
    assert reader.read(pixels) == pytest.approx(expected.numpy(), abs=1e-4)
    assert np.stack(list(reader.read_each(iter(pixels)))).tobytes() == reader.read(pixels).tobytes()
    with pytest.raises(ValueError, match="uint8 of the shape"):
        reader.read(pixels.astype(np.float32))


BFLOAT16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_bfloat16_where_the_cpu_has_none_is_one_sentence():
    code = "from sheetlens.features.extraction import FeatureReader; FeatureReader(device='cpu', precision='bfloat16')"
    held = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(ROOT / "workflow")}
    result = subprocess.run([sys.executable, "-c", code], env=held, capture_output=True, text=True)
    assert "UserError: this CPU cannot read features in bfloat16" in result.stderr


@pytest.mark.skipif(not BFLOAT16, reason="this CPU cannot compute in bfloat16")
def test_bfloat16_is_near(image_set, reader):
    pixels = np.load(image_set / "pixels.npy")[:2]
    low = FeatureReader(device="cpu", precision="bfloat16")
    assert low.facts["precision"] == "bfloat16"
    alike = torch.nn.functional.cosine_similarity(*map(torch.from_numpy, (low.read(pixels), reader.read(pixels))))
    assert alike.min() > 0.99 and not np.array_equal(low.read(pixels), reader.read(pixels))


@pytest.fixture(scope="module")
def study(image_set, reader, tmp_path_factory):
    """An image set, its features, and a packaged model on them."""
    folder = tmp_path_factory.mktemp("features")
    index = files.read_table(image_set / "index.parquet").assign(policy=POLICY)
    files.write_table(folder / "index.parquet", index)
    empty = dict.fromkeys(("recordedBy", "recordNumber", "eventDate"), "")
    files.write_table(folder / "manifest.parquet", index.assign(**empty))
    files.write_table(folder / "duplicates.parquet", index.head(0).assign(first="", second="", kind=""))
    product.compute_part(reader, image_set / "pixels.npy", folder / "index.parquet", 0, 1, folder / "0.features")
    product.join_parts([folder / "0.features"], folder / "index.parquet", folder / "lite.npy")
    model = folder / "model"
    train_head(*arguments(folder, image_set), 1, Train(device="cpu"), Split(), model)
    data = [image_set / "pixels.npy", folder / "index.parquet", image_set / "split.tsv"]
    predict_sheets(
        model, *data, model / "predictions.parquet", model / "typical.safetensors", features=folder / "lite.npy"
    )
    write_package("three", "Three", Evaluate(), Predict(), model)
    return folder


def arguments(folder, image_set):
    names = ("lite.npy", "index.parquet", "manifest.parquet", "duplicates.parquet")
    return *(folder / name for name in names), image_set / "split.tsv", FEATURES, DEFINITION


def test_parts_put_together_are_the_same_bytes_and_go_on_after_a_kill(study, image_set, reader, tmp_path, monkeypatch):
    index = study / "index.parquet"
    parts = [tmp_path / f"{number}.features" for number in range(3)]
    read = reader.read

    def killed(batch, calls=[]):  # noqa: B006
        calls.append(len(batch))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(batch)

    monkeypatch.setattr(reader, "read", killed)
    with pytest.raises(KeyboardInterrupt):
        product.compute_part(reader, image_set / "pixels.npy", index, 0, 1, parts[0])
    growing = parts[0].with_name("0.features.part")
    with growing.open("ab") as file:
        file.write(b"half a batch")
    counted = []
    monkeypatch.setattr(reader, "read", lambda batch: counted.append(len(batch)) or read(batch))
    product.compute_part(reader, image_set / "pixels.npy", index, 0, 1, parts[0])
    assert counted == [8]  # of 40 sheets, the first 32 were there
    product.join_parts(parts[:1], index, tmp_path / "one.npy")
    for number, part in enumerate(parts):
        product.compute_part(reader, image_set / "pixels.npy", index, number, 3, part)
    product.join_parts(parts, index, tmp_path / "three.npy")
    expected = files.sha256(study / "lite.npy")
    assert files.sha256(tmp_path / "one.npy") == files.sha256(tmp_path / "three.npy") == expected
    values, facts = product.open_features(tmp_path / "three.npy")
    assert values.shape == (40, 2944) and facts["sheets"] == 40 and facts["definition"] == DEFINITION.facts
    last = parts[-1].read_bytes()
    for change in (b"", last[:-7], last + bytes(9)):
        parts[-1].write_bytes(change)
        with pytest.raises(UserError, match=r"2\.features holds [\d.]+ sheets and not \d+: delete"):
            product.join_parts(parts, index, tmp_path / "less.npy")
    assert not (tmp_path / "less.npy").exists()


def test_a_disk_that_fills_while_parts_are_joined_ends_in_an_error_and_no_product(study, image_set, reader, tmp_path):
    """What is written through a memory map ends in a signal there."""
    part = tmp_path / "0.features"
    product.compute_part(reader, image_set / "pixels.npy", study / "index.parquet", 0, 1, part)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (part.stat().st_size // 2, hard))
    try:
        with pytest.raises(OSError) as error:
            product.join_parts([part], study / "index.parquet", tmp_path / "joined.npy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG and not list(tmp_path.glob("joined*"))


def test_rows_of_parts_cover_all_sheets_in_whole_batches():
    for count, parts in ((0, 2), (1, 3), (375, 1), (375, 4), (64, 3)):
        rows = [product.rows_of_part(count, part, parts) for part in range(parts)]
        assert [row for some in rows for row in some] == list(range(count))
        assert all(some.start % product.BATCH == 0 for some in rows if some)


def test_the_head_reads_and_the_model_alone_reads_the_same(study, image_set):
    table = files.read_table(study / "model/predictions.parquet")
    names = [name for name in table if name.startswith("probability_")]
    right = table[names].to_numpy().argmax(1) == table["label"].map(["bright", "dark", "medium"].index)
    assert right[table["part"] == "train"].all() and right.mean() > 0.9
    pixels = np.load(image_set / "pixels.npy")[:BATCH]
    answers = Classifier(study / "model", "cpu").read(pixels)
    net, facts = load_network(study / "model")
    with torch.inference_mode():
        logits = read_batch(fuse_batchnorm(net), normalised(pixels))[0].double()
    assert facts["precision"] == "float32"
    assert f"{facts['strength']:g}" == min(facts["losses"], key=facts["losses"].get)
    assert logits.softmax(1).numpy() == pytest.approx(table[names].to_numpy()[:BATCH], abs=1e-4)
    temperature = files.read_json(study / "model/package.json")["temperature"]
    assert answers.probabilities == pytest.approx((logits / temperature).softmax(1).numpy(), abs=1e-4)
    limit = files.read_json(study / "model/package.json")["limit"]
    assert answers.distances * limit == pytest.approx(table["distance"].to_numpy()[:BATCH], rel=1e-2)


def test_the_same_seed_gives_the_same_bytes(study, image_set, tmp_path):
    train_head(*arguments(study, image_set), 1, Train(device="cpu"), Split(), tmp_path)
    for name in ("weights.safetensors", "history.csv"):
        assert files.sha256(tmp_path / name) == files.sha256(study / "model" / name)
    kept = load_file(tmp_path / "weights.safetensors")
    given = read_weights(DEFINITION)
    assert all(torch.equal(kept[f"features.network.{key}"], given[key]) for key in given if not key.startswith("_fc."))


def test_features_of_other_sheets_are_refused(study, image_set, tmp_path):
    (tmp_path / "lite.npy").write_bytes((study / "lite.npy").read_bytes())
    files.write_json(tmp_path / "lite.json", files.read_json(study / "lite.json") | {"index_sha256": "0" * 64})
    for name in ("index.parquet", "manifest.parquet", "duplicates.parquet"):
        (tmp_path / name).write_bytes((study / name).read_bytes())
    with pytest.raises(UserError, match="made from other sheets or by another network"):
        train_head(*arguments(tmp_path, image_set), 1, Train(device="cpu"), Split(), tmp_path / "model")
    data = [image_set / "pixels.npy", study / "index.parquet", image_set / "split.tsv"]
    with pytest.raises(UserError, match="not the features that the model was trained on"):
        predict_sheets(study / "model", *data, tmp_path / "p.parquet", tmp_path / "t", features=tmp_path / "lite.npy")


def test_it_is_explained_and_exported(study, image_set, tmp_path):
    pixels = np.load(image_set / "pixels.npy")[:BATCH]
    for method in ("integrated-gradients", "grad-cam"):
        (found,) = Explainer(study / "model", method).explain(pixels, [4])
        assert found.map.sum() == pytest.approx(1, abs=1e-4) and np.ptp(found.map) > 0
    maps = explain_sheets(
        study / "model", image_set / "pixels.npy", study / "index.parquet", study / "model/predictions.parquet", 3
    )
    assert [sum(found) for found in maps["map"]] == pytest.approx([1] * len(maps), abs=1e-4)
    export.export_model(study / "model", tmp_path)  # which compares what both files read
    assert files.read_json(tmp_path / "export.json")["files"]["model.onnx"]["largest_difference"] < export.TOLERANCE


def test_weights_that_are_not_there_or_others(monkeypatch, tmp_path):
    package, file, _ = INSTALLED["efficientnet_lite0"]
    (tmp_path / package.replace("-", "_") / "models").mkdir(parents=True)
    (tmp_path / package.replace("-", "_") / "__init__.py").write_text("raise RuntimeError('executed')")
    fake = tmp_path / package.replace("-", "_") / "models" / file
    fake.write_bytes(b"others")
    monkeypatch.setattr(backbones, "installed_weights", lambda name: fake)
    with pytest.raises(UserError, match=r"has the SHA-256 .{64}, and the one of the installed package"):
        read_weights(DEFINITION)
    monkeypatch.undo()
    monkeypatch.syspath_prepend(tmp_path)
    fake.unlink()
    with pytest.raises(UserError, match=f"not installed: install the package {package}"):
        installed_weights("efficientnet_lite0")


def test_a_command_that_only_joins_imports_no_torch():
    lines = "import sys, sheetlens.features.product, sheetlens.features.head; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n" and set(commands.commands) >= {"compute", "join", "head"}


def test_regions_are_covered_and_alone(study, image_set):
    finding = audit_regions(
        study / "model", image_set / "pixels.npy", study / "index.parquet", study / "model/predictions.parquet", 0.95
    )
    numbers = finding.numbers
    assert set(numbers["regions"]) == {"border", "label", "surround"} and numbers["whole"] > 0.9
    for shares in numbers["regions"].values():  # a share of the test sheets each
        right = np.array([shares["covered"], shares["alone"]]) * numbers["tests"]
        assert np.allclose(right, right.round()) and (right <= numbers["tests"]).all()
    assert "the label's corner covered" in finding.sentence


@pytest.mark.parametrize(
    ("tests", "majority", "said"),
    [
        (52, 0.5, "from 65 % of these test sheets on"),  # 34 of 52: Wilson's interval begins at 51.8 %, of 33 at 49.8 %
        (8, 0.5, "from 88 % of these test sheets on"),  # 7 of 8: 52.9 %
        (8, 0.7, "Too few test sheets to tell"),  # 8 of 8: 67.6 %
    ],
)
def test_an_audit_of_regions_says_what_it_would_have_noticed(tests, majority, said):
    assert said in what_is_noticed(tests, majority, 0.95)


def test_any_network_of_timm_by_name(image_set, tmp_path):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    for name in ("resnet10t", "vit_tiny_patch16_224", "convnext_atto", "test_vit"):
        torch.manual_seed(1)
        state = timm.create_model(name).state_dict()
        path = tmp_path / f"{name}.safetensors"
        save_file(state, path)
        weights = {"path": str(path), "sha256": files.sha256(path)}
        definition = Network(backbone=f"timm/{name}", weights=weights, train="regression")
        reader = FeatureReader(definition, "cpu", "float32")
        found = reader.read(np.load(image_set / "pixels.npy")[:2])
        assert found.shape == (2, reader.size) and np.isfinite(found).all() and not np.array_equal(*found)
    with pytest.raises(UserError, match="not those of timm/resnet10t"):
        build_network(Network(backbone="timm/resnet10t"), 2, weights=state)
    with pytest.raises(UserError, match="timm has no network resnet10: did you mean timm/resnet1"):
        build_network(Network(backbone="timm/resnet10"), 2)


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub", reason="timm is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    lines = f"""
import time
from sheetlens.common.errors import UserError
from sheetlens.config import Network
from sheetlens.train.backbones import read_weights
time.sleep = lambda seconds: None  # the client waits for half a minute between its tries
try:
    read_weights(Network(backbone="timm/test_vit", weights={{"hub": "owner/name@{"0" * 40}"}}))
except UserError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert "cannot be downloaded" in result.stdout and "bring the file here" in result.stdout
    assert result.stdout.count("\n") == 1


def test_without_timm_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(backbones, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install timm"):
        build_network(Network(backbone="timm/resnet10t"), 2)
    with pytest.raises(UserError, match="pip install timm"):
        read_weights(Network(backbone="timm/test_vit", weights={"hub": f"owner/name@{'0' * 40}"}))
