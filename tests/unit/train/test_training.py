import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Network, Recipe, Train
from sheetlens.explain.attribution import explain_sheets
from sheetlens.predict.inference import load_network, predict_sheets
from sheetlens.train.checkpoint import Progress, StopHandler
from sheetlens.train.device import choose_device
from sheetlens.train.model_folder import channel_statistics
from sheetlens.train.networks import build_network
from sheetlens.train.optimisation import make_optimiser
from tests.unit.train.trainings import PRODUCTS, SETTINGS, train

LONGER = Train(epochs=12, patience=12, batch_size=8, device="cpu")  # than a kill takes to arrive, on any machine


@pytest.fixture(scope="module")
def trained(image_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return folder, train(image_set, folder)


def test_same_seed_same_bytes(image_set, trained, tmp_path):
    assert train(image_set, tmp_path) == trained[1]
    assert train(image_set, tmp_path / "other", seed=2)[0] != trained[1][0]


@pytest.fixture(scope="module")
def never_killed(image_set, tmp_path_factory):
    return train(image_set, tmp_path_factory.mktemp("model"), LONGER)


@pytest.mark.parametrize(
    "kill", [*(pytest.param(kill, marks=pytest.mark.long) for kill in (signal.SIGTERM, signal.SIGINT)), signal.SIGKILL]
)
def test_a_killed_training_continues_to_the_same_bytes(image_set, never_killed, tmp_path, kill):
    command = train_command(image_set, tmp_path, LONGER)
    saving = (
        "import sheetlens.train.checkpoint as it; it.CHECKPOINT_SECONDS = 0; import sheetlens.cli; sheetlens.cli.main()"
    )
    often = [sys.executable, "-c", saving, *command[3:]] if kill == signal.SIGKILL else command
    process = subprocess.Popen(often, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "epoch 1 of" in line:
            break
    time.sleep(0.1)  # into a later epoch
    process.send_signal(kill)
    rest = process.stderr.read()
    code = process.wait()
    assert not (tmp_path / "weights.safetensors").exists(), "the training was too fast to be killed"
    if kill == signal.SIGKILL:
        assert code == -kill
    else:
        assert code == 128 + kill, rest
        assert "the same command continues from here" in rest
    assert (tmp_path / "checkpoint.pt").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "continuing in epoch" in again.stderr
    assert [files.sha256(tmp_path / name) for name in PRODUCTS] == never_killed
    assert sorted(os.listdir(tmp_path)) == sorted(PRODUCTS)


def test_a_signal_during_the_last_validation_counts(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    state = Progress(network, *make_optimiser(network, 0.1, 10, Recipe()), tmp_path, {"seed": 1})
    with pytest.raises(SystemExit) as left, StopHandler(state):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.code == 128 + signal.SIGTERM
    assert state.checkpoint.exists()


def test_the_best_epoch_is_one_that_computes_numbers(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    state = Progress(network, *make_optimiser(network, 0.1, 10, Recipe()), tmp_path, {"seed": 1})
    for loss, accuracy in ((0.68, 0.55), (math.nan, 0.6), (math.inf, 0.7)):
        state.end_epoch(loss, loss, accuracy)
    assert state.best["epoch"] == 1


@pytest.mark.open  # minutes
def test_twenty_kills_at_random_moments_end_in_the_same_bytes(image_set, tmp_path):
    settings, random = SETTINGS.model_copy(update={"epochs": 60, "patience": 60}), np.random.default_rng(7)
    whole, broken = (train_command(image_set, tmp_path / name, settings) for name in ("whole", "broken"))
    subprocess.run(whole, check=True, capture_output=True)
    started = 0  # how often a killed training went on from a checkpoint
    for _ in range(20):
        process = subprocess.Popen(broken, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:  # into the training: a kill while torch is imported is none
            if "float32" in line or "bfloat16" in line:
                break
        time.sleep(random.uniform(0, 3))
        process.send_signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
        started += "continuing" in process.stderr.read()
        process.wait()
    assert not (tmp_path / "broken/weights.safetensors").exists(), "the training was too fast to be killed"
    assert started >= 5
    subprocess.run(broken, check=True, capture_output=True)
    digests = [[files.sha256(tmp_path / name / product) for product in PRODUCTS] for name in ("whole", "broken")]
    assert digests[0] == digests[1]


def train_command(image_set, folder, settings):
    return [
        sys.executable, "-m", "sheetlens", "train", "--settings", settings.model_dump_json(), "--network", "table1",
        "--seed", "1", "--pixels", image_set / "pixels.npy", "--index", image_set / "index.parquet",
        "--split", image_set / "split.tsv", "--folder", folder,
    ]  # fmt: skip


def test_a_checkpoint_of_other_settings_is_not_used(image_set, trained, tmp_path):
    (tmp_path / "model").mkdir()
    torch.save({"fingerprint": "another"}, tmp_path / "model/checkpoint.pt")
    assert train(image_set, tmp_path / "model") == trained[1]


def test_a_checkpoint_without_its_best_weights_is_not_used(image_set, trained, tmp_path, monkeypatch):
    def stop(state, *_):
        state.end_epoch(0.0, 0.0, 1.0)
        state.save()
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sheetlens.train.training._train_epoch", stop)
        train(image_set, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "best-1.safetensors"}
    (tmp_path / "best-1.safetensors").unlink()
    assert train(image_set, tmp_path) == trained[1]


def test_best_epoch_is_kept_and_patience_ends_training(image_set, tmp_path):
    settings = Train(epochs=12, patience=1, batch_size=8, learning_rate={"table1": 3e-2}, device="cpu")
    train(image_set, tmp_path, settings)
    history = files.read_table(tmp_path / "history.csv").astype(float)
    facts = files.read_json(tmp_path / "model.json")
    best = history.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).index[0]
    assert facts["best_epoch"] == history["epoch"][best]
    assert facts["validation_loss"] == pytest.approx(history["validation_loss"][best])
    assert facts["epochs_run"] == len(history) == min(facts["best_epoch"] + 1, 12)


def test_model_says_what_it_is(trained):
    facts = files.read_json(trained[0] / "model.json")
    assert facts["classes"] == ["bright", "dark", "medium"]
    assert facts["sheets"] == {"train": 24, "validation": 8}
    assert facts["weights_sha256"] == trained[1][0]
    weights = load_file(trained[0] / "weights.safetensors")
    assert weights["output.weight"].shape == (3, 500)


def test_a_model_of_a_defined_network_says_how_it_is_built(image_set, trained, tmp_path):
    definition = Network(groups=[(4, 9), (4, 9), (4, 9)], pooling="average", hidden=10)
    train(image_set, tmp_path, network=("narrow", definition))
    net, facts = load_network(tmp_path)
    assert (facts["network"], facts["definition"]) == ("narrow", definition.facts)
    assert net.hidden.weight.shape == (10, 4 * 25 * 25)
    assert "definition" not in files.read_json(trained[0] / "model.json")


def test_predictions_of_a_model(image_set, trained, tmp_path):
    arguments = [image_set / name for name in ("pixels.npy", "index.parquet", "split.tsv")]
    predict_sheets(trained[0], *arguments, tmp_path / "predictions.parquet", tmp_path / "typical.safetensors")
    table = files.read_table(tmp_path / "predictions.parquet")
    shares = table[["probability_bright", "probability_dark", "probability_medium"]]
    assert table["part"].value_counts().to_dict() == {"train": 24, "validation": 8, "test": 8}
    assert shares.dtypes.eq("float32").all()
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    validation = table[table["part"] == "validation"]
    right = shares.loc[validation.index].idxmax(axis=1) == "probability_" + validation["label"]
    facts = files.read_json(trained[0] / "model.json")
    assert right.mean() == pytest.approx(facts["validation_accuracy"])


def test_a_map_of_each_class_at_least(image_set, trained, tmp_path):
    data = [image_set / name for name in ("pixels.npy", "index.parquet")]
    predictions = tmp_path / "predictions.parquet"
    predict_sheets(trained[0], *data, image_set / "split.tsv", predictions, tmp_path / "typical.safetensors")
    table = explain_sheets(trained[0], *data, predictions, 2)
    tested = files.read_table(predictions).query("part == 'test'")["label"].unique()
    assert sorted(table["label"]) == sorted(tested) and len(tested) == 3


def test_a_network_without_numbers_is_refused_in_words(image_set, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "model")
    weights = load_file(trained[0] / "weights.safetensors")
    next(some for some in weights.values() if some.is_floating_point()).fill_(math.nan)
    save_file(weights, tmp_path / "model/weights.safetensors")
    data = [image_set / name for name in ("pixels.npy", "index.parquet", "split.tsv")]
    with pytest.raises(UserError, match=r"its training failed: lower train.learning_rate"):
        predict_sheets(tmp_path / "model", *data, tmp_path / "predictions.parquet", tmp_path / "typical.safetensors")
    assert not (tmp_path / "predictions.parquet").exists()


def test_normalisation_is_that_of_the_training_part():
    pack = np.random.default_rng(1).integers(0, 256, (10, 3, 256, 256), dtype=np.uint8)
    mean, std = channel_statistics(pack, np.array([1, 4, 7]))
    chosen = pack[[1, 4, 7]] / 255
    assert mean == pytest.approx(chosen.mean(axis=(0, 2, 3)), abs=1e-6)
    assert std == pytest.approx(chosen.std(axis=(0, 2, 3)), abs=1e-6)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler here")
def test_a_compiled_network_learns_the_same(image_set, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    network = ("small", Network(groups=[(6, 5), (8, 3)], hidden=10))
    settings = SETTINGS.model_copy(update={"precision": "float32", "dropout": 0.0, "batch_size": 9})  # 24: 9, 9, 6
    for name, change in (("plain", {}), ("compiled", {"compile": True})):
        train(image_set, tmp_path / name, settings.model_copy(update=change), network=network)
    assert list(tmp_path.glob("cache/**/*.so")), "it was compiled here"
    assert not list(tmp_path.glob("cache/*graph*")), "a graph of another processor could be taken from there"
    plain, compiled = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "compiled"))
    assert list(plain) == list(compiled)
    torch.manual_seed(1)
    begun = build_network(network[1], 3).state_dict()
    for key, weights in plain.items():
        apart, moved = ((some[key] - weights).double().norm() for some in (compiled, begun))
        assert apart <= 0.01 * moved, key
        assert moved > 0 or (key.startswith("convolution") and key.endswith("bias"))


def test_where_nothing_can_compile_it_says_so(image_set, tmp_path, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-compiler",))
    torch.compiler.reset()
    with pytest.raises(UserError, match=r"torch cannot compile the network .*compiler.*: set train.compile to false"):
        train(image_set, tmp_path, SETTINGS.model_copy(update={"compile": True}))


def test_device_is_chosen_with_a_reason():
    device = choose_device("cpu", "float32", 2)
    assert device.name == "cpu"
    assert "asked for" in device.reason
    assert "not deterministic" not in device.reason
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.allow_tf32
    assert "not deterministic" in choose_device("cpu", deterministic=False).reason
    assert not torch.are_deterministic_algorithms_enabled()
    assert choose_device("auto", "auto", 2).precision in ("float32", "bfloat16")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no GPU here"):
            choose_device("cuda")
    if torch.backends.mps.is_available():
        assert (choose_device("mps").name, choose_device("mps").precision) == ("mps", "float32")
    else:
        with pytest.raises(UserError, match="no GPU of Apple's here: use 'auto' or 'cpu'"):
            choose_device("mps")


@pytest.mark.parametrize(
    ("held_to", "precision"), [("AVX2", "float32"), ("AVX512_CORE_BF16", "bfloat16"), ("", "bfloat16")]
)
def test_bfloat16_is_not_chosen_where_it_is_emulated(monkeypatch, held_to, precision):
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held_to)
    assert choose_device("cpu").precision == precision
