"""Two processes train to the result of one: on the CPU with gloo, as two GPUs would with NCCL."""

import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Train
from sheetlens.predict.inference import predict_sheets
from sheetlens.train.training import train_network
from tests.conftest import ROOT
from tests.unit.train.trainings import PRODUCTS

DATA = ("pixels.npy", "index.parquet", "split.tsv")
# 24 sheets to train on: a batch of 23, which two cannot share evenly, and one of 1, which leaves one of them nothing.
ALONE = Train(epochs=3, batch_size=23, device="cpu", threads=1, precision="float32")
TOGETHER = ALONE.model_copy(update={"gpus": 2})
# What differs is the order of sums in float32, which training then magnifies. The biases of convolutions are not
# compared: batch normalisation takes them away again, so their gradient is nothing but rounding.
LOSS, PROBABILITY, WEIGHT = 1e-4, 1e-3, 1e-3


def command(images, folder):
    pixels, index, split = (images / name for name in DATA)
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--virtual-local-rank",
        "-m", "sheetlens", "train", "--settings", TOGETHER.model_dump_json(), "--network", "table1", "--seed", "1",
        "--pixels", pixels, "--index", index, "--split", split, "--folder", folder,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def alone(image_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    train_network(*(image_set / name for name in DATA), "table1", 1, ALONE, folder)
    return folder


@pytest.fixture(scope="module")
def together(image_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    result = subprocess.run(command(image_set, folder), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("epoch 3 of 3") == 1, "both processes tell how far they are"
    return folder


def test_the_history_is_that_of_one_process(alone, together):
    first, second = (files.read_table(folder / "history.csv").astype(float) for folder in (alone, together))
    assert len(first) == 3
    assert (first["validation_accuracy"] == second["validation_accuracy"]).all()
    for column in ("train_loss", "validation_loss"):
        assert second[column].to_numpy() == pytest.approx(first[column].to_numpy(), rel=LOSS)


def test_the_model_is_that_of_one_process(alone, together, image_set, tmp_path):
    assert sorted(path.name for path in together.iterdir()) == sorted(PRODUCTS)
    first, second = (files.read_json(folder / "model.json") for folder in (alone, together))
    assert second.pop("processes") == 2
    for facts in (first, second):
        for key in ("weights_sha256", "validation_loss"):
            facts.pop(key)
    assert first == second
    one, two = (load_file(folder / "weights.safetensors") for folder in (alone, together))
    assert one.keys() == two.keys()
    for name in set(one) - {f"convolution{number}.bias" for number in range(1, 5)}:
        assert (one[name].double() - two[name].double()).abs().max() <= WEIGHT, name
    tables = []
    for folder in (alone, together):
        data = (image_set / name for name in DATA)
        predict_sheets(folder, *data, tmp_path / "predictions.parquet", tmp_path / "typical.safetensors")
        tables.append(files.read_table(tmp_path / "predictions.parquet").filter(like="probability_"))
    assert (tables[0] - tables[1]).abs().to_numpy().max() <= PROBABILITY


@pytest.mark.parametrize(
    "kill",
    [pytest.param(signal.SIGTERM, marks=pytest.mark.open), pytest.param(signal.SIGKILL, marks=pytest.mark.long)],
    ids=["SIGTERM", "SIGKILL"],
)
def test_a_killed_team_continues_to_the_same_bytes(together, image_set, tmp_path, kill):
    """Only torchrun is killed: its processes must see that, agree on a step, and leave one checkpoint."""
    words = command(image_set, tmp_path)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "epoch 1 of 3" in line:
            break
    time.sleep(0.1)  # into the second epoch
    process.send_signal(kill)
    rest = process.stderr.read()  # ends when the last process does
    assert process.wait() != 0
    assert "the same command continues from here" in rest
    assert (tmp_path / "checkpoint.pt").exists()
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "from the checkpoint" in again.stderr
    assert [files.sha256(tmp_path / name) for name in PRODUCTS] == [files.sha256(together / name) for name in PRODUCTS]


def test_a_process_too_few_is_a_sentence(image_set, tmp_path):
    with pytest.raises(UserError, match=r"train\.gpus is 2, but there is one process: start this with 'torchrun"):
        train_network(*(image_set / name for name in DATA), "table1", 1, TOGETHER, tmp_path)


def test_a_batch_must_be_large_enough_to_share():
    with pytest.raises(ValueError, match="9 gpus cannot share a batch of 8"):
        Train(gpus=9, batch_size=8)


@pytest.mark.parametrize(("team", "status"), [({"TORCHELASTIC_RUN_ID": "1"}, 0), ({}, 3)])
def test_a_process_of_a_team_ends_before_a_thread_can_abort_it(team, status):
    code = (
        "import atexit, os; from sheetlens.train.distributed import end_process; atexit.register(os._exit, 3);"
        " print('whole'); end_process()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TORCHELASTIC_RUN_ID"} | team
    environment["PYTHONPATH"] = str(ROOT / "workflow")
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (status, "whole\n" if team else result.stdout)
