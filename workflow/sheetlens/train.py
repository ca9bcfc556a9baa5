"""Train one network on one split: best weights by validation, bit-identical for one seed on one machine."""

import hashlib
import json
import logging
import math
import signal
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from sheetlens import __version__, files
from sheetlens.config import Train
from sheetlens.device import Device, choose_device
from sheetlens.images import SIZE, open_pack
from sheetlens.networks import build_network

CHECKPOINT_SECONDS = 120  # what a kill costs at most; Table 2's checkpoint takes about 1 s to write
PROGRESS_SECONDS = 30
WARM_UP = 0.2  # share of the steps in which the step size rises
log = logging.getLogger(__name__)


@dataclass
class Part:
    """Images and labels of one part on the device.

    `pixels` is the whole image set, uint8, shape (N, 3, 256, 256); `rows` int64, shape (n,), points into
    it; `labels` int64, shape (n,), counts classes in alphabetical order.
    """

    pixels: torch.Tensor
    rows: torch.Tensor
    labels: torch.Tensor


@dataclass
class Progress:
    """All that changes while a network trains; saved and read back, a killed training continues."""

    network: torch.nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 1
    step: int = 0
    loss_sum: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, float]:
        """The row of the history with the best validation accuracy; of equals, the lowest loss."""
        return max(self.history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))

    def keep_weights(self) -> None:
        """Copy the weights into `best_weights`, over the former ones: Table 2's take 300 MB."""
        for name, tensor in self.network.state_dict().items():
            if name not in self.best_weights:
                self.best_weights[name] = torch.empty_like(tensor)
            self.best_weights[name].copy_(tensor)

    def save(self, path: Path, fingerprint: str) -> None:
        """Write everything, the random state too."""
        with files.whole(path) as part:
            torch.save(
                {
                    "fingerprint": fingerprint,
                    "network": self.network.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "schedule": self.schedule.state_dict(),
                    "random": torch.get_rng_state(),
                    "random_gpu": torch.cuda.get_rng_state_all(),
                    "epoch": self.epoch,
                    "step": self.step,
                    "loss_sum": self.loss_sum,
                    "best_weights": self.best_weights,
                    "history": self.history,
                },
                part,
            )

    def load(self, path: Path, fingerprint: str) -> bool:
        """Continue from a checkpoint if there is one of this very training; say whether."""
        if not path.exists():
            return False
        saved = torch.load(path, weights_only=True, mmap=True)
        if saved["fingerprint"] != fingerprint:
            log.info("the checkpoint belongs to other data or settings: starting afresh")
            return False
        self.network.load_state_dict(saved["network"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])
        torch.set_rng_state(saved["random"].clone())
        torch.cuda.set_rng_state_all([state.clone() for state in saved["random_gpu"]])
        self.epoch, self.step, self.history = saved["epoch"], saved["step"], saved["history"]
        self.loss_sum = saved["loss_sum"].to(self.loss_sum.device)
        self.best_weights = {name: tensor.clone() for name, tensor in saved["best_weights"].items()}
        return True


def train_network(
    pixels: Path, index: Path, split: Path, network: str, seed: int, settings: Train, folder: Path
) -> None:
    """Train one network and write `weights.safetensors`, `model.json` and `history.csv` into `folder`.

    The weights are those of the epoch with the best validation accuracy. While it trains, `checkpoint.pt`
    stands in the folder; a later call with the same data and settings continues from it and ends in the
    same bytes. SIGTERM and SIGINT write one before they stop the process.
    """
    device = choose_device(settings.device, settings.precision, settings.threads)
    log.info(device.reason)
    table = files.read_table(index)
    parts = files.read_table(split).set_index("image_id")["part"].reindex(table["image_id"])
    classes = sorted(table["label"].unique())
    pack = open_pack(pixels)
    mean, std = channel_statistics(pack, np.flatnonzero(parts == "train"))
    images = torch.from_numpy(pack).to(device.name)
    training, validation = (_part(images, table, parts, name, classes, device.name) for name in ("train", "validation"))
    torch.manual_seed(seed)
    net = build_network(network, len(classes), settings.dropout)
    net.to(device.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
    rate = settings.rate(network)
    facts: dict[str, Any] = {
        "network": network,
        "classes": classes,
        "image_size": SIZE,
        "fit": table["fit"].iloc[0],
        "policy": table["policy"].iloc[0],
        "normalisation": {"mean": mean, "std": std},
        "seed": seed,
        "settings": settings.model_dump() | {"learning_rate": rate},
        "device": device.name,
        "precision": device.precision,
        "parameters": sum(tensor.numel() for tensor in net.parameters()),
        "sheets": {"train": len(training.rows), "validation": len(validation.rows)},
        "data": {"index_sha256": files.sha256(index), "split_sha256": files.sha256(split)},
        "versions": {"sheetlens": __version__} | {name: version(name) for name in ("torch", "numpy")},
    }
    optimiser = torch.optim.Adam(net.parameters(), lr=rate, fused=True)
    steps = settings.epochs * math.ceil(len(training.rows) / settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=WARM_UP)
    state = Progress(net, optimiser, schedule)
    state.loss_sum = state.loss_sum.to(device.name)
    _fit(state, training, validation, facts, settings, device, folder / "checkpoint.pt")
    _write(state, facts, folder)


def channel_statistics(pack: np.ndarray, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over the given rows, in units of 0 to 1.

    Counted exactly, value by value, so that they do not depend on the order of sums.
    """
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(rows), 64):
        chunk = pack[rows[start : start + 64]]
        counts += [np.bincount(chunk[:, channel].ravel(), minlength=256) for channel in range(3)]
    values = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 1e-12))
    return [round(float(value), 6) for value in mean], [round(float(value), 6) for value in std]


def batch_images(pixels: torch.Tensor, rows: torch.Tensor, normalisation: dict[str, list[float]]) -> torch.Tensor:
    """Pick rows of an image set: float32, shape (n, 3, 256, 256), channels last, normalised by channel."""
    mean, std = (torch.tensor(normalisation[key], device=pixels.device).view(1, 3, 1, 1) for key in ("mean", "std"))
    images = pixels.index_select(0, rows).to(torch.float32, memory_format=torch.channels_last)
    return images.div_(255).sub_(mean).div_(std)


def _part(
    images: torch.Tensor, table: pd.DataFrame, parts: pd.Series, name: str, classes: list[str], device: str
) -> Part:
    rows = np.flatnonzero(parts == name)
    labels = pd.Categorical(table["label"].iloc[rows], categories=classes).codes.astype(np.int64)
    return Part(images, torch.from_numpy(rows).to(device), torch.from_numpy(labels).to(device))


def _fit(
    state: Progress,
    training: Part,
    validation: Part,
    facts: dict[str, Any],
    settings: Train,
    device: Device,
    checkpoint: Path,
) -> None:
    """Run epochs until the last one or until patience ends."""
    fingerprint = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    if state.load(checkpoint, fingerprint):
        log.info("continuing in epoch %d from the checkpoint", state.epoch)
    saver = _Saver(state, checkpoint, fingerprint)
    with saver:
        while state.epoch <= settings.epochs and not _out_of_patience(state, settings):
            _train_epoch(state, training, facts, settings, device, saver)
            loss, accuracy = _validate(state.network, validation, facts)
            state.history.append(
                {
                    "epoch": state.epoch,
                    "train_loss": state.loss_sum.item() / len(training.rows),
                    "validation_loss": loss,
                    "validation_accuracy": accuracy,
                }
            )
            if state.best["epoch"] == state.epoch:
                state.keep_weights()
            told = (state.epoch, settings.epochs, state.history[-1]["train_loss"], loss, 100 * accuracy)
            log.info("epoch %d of %d: loss %.3f, on validation %.3f, accuracy there %.1f %%", *told)
            state.epoch, state.step = state.epoch + 1, 0
            state.loss_sum.zero_()
    checkpoint.unlink(missing_ok=True)


def _out_of_patience(state: Progress, settings: Train) -> bool:
    return bool(state.history) and state.epoch - 1 - state.best["epoch"] >= settings.patience


def _train_epoch(
    state: Progress, part: Part, facts: dict[str, Any], settings: Train, device: Device, saver: "_Saver"
) -> None:
    """One pass over the training part, from `state.step` on; the order hangs on seed and epoch alone."""
    shuffle = torch.Generator().manual_seed(1_000_003 * facts["seed"] + state.epoch)
    order = torch.randperm(len(part.rows), generator=shuffle).to(device.name)
    if state.step == 0:
        torch.manual_seed(1_000_003 * facts["seed"] + state.epoch)  # dropout
    state.network.train()
    batches = order.split(settings.batch_size)
    for batch in batches[state.step :]:
        images = batch_images(part.pixels, part.rows[batch], facts["normalisation"])
        with torch.autocast(device.name, torch.bfloat16, enabled=device.bfloat16):
            logits = state.network(images)
        loss = cross_entropy(logits.float(), part.labels[batch])
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        state.optimiser.step()
        state.schedule.step()
        state.loss_sum += loss.detach().double() * len(batch)
        state.step += 1
        saver.after_step(len(batch), len(batches))


def _validate(net: torch.nn.Module, part: Part, facts: dict[str, Any]) -> tuple[float, float]:
    """Mean loss and accuracy on a part, in float32."""
    logits = predict_logits(net, part.pixels, part.rows, facts["normalisation"])
    loss = cross_entropy(logits.double(), part.labels).item()
    return loss, (logits.argmax(1) == part.labels).double().mean().item()


def predict_logits(
    net: torch.nn.Module,
    pixels: torch.Tensor,
    rows: torch.Tensor,
    normalisation: dict[str, list[float]],
    batch_size: int = 32,
) -> torch.Tensor:
    """Logits of a network for rows of an image set: float32, shape (n, classes), always in float32."""
    net.eval()
    with torch.inference_mode():
        return torch.cat([net(batch_images(pixels, some, normalisation)) for some in rows.split(batch_size)])


class _Saver:
    """Writes checkpoints by the clock and when the process is asked to stop; says how far it is."""

    def __init__(self, state: Progress, path: Path, fingerprint: str) -> None:
        self.state, self.path, self.fingerprint = state, path, fingerprint
        self.asked_to_stop = 0
        self.saved = self.told = time.monotonic()
        self.sheets = 0

    def __enter__(self) -> None:
        signals = (signal.SIGTERM, signal.SIGINT)
        self.before = {number: signal.signal(number, self._stop) for number in signals}

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _: object) -> None:
        self.asked_to_stop = number

    def after_step(self, sheets: int, steps: int) -> None:
        """Save if it is time; leave with 128 + signal, as a shell would, if asked to."""
        now = time.monotonic()
        self.sheets += sheets
        if self.asked_to_stop or now - self.saved >= CHECKPOINT_SECONDS:
            self.state.save(self.path, self.fingerprint)
            self.saved = now
        if self.asked_to_stop:
            log.info("stopped in epoch %d: the same command continues from here", self.state.epoch)
            raise SystemExit(128 + self.asked_to_stop)
        if now - self.told >= PROGRESS_SECONDS:
            share, rate = 100 * self.state.step // steps, self.sheets / (now - self.told)
            log.info("epoch %d: %d %% of the training part, %.0f sheets/s", self.state.epoch, share, rate)
            self.told, self.sheets = now, 0


def _write(state: Progress, facts: dict[str, Any], folder: Path) -> None:
    with files.whole(folder / "weights.safetensors") as part:
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.best_weights.items()}, part)
    files.write_table(folder / "history.csv", pd.DataFrame(state.history).astype({"epoch": int}))
    chosen = {
        "best_epoch": state.best["epoch"],
        "epochs_run": len(state.history),
        "validation_loss": state.best["validation_loss"],
        "validation_accuracy": state.best["validation_accuracy"],
        "weights_sha256": files.sha256(folder / "weights.safetensors"),
    }
    files.write_json(folder / "model.json", facts | chosen)
