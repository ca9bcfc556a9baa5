"""Torchvision's networks: built, started from given weights, trained in whole or in part, and put to use."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Evaluate, Network, Predict, Train, Weights
from sheetlens.explain.attribution import parted
from sheetlens.explain.sheets import Explainer
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.inference import BATCH, load_network, predict_sheets, read_batch
from sheetlens.predict.packaging import write_package
from sheetlens.prepare.resize import POLICY
from sheetlens.train.backbones import IMAGENET, read_weights
from sheetlens.train.networks import build_network, fuse_batchnorm
from sheetlens.train.training import train_network
from tests.conftest import ROOT

BACKBONES = {  # parameters with 1,000 classes, as torchvision's documentation gives them, and features
    "resnet18": (11_689_512, 512),
    "resnet50": (25_557_032, 2048),
    "efficientnet_v2_s": (21_458_488, 1280),
    "convnext_tiny": (28_589_128, 768),
    "swin_t": (28_288_354, 768),
    "vit_b_16": (86_567_656, 768),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_layers_are_torchvisions(name):
    parameters, features = BACKBONES[name]
    with torch.device("meta"):
        network = build_network(Network(backbone=name), 1000).eval()
    count = sum(tensor.numel() for tensor in network.parameters())
    more_places = 768 * (16**2 - 14**2) if name == "vit_b_16" else 0  # 256 pixels in place of 224
    assert count == parameters + more_places
    images = torch.zeros(2, 3, 256, 256, device="meta")
    with FlopCounterMode(display=False) as counter:
        logits, found = read_batch(fuse_batchnorm(network), images)
    assert logits.shape == (2, 1000) and found.shape == (2, features)
    assert counter.get_total_flops() > 2e9


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(5)
    return get_model("resnet18").state_dict()


@pytest.fixture(scope="module")
def started(state, tmp_path_factory):
    """The definition of a head on weights in a file."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(state, path)
    weights = Weights(path=str(path), sha256=files.sha256(path))
    return Network(backbone="resnet18", weights=weights, train="head")


def named(path):
    return Network(backbone="resnet18", weights={"path": str(path), "sha256": files.sha256(path)})


def test_weights_are_those_of_the_file(state, started, tmp_path):
    torch.save(state, tmp_path / "resnet18.pth")
    for definition in (started, named(tmp_path / "resnet18.pth")):
        network = build_network(definition, 3, weights=read_weights(definition))
        whole = get_model("resnet18")
        whole.load_state_dict(state)
        whole.fc = torch.nn.Identity()
        images = torch.rand(2, 3, 256, 256)
        with torch.inference_mode():
            assert torch.allclose(read_batch(network.eval(), images)[1], whole.eval()(images), atol=1e-5)


def test_positions_of_smaller_sheets_are_interpolated():
    given = get_model("vit_b_16").state_dict()
    network = build_network(Network(backbone="vit_b_16"), 2, weights=given)
    transformer = network.features.transformer
    assert transformer.encoder.pos_embedding.shape == (1, 1 + 16 * 16, 768)
    assert torch.equal(transformer.class_token, given["class_token"])
    with pytest.raises(UserError, match="no map can tell"):
        parted(network)


class Trap:
    def __reduce__(self):
        return (print, ("executed",))


def test_weights_that_are_none_are_refused_with_a_sentence(state, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    with pytest.raises(UserError, match="is not there"):
        read_weights(Network(backbone="resnet18", weights={"path": str(path), "sha256": "0" * 64}))
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(UserError, match="has the SHA-256"):
        read_weights(Network(backbone="resnet18", weights={"path": str(path), "sha256": "0" * 64}))
    with pytest.raises(UserError, match="no weights that can be read"):
        read_weights(named(path))
    assert "executed" not in capsys.readouterr().out
    torch.save({"epoch": 3}, path)
    with pytest.raises(UserError, match="something else than a table of tensors"):
        read_weights(named(path))
    (tmp_path / "weights.safetensors").write_bytes(b"no header")
    with pytest.raises(UserError, match="no weights that can be read"):
        read_weights(named(tmp_path / "weights.safetensors"))
    for backbone in ("resnet50", "swin_t", "vit_b_16"):
        with pytest.raises(UserError, match=f"not those of torchvision's {backbone}"):
            build_network(Network(backbone=backbone), 3, weights=state)
    with pytest.raises(UserError, match="not those of torchvision's resnet18"):
        build_network(Network(backbone="resnet18"), 3, weights={"fc.weight": state["fc.weight"]})
    with pytest.raises(UserError, match="no weights IMAGENET1K_V2 for resnet18: it has IMAGENET1K_V1"):
        read_weights(Network(backbone="resnet18", weights={"torchvision": "IMAGENET1K_V2"}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "either groups or a backbone"),
        ({"backbone": "resnet18", "groups": [[4, 5]]}, "either groups or a backbone"),
        ({"backbone": "resnet18", "hidden": 3}, "hidden does not go with a backbone"),
        ({"groups": [[4, 5]], "train": "head"}, "train does not go with groups"),
        ({"backbone": "resnet18", "train": "head"}, "give weights"),
        ({"backbone": "resnet18", "weights": {"path": "x"}}, "either path and sha256, or torchvision"),
        ({"backbone": "resnet18", "weights": {}}, "either path and sha256, or torchvision"),
    ],
)
def test_a_definition_that_cannot_be_built(values, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Network.model_validate(values)


@pytest.fixture(scope="module")
def head(image_set, started, tmp_path_factory):
    """A packaged model whose head alone was trained."""
    folder = tmp_path_factory.mktemp("head")
    files.write_table(folder / "index.parquet", files.read_table(image_set / "index.parquet").assign(policy=POLICY))
    data = [image_set / "pixels.npy", folder / "index.parquet", image_set / "split.tsv"]
    settings = Train(epochs=2, batch_size=8, device="cpu", learning_rate={"frozen": 1e-2}, recipe={"weight_decay": 0.1})
    train_network(*data, "frozen", 1, settings, folder / "model", started)
    predict_sheets(
        folder / "model", *data, *(folder / "model" / name for name in ("predictions.parquet", "typical.safetensors"))
    )
    write_package("three", "Three", Evaluate(), Predict(), folder / "model")
    return folder / "model"


def test_of_a_frozen_backbone_nothing_but_the_head_changes(head, state, started):
    found = load_file(head / "weights.safetensors")
    kept = {key: value for key, value in state.items() if not key.startswith("fc.")}
    assert {f"features.{key}" for key in kept} == {key for key in found if key.startswith("features.")}
    assert all(torch.equal(found[f"features.{key}"], value) for key, value in kept.items())
    torch.manual_seed(1)
    fresh = build_network(started, 3, weights=state).output.weight
    assert not torch.equal(found["output.weight"], fresh)
    facts = files.read_json(head / "model.json")
    assert facts["definition"] == started.facts and facts["normalisation"] == IMAGENET


def test_the_model_folder_alone_reads_and_explains(head, started, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    facts = load_network(head)[1]
    assert Network.model_validate(facts["definition"]) == started
    pixels = np.random.default_rng(1).integers(0, 256, (BATCH, 3, 256, 256), dtype=np.uint8)
    answers = Classifier(head, "cpu").read(pixels)
    assert answers.probabilities.shape == (BATCH, 3) and np.isfinite(answers.distances).all()
    for method in ("integrated-gradients", "grad-cam"):  # occlusion needs no layers, but a minute
        (found,) = Explainer(head, method).explain(pixels, [4])
        assert found.map.sum() == pytest.approx(1, abs=1e-4)
        assert found.answer == facts["classes"][answers.probabilities[4].argmax()]


def test_the_usual_features_are_the_means_of_the_training_part(head, image_set):
    explainer = Explainer(head, "integrated-gradients")
    known = load_file(head / "typical.safetensors")["centre"]
    assert torch.equal(explainer._usual.flatten(), known) and len(known) == 512


def test_the_same_seed_gives_the_same_backbone(image_set, tmp_path):
    split = files.read_table(image_set / "split.tsv")
    few = split["part"].ne("train") | (split.groupby("part").cumcount() < 8)
    files.write_table(tmp_path / "split.tsv", split[few])
    data = [image_set / "pixels.npy", image_set / "index.parquet", tmp_path / "split.tsv"]
    settings = Train(epochs=1, batch_size=4, device="cpu")
    for name in ("first", "second"):
        train_network(*data, "resnet18", 1, settings, tmp_path / name, Network(backbone="resnet18"))
    first, second = (files.sha256(tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    assert first == second


def test_commands_that_build_no_backbone_do_not_import_torchvision():
    imports = "import sys, sheetlens.train.training, sheetlens.predict.inference, sheetlens.cli"
    lines = f"{imports}; print('torchvision' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", lines], cwd=ROOT / "workflow", capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr
