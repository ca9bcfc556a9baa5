"""What only a GPU can show: that a training there survives, streams and reads as one elsewhere.

`python -m benchmarks.gpu --rehearse` runs them on the CPU, so that they do not fail for another reason where a GPU is.
"""

import os

import pytest
import torch

from sheetlens.config import Train
from sheetlens.predict.inference import load_network
from sheetlens.train.checkpoint import StopHandler
from sheetlens.train.training import predict_logits
from tests.unit.train.trainings import train

GPU, REHEARSAL = torch.cuda.is_available(), "SHEETLENS_GPU_REHEARSAL" in os.environ
pytestmark = pytest.mark.skipif(not (GPU or REHEARSAL), reason="no GPU here")
DEVICE = "cuda" if GPU else "cpu"
SETTINGS = Train(epochs=2, batch_size=8, device=DEVICE)


@pytest.fixture(scope="module")
def trained(image_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return folder, train(image_set, folder, SETTINGS)


def test_same_seed_same_bytes(image_set, trained, tmp_path):
    assert train(image_set, tmp_path, SETTINGS) == trained[1]


def test_an_image_set_that_is_read_ahead_trains_to_the_same_bytes(image_set, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("sheetlens.train.batches.SHARE", 0)
    assert train(image_set, tmp_path, SETTINGS) == trained[1]


def test_a_stopped_training_continues_to_the_same_bytes(image_set, trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        after_step = StopHandler.after_step

        def stop(watch, *arguments):
            watch.asked_to_stop = watch.state.epoch == 2
            after_step(watch, *arguments)

        patched.setattr(StopHandler, "after_step", stop)
        with pytest.raises(SystemExit):
            train(image_set, tmp_path, SETTINGS)
    assert train(image_set, tmp_path, SETTINGS) == trained[1]


def test_logits_are_those_of_the_cpu(trained):
    network, facts = load_network(trained[0])
    pixels = torch.randint(0, 256, (9, 3, 256, 256), dtype=torch.uint8)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        here, there = (
            predict_logits(network.to(device), pixels, torch.arange(9), facts["normalisation"]).cpu()
            for device in ("cpu", DEVICE)
        )
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)
