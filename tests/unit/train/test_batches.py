"""Sheets come batch by batch, each in time."""

import threading

import pytest
import torch

from sheetlens.train.batches import lacks_memory, place, read_ahead


class Pack:
    """Stands for an image set that is not in a GPU's memory, and tells what is read of it."""

    is_cuda = False

    def __init__(self):
        self.read, self.second = [], threading.Event()

    def numpy(self):
        return self

    def __getitem__(self, rows):
        self.read.append(rows.tolist())
        if len(self.read) == 2:
            self.second.set()
        return rows


def test_one_batch_is_read_while_another_is_computed_with_and_no_more():
    pack, rows = Pack(), torch.arange(8)
    coming = read_ahead(pack, rows.split(3), "cpu")
    assert next(coming).tolist() == [0, 1, 2]
    assert pack.second.wait(10)
    assert pack.read == [[0, 1, 2], [3, 4, 5]]
    assert [some.tolist() for some in coming] == [[3, 4, 5], [6, 7]]
    assert list(read_ahead(pack, (), "cpu")) == []


def test_an_image_set_goes_to_a_gpu_that_has_room_for_it(monkeypatch, caplog):
    pixels = torch.zeros(5, 3, 256, 256, dtype=torch.uint8)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (pixels.nbytes, 10 * pixels.nbytes))
    with caplog.at_level("INFO"):
        assert place(pixels, "cuda") is pixels
    assert "it is read ahead" in caplog.text
    assert place(pixels, "cpu") is pixels
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (3 * pixels.nbytes, 10 * pixels.nbytes))
    if not torch.cuda.is_available():
        with pytest.raises((AssertionError, RuntimeError)):  # it tries
            place(pixels, "cuda")


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: out of memory", True),
        ("could not create a primitive", True),
        ("CUDA error: an illegal memory access was encountered", False),
    ],
)
def test_what_says_that_memory_is_lacking(words, lacks):
    assert lacks_memory(RuntimeError(words)) is lacks
