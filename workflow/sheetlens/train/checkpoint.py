"""Survive a kill: all that changes while a network trains, saved and read back to the same bit; the best epoch kept."""

import hashlib
import json
import logging
import math
import pickle
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self, cast

import torch
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel

from sheetlens.common import files
from sheetlens.common.errors import of_the_disk
from sheetlens.train.distributed import ProcessGroup

CHECKPOINT_SECONDS = 120  # what a kill costs at most; Table 2's checkpoint takes about 1 s to write
PROGRESS_SECONDS = 30
APART = 1_000_000_007  # between the seed of a training and those of its restarts; torch looks at 32 bits of a seed
log = logging.getLogger(__name__)


def derived_seed(seed: int, restarts: int) -> int:
    """The seed of a training after so many restarts; no other training of the study has it."""
    return seed + APART * restarts


def _random_of_gpu(device: torch.device) -> list[torch.Tensor]:
    """The random state of the GPU that computes, if one does: another machine may see more of them, or fewer."""
    return [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []


@dataclass
class Progress:
    """The state of a training, with its files in `folder`.

    `checkpoint.pt` is the last saved state, `best-{epoch}.safetensors` the weights of the best epoch: on
    disk, because Table 2's take 300 MB of memory. `facts` say which training this is (data, settings,
    versions); a checkpoint of any other is not used. Of a team of processes one writes. `class_weights` are what the
    loss of a sheet of each class counts, if not the same. `fallbacks` are the steps whose batches did not fit into
    memory, each with the sheets that are read at a time from there on. `collapsed`
    are the epochs after which all validation sheets got one answer, `restarts` the attempts before this one and why
    they failed.
    """

    network: torch.nn.Sequential
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    folder: Path
    facts: dict[str, Any]
    team: ProcessGroup = field(default_factory=ProcessGroup)
    average: AveragedModel | None = None
    class_weights: torch.Tensor | None = None
    epoch: int = 1
    step: int = 0
    loss_sum: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    history: list[dict[str, float]] = field(default_factory=list)
    saved_best: Path | None = None
    fallbacks: list[dict[str, int]] = field(default_factory=list)
    collapsed: list[int] = field(default_factory=list)
    restarts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seed(self) -> int:
        """What everything random hangs on: the training's own seed, or one derived from it after a restart."""
        return derived_seed(self.facts["seed"], len(self.restarts))

    @property
    def micro_batch(self) -> int | None:
        """Sheets that are read at a time where a whole batch does not fit into memory."""
        return self.fallbacks[-1]["sheets"] if self.fallbacks else None

    @property
    def judged(self) -> torch.nn.Sequential:
        """The network that is validated and kept: the mean of the weights where there is one."""
        return cast(torch.nn.Sequential, self.average.module) if self.average else self.network

    @property
    def best(self) -> dict[str, float]:
        """The row of the history with the best validation accuracy; of equals, the lowest loss; a finite one first."""

        def worth(row: dict[str, float]) -> tuple[bool, float, float]:
            return math.isfinite(row["validation_loss"]), row["validation_accuracy"], -row["validation_loss"]

        return max(self.history, key=worth)

    @property
    def best_path(self) -> Path:
        """The file with the weights of the best epoch."""
        return self.folder / f"best-{self.best['epoch']}.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The file with the last saved state."""
        return self.folder / "checkpoint.pt"

    @property
    def fingerprint(self) -> str:
        """What a checkpoint must carry to belong to this training."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()

    def end_epoch(self, train_loss: float, validation_loss: float, validation_accuracy: float) -> None:
        """Note an epoch, keep its weights if they are the best, and begin the next."""
        self.history.append(
            {
                "epoch": self.epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "validation_accuracy": validation_accuracy,
            }
        )
        if self.team.leads and self.best["epoch"] == self.epoch:
            weights = self.judged.state_dict()
            with files.whole(self.best_path) as part:
                save_file({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, part)
            self._drop_former_bests()
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum.zero_()

    def save(self) -> None:
        """Write the checkpoint."""
        if not self.team.leads:
            return
        with files.whole(self.checkpoint) as part:
            torch.save(
                {
                    "fingerprint": self.fingerprint,
                    "network": self.network.state_dict(),
                    "average": self.average.state_dict() if self.average else {},
                    "optimiser": self.optimiser.state_dict(),
                    "schedule": self.schedule.state_dict(),
                    "random": torch.get_rng_state(),
                    "random_gpu": _random_of_gpu(self.loss_sum.device),
                    "epoch": self.epoch,
                    "step": self.step,
                    "loss_sum": self.loss_sum,
                    "history": self.history,
                    "fallbacks": self.fallbacks,
                    "collapsed": self.collapsed,
                    "restarts": self.restarts,
                },
                part,
            )
        self.saved_best = self.best_path if self.history else None
        self._drop_former_bests()

    def load(self) -> bool:
        """Continue from a checkpoint if there is one of this very training; say whether."""
        if not self.checkpoint.exists():
            return False
        try:
            saved = torch.load(self.checkpoint, weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
            if of_the_disk(error):  # else a share that is gone for a minute would cost the epochs that lie on it
                raise
            log.warning("the checkpoint cannot be read (%s): starting afresh", str(error).split("\n")[0])
            return False
        if saved["fingerprint"] != self.fingerprint:
            log.info("the checkpoint belongs to other data or settings: starting afresh")
            return False
        self.history = saved["history"]
        if self.history and not self.best_path.exists():
            log.info("the checkpoint has lost its best weights: starting afresh")
            self.history = []
            return False
        self.network.load_state_dict(saved["network"])
        if self.average:
            self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])
        torch.set_rng_state(saved["random"].clone())
        for random in saved["random_gpu"]:
            torch.cuda.set_rng_state(random.clone())
        self.epoch, self.step = saved["epoch"], saved["step"]
        for name in ("fallbacks", "collapsed", "restarts"):
            setattr(self, name, saved.get(name, []))  # older ones have none
        self.loss_sum = saved["loss_sum"].to(self.loss_sum.device)
        self.saved_best = self.best_path if self.history else None
        return True

    def clear(self) -> None:
        """Remove all files but the products."""
        # A kill leaves half a checkpoint, or what safetensors writes to before it renames (.tmp): 300 MB for Table 2.
        for pattern in ("checkpoint.pt*", "best-*", ".tmp*"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def _drop_former_bests(self) -> None:
        """Keep the best weights of now, and those that the checkpoint on disk would continue with."""
        wanted = {self.saved_best} | ({self.best_path} if self.history else set())
        for path in set(self.folder.glob("best-*")) - wanted:
            path.unlink()


class StepSnapshot:
    """What a forward pass changes, the random state and the running statistics: kept, to take a step again."""

    def __init__(self, network: torch.nn.Module) -> None:
        """Make room, on the device."""
        buffers = list(network.buffers())
        kinds = {buffer.dtype for buffer in buffers}  # one copy for all tensors of a type
        self.now = [[buffer for buffer in buffers if buffer.dtype == kind] for kind in kinds]
        self.kept = [[buffer.clone() for buffer in some] for some in self.now]
        self.device = next(network.parameters()).device

    def keep(self) -> None:
        """Keep what is."""
        self.random, self.random_gpu = torch.get_rng_state(), _random_of_gpu(self.device)
        for now, kept in zip(self.now, self.kept, strict=True):
            torch._foreach_copy_(kept, now)

    def restore(self) -> None:
        """Bring back what was kept."""
        torch.set_rng_state(self.random)
        for random in self.random_gpu:
            torch.cuda.set_rng_state(random)
        for now, kept in zip(self.now, self.kept, strict=True):
            torch._foreach_copy_(now, kept)


class StopHandler:
    """Saves by the clock and when the process is asked to stop; says how far the training is."""

    def __init__(self, state: Progress) -> None:
        """Start the clocks."""
        self.state = state
        self.asked_to_stop = 0
        self.saved = self.told = time.monotonic()
        self.sheets = 0

    def __enter__(self) -> Self:
        """Take over SIGTERM and SIGINT."""
        signals = (signal.SIGTERM, signal.SIGINT)
        self.before = {number: signal.signal(number, self._stop) for number in signals}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give them back; one that came after the last step has its effect now."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if kind is None and (asked := self.state.team.agree_to_stop(self.asked_to_stop)):
            self.state.save()
            self._leave(asked)

    def _stop(self, number: int, _: object) -> None:
        self.asked_to_stop = number

    def after_step(self, sheets: int, steps: int) -> None:
        """Save if it is time; leave with 128 + signal, as a shell would, if asked to."""
        now = time.monotonic()
        self.sheets += sheets
        number = self.state.team.agree_to_stop(self.asked_to_stop)
        if number or now - self.saved >= CHECKPOINT_SECONDS:
            self.state.save()
            self.saved = now
        if number:
            self._leave(number)
        if now - self.told >= PROGRESS_SECONDS:
            share, rate = 100 * self.state.step // steps, self.sheets / (now - self.told)
            log.info("epoch %d: %d %% of the training part, %.0f sheets/s", self.state.epoch, share, rate)
            self.told, self.sheets = now, 0

    def _leave(self, number: int) -> NoReturn:
        log.info("stopped in epoch %d: the same command continues from here", self.state.epoch)
        raise SystemExit(128 + number)
