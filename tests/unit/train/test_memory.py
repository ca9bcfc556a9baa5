"""A training whose batch does not fit into memory goes on with less of it at a time, and ends as it would again."""

import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.train.batches import DoesNotFitError, descend, descend_if_it_fits
from sheetlens.train.checkpoint import Progress, StepSnapshot
from sheetlens.train.device import choose_device
from sheetlens.train.networks import build_network
from tests.unit.train.trainings import PRODUCTS, SETTINGS, train

# Loses memory in the midst of a batch of 24, really: the process may not grow while it asks oneDNN for a kernel. How
# much a whole training takes differs from machine to machine, and is not the question here.
TRAIN = """
import logging, resource, sys
from pathlib import Path
import torch
from sheetlens.train import batches
from sheetlens.config import Train
from sheetlens.train.training import train_network

def loss(logits, labels, *weights, **others):
    if len(logits) > 12:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), -1))
        try:
            torch.nn.Conv2d(3, 20, 7)(torch.rand(5, 3, 71, 73))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    return cross_entropy(logits, labels, *weights, **others)

images, folder, short = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "short"
data = [images / name for name in ("pixels.npy", "index.parquet", "split.tsv")]
logging.basicConfig(level=logging.INFO)
if short:
    batches.cross_entropy, cross_entropy = loss, batches.cross_entropy
settings = Train(epochs=3, batch_size=24, device="cpu", precision="float32")
train_network(*data, "table1", 1, settings, folder / "model")
"""


@pytest.fixture(scope="module")
def short(image_set, tmp_path_factory):
    """The folder of a training that lacked memory, and what it said."""
    folder = tmp_path_factory.mktemp("short")
    process = start(image_set, folder, "short")
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return folder / "model", said


def start(images, folder, memory):
    command = [sys.executable, "-c", TRAIN, images, folder, memory]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_batch_that_does_not_fit_is_read_in_parts(short):
    folder, said = short
    note = files.read_json(folder / "model.json")
    assert note["did_not_fit"] == [{"epoch": 1, "step": 0, "sheets": 12}]
    assert "24 sheets do not fit into memory (" in said and "batches of 24 are read 12 at a time" in said
    assert load_file(folder / "weights.safetensors")["normalisation1.num_batches_tracked"] == 2 * note["best_epoch"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(PRODUCTS)


def test_a_training_with_enough_memory_says_nothing_of_it_and_leaves_nothing_but_its_products(image_set, tmp_path):
    (tmp_path / ".tmpme8HM2").write_bytes(b"what a kill while safetensors wrote has left")
    train(image_set, tmp_path, SETTINGS.model_copy(update={"epochs": 1}))
    assert "did_not_fit" not in files.read_json(tmp_path / "model.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PRODUCTS)


def test_after_a_kill_it_reads_the_same_parts_and_ends_in_the_same_bytes(image_set, short, tmp_path):
    process = start(image_set, tmp_path, "short")
    for line in process.stderr:
        if "are read 12 at a time" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, "the training was too fast to be killed"
    process = start(image_set, tmp_path, "enough")
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert "continuing in epoch" in said and "do not fit" not in said
    for name in PRODUCTS:
        assert files.sha256(tmp_path / "model" / name) == files.sha256(short[0] / name), name


def progress(network, folder):
    optimiser = torch.optim.SGD(network.parameters())
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser)
    return Progress(network, optimiser, schedule, folder, {"normalisation": {"mean": [0.5] * 3, "std": [0.25] * 3}})


@pytest.fixture
def part():
    return torch.randint(0, 256, (7, 3, 256, 256), dtype=torch.uint8), torch.arange(7) % 3


def test_the_gradients_of_parts_add_up_to_those_of_the_batch(part, tmp_path):
    """Without dropout and with running statistics, on which parts have no influence."""
    network = build_network("table1", 3).eval()
    state, device, found = progress(network, tmp_path), choose_device("cpu", "float32"), []
    for size in (7, 3):
        loss = descend(state, network, *part, size, None, device)
        found.append([loss, *(weights.grad.clone() for weights in network.parameters())])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


class Endless(torch.nn.Linear):
    """Wants more memory than any machine has, after it has changed what is to be brought back."""

    def forward(self, images):
        self.passes += torch.rand(())
        return torch.empty(2**60)


def test_where_not_even_one_sheet_fits_one_sentence_says_so_and_nothing_is_changed(part, tmp_path):
    network = Endless(1, 1)
    network.register_buffer("passes", torch.zeros(()))
    state, random = progress(network, tmp_path), torch.get_rng_state()
    arguments = (state, network, *part, None, StepSnapshot(network), choose_device("cpu", "float32"))
    for _ in range(3):
        with pytest.raises(DoesNotFitError):
            descend_if_it_fits(*arguments)
    with pytest.raises(UserError, match=r"^not even one sheet of a batch fits into memory \(") as refused:
        descend_if_it_fits(*arguments)
    assert "\n" not in str(refused.value)
    assert [step["sheets"] for step in state.fallbacks] == [4, 2, 1]
    saved = torch.load(tmp_path / "checkpoint.pt")
    assert saved["network"]["passes"] == 0 and torch.equal(saved["random"], random)
