"""What kills leave behind: nothing that runs, and no run that cannot go on. benchmarks/faults.py does it at length."""

import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
from benchmarks.faults import survive

from sheetlens.train.checkpoint import Progress
from tests.conftest import digests, tiny_demo

DRAW = """
from pathlib import Path
from sheetlens.demo import write_sheets
if __name__ == "__main__":
    write_sheets(Path({folder!r}), "stain", 400, 1, False, 2)
"""


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_the_workers_of_a_killed_drawing_end(tmp_path, kill):
    script = tmp_path / "draw.py"
    script.write_text(DRAW.format(folder=str(tmp_path / "sheets")))
    process = subprocess.Popen([sys.executable, script])
    main = psutil.Process(process.pid)
    for _ in range(600):
        if list((tmp_path / "sheets").rglob("*.jpg")):
            break
        time.sleep(0.1)
    workers = main.children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(kill)
    process.wait()
    left = psutil.wait_procs(workers, timeout=20)[1]
    for worker in left:
        worker.kill()
    assert not left


@pytest.mark.open  # minutes; tests/workflow/test_kills.py kills in every rule
def test_killed_at_random_moments(finished, tmp_path):
    """A short pass of benchmarks/faults.py: a kill of each kind, then the same bytes."""
    outcome = survive(tmp_path, tiny_demo(tmp_path), digests(finished / "results"), 3, seed=3)
    assert outcome.kills.total() == 3
    assert outcome.lost == []


class Hostile:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (self.place, "w")


@pytest.mark.parametrize("damage", ["hostile", "cut", "empty"])
def test_a_checkpoint_that_cannot_be_read_executes_nothing_and_costs_only_time(tmp_path, damage):
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    optimiser = torch.optim.SGD(network.parameters())
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser)
    state = Progress(network, optimiser, schedule, tmp_path, {})
    state.save()
    assert state.load()
    data = state.checkpoint.read_bytes()
    if damage == "hostile":
        torch.save({"fingerprint": Hostile(str(tmp_path / "done"))}, state.checkpoint)
    else:
        state.checkpoint.write_bytes(data[: len(data) // 2 if damage == "cut" else 0])
    assert not state.load()
    assert not (tmp_path / "done").exists()
