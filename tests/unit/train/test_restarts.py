"""A training that failed is begun again from another seed, as often as asked for, and says so."""

import logging
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch

from sheetlens.common import files
from sheetlens.config import Network, Recipe, Train
from sheetlens.train.checkpoint import Progress, derived_seed
from sheetlens.train.optimisation import make_optimiser
from sheetlens.train.training import _failure, train_network

# One hidden unit that rectifies: with some seeds it is silent on every sheet, and nothing can be learnt.
NETWORK = Network(groups=[(2, 9)] * 4, hidden=1)
SETTINGS = Train(
    epochs=4, batch_size=8, device="cpu", precision="float32", dropout=0, learning_rate={"dead": 3e-2}, restarts=3
)
SEED = 3  # its unit is silent, that of one of the next seeds is not
DATA = ("pixels.npy", "index.parquet", "split.tsv")
PRODUCTS = ("weights.safetensors", "model.json", "history.csv")


def train(image_set, folder, settings=SETTINGS, seed=SEED):
    train_network(*(image_set / name for name in DATA), "dead", seed, settings, folder, NETWORK)
    return [files.sha256(folder / name) for name in PRODUCTS]


@pytest.fixture(scope="module")
def restarted(image_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("restarted")
    return folder, train(image_set, folder)


def test_a_collapse_is_begun_again_from_another_seed(restarted):
    facts = files.read_json(restarted[0] / "model.json")
    assert 1 <= len(facts["restarts"]) <= 3
    assert facts["seed"] == facts["restarts"][0]["seed"] == SEED, "the split and the folder go by it"
    assert len({attempt["seed"] for attempt in facts["restarts"]}) == len(facts["restarts"])
    assert {attempt["reason"] for attempt in facts["restarts"]} == {"all validation sheets got the same answer"}
    assert facts["validation_accuracy"] > 3 / 8, "the share of the commonest class"
    assert "restarts" not in facts["settings"]
    assert len(pd.read_csv(restarted[0] / "history.csv")) == facts["epochs_run"], "of the last attempt alone"


@pytest.mark.parametrize(
    ("loss", "word"), [(6.9, None), (7.0, "diverged, to 7 in epoch 2"), (float("inf"), "infinite")]
)
def test_a_loss_ten_times_that_of_guessing_has_diverged(tmp_path, loss, word):
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    state = Progress(network, *make_optimiser(network, 1e-3, 1, Recipe()), tmp_path, {"classes": ["a", "b"], "seed": 1})
    state.end_epoch(9.0, 0.5, 0.9)
    state.end_epoch(loss, 0.5, 0.8)
    why = _failure(state)
    assert (why is None) if word is None else word in why


def test_a_derived_seed_is_another_to_torch():
    """Torch's generator looks at the lower 32 bits of a seed."""
    drawn = {float(torch.rand(1, generator=torch.Generator().manual_seed(derived_seed(1, n)))) for n in range(20)}
    assert len(drawn) == 20


def test_without_restarts_the_alarm_is_all_that_happens(image_set, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "sheetlens"):
        train(image_set, tmp_path, SETTINGS.model_copy(update={"restarts": 0}))
    assert [record.message.split(":")[0] for record in caplog.records] == ["all validation sheets got the same answer"]
    facts = files.read_json(tmp_path / "model.json")
    assert "restarts" not in facts and facts["epochs_run"] == 4


def test_a_training_that_succeeds_is_the_same_with_and_without_restarts(image_set, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "sheetlens"):
        ends = [
            train(image_set, tmp_path / str(restarts), SETTINGS.model_copy(update={"restarts": restarts}), seed=1)
            for restarts in (0, 3)
        ]
    assert ends[0] == ends[1] and not caplog.records


def test_a_loss_that_is_no_number_ends_an_attempt_at_once_and_restarts_are_counted(image_set, tmp_path, caplog):
    settings = SETTINGS.model_copy(update={"restarts": 1, "learning_rate": {"dead": 1e38}, "epochs": 2})
    with caplog.at_level(logging.WARNING, "sheetlens"):
        train(image_set, tmp_path, settings, seed=1)
    reason = "the loss is infinite or no number in epoch 1"
    facts = files.read_json(tmp_path / "model.json")
    assert facts["restarts"] == [{"seed": 1, "epoch": 1, "reason": reason}]
    assert [record.message.split(":")[0] for record in caplog.records] == [reason, reason.replace("1", "2")]
    assert "restart 1 of at most 1" in caplog.text and "of no use" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == set(PRODUCTS)


@pytest.mark.parametrize("kill", [pytest.param(signal.SIGTERM, marks=pytest.mark.open), signal.SIGKILL])
def test_a_kill_after_a_restart_ends_in_the_same_bytes(image_set, restarted, tmp_path, kill):
    command = [
        sys.executable, "-m", "sheetlens", "train", "--settings", SETTINGS.model_dump_json(), "--network", "dead",
        "--definition", NETWORK.model_dump_json(include={"groups", "hidden"}), "--seed", str(SEED),
        "--pixels", image_set / "pixels.npy", "--index", image_set / "index.parquet",
        "--split", image_set / "split.tsv", "--folder", tmp_path,
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = iter(process.stderr)
    next(line for line in lines if "restart 1 of" in line)
    next(line for line in lines if "epoch 1 of 4" in line)
    process.send_signal(kill)
    process.stderr.read()
    process.wait()
    assert not (tmp_path / "weights.safetensors").exists(), "the training was too fast to be killed"
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "restart 1 of" not in again.stderr, "the checkpoint knows of it"
    assert [files.sha256(tmp_path / name) for name in PRODUCTS] == restarted[1]
