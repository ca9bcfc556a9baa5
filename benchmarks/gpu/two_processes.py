"""One training by two processes that `torchrun` starts, against one process: the same losses, and what it costs.

With two GPUs each process has its own, as a user would start it. On one GPU both share it and exchange gradients by
gloo, as NCCL refuses two processes on one GPU.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import Scale
from sheetlens.common import files
from sheetlens.config import Train
from sheetlens.split.parts import split_random
from sheetlens.train import distributed
from sheetlens.train.training import train_network

DATA = ("pixels.npy", "index.parquet", "split.tsv")
PROCESSES, LOSS = 2, 1e-3  # share of the first loss that the order of sums may change
LOSSES = ["train_loss", "validation_loss"]


def measure(scale: Scale) -> Iterator[Facts]:
    """Seconds of both, start-up included, and how far their losses are apart, as a share of the largest."""
    alone = Train(epochs=2, batch_size=scale.shared // 4 - 1, precision="float32")  # two cannot share it evenly
    together = alone.model_copy(update={"gpus": PROCESSES})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_noise(folder, scale.shared)
        start = time.perf_counter()
        train(folder, "alone", alone)
        between = time.perf_counter()
        run = subprocess.run(launched(folder, together), stdout=sys.stderr)  # noqa: S603
        seconds = {"seconds_alone": between - start, "seconds_together": time.perf_counter() - between}
        if run.returncode:
            raise SystemExit(f"torchrun ended with {run.returncode}")
        one, two = (
            files.read_table(folder / which / "history.csv")[LOSSES].to_numpy(float) for which in ("alone", "together")
        )
    apart = float((np.abs(two - one) / one.max(axis=0)).max())
    yield {"backend": backend(), "epochs": len(one)} | seconds | {"loss_difference": apart, "agrees": apart <= LOSS}
    if apart > LOSS:
        raise SystemExit(f"the losses of two processes differ from those of one by {apart:.2g}, more than {LOSS}")


def draw_noise(folder: Path, training: int) -> None:
    """An image set of noise of two kinds of brightness, and its split."""
    count = 2 * training
    random, dark = np.random.default_rng(0), np.arange(count) % 2
    pixels = random.integers(0, 200, (count, 3, 256, 256), dtype=np.uint8) + (20 * dark[:, None, None, None])
    np.save(folder / "pixels.npy", pixels.astype(np.uint8))
    names = [f"{number:05}" for number in range(count)]
    index = pd.DataFrame({"image_id": names, "specimen_id": names, "label": np.array(["bright", "dark"])[dark]})
    files.write_table(folder / "index.parquet", index.assign(row=range(count), fit="squash", policy="noise"))
    files.write_table(folder / "split.tsv", split_random(index, (0.5, 0.25, 0.25), 1))


def train(folder: Path, name: str, settings: Train) -> None:
    """Train Table 1 in this process."""
    (folder / name).mkdir(exist_ok=True)
    train_network(*(folder / some for some in DATA), "table1", 1, settings, folder / name)


def backend() -> str:
    """Through what the processes exchange gradients."""
    return "nccl" if torch.cuda.device_count() >= PROCESSES else "gloo"


def launched(folder: Path, settings: Train) -> list[str]:
    """The command that starts both processes."""
    own = ["--virtual-local-rank"] if backend() == "nccl" else []
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES)]
    return [*launcher, *own, "-m", "benchmarks.gpu.two_processes", str(folder), settings.model_dump_json(), backend()]


def main() -> None:
    """Be one of the processes."""
    folder, settings, exchange = sys.argv[1:]
    if exchange == "gloo":
        distributed.BACKEND = "cpu:gloo,cuda:gloo"
    train(Path(folder), "together", Train.model_validate_json(settings))
    distributed.end_process()


if __name__ == "__main__":
    main()
