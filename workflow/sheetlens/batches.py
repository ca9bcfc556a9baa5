"""Sheets of an image set as batches on the device, and the gradients of one, in parts where it does not fit."""

import logging
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from sheetlens.checkpoint import Before, Progress
from sheetlens.device import Device
from sheetlens.errors import UserError
from sheetlens.layers import scale_channels
from sheetlens.recipe import Augment

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


def batch_images(
    pixels: torch.Tensor,
    rows: torch.Tensor,
    normalisation: dict[str, list[float]],
    augment: Augment | None = None,
) -> torch.Tensor:
    """Pick rows of an image set: float32, shape (n, 3, 256, 256), channels last, normalised by channel."""
    mean, std = (torch.tensor(normalisation[key], device=pixels.device) for key in ("mean", "std"))
    images = pixels.index_select(0, rows)
    if augment:
        images = augment(images)
    return scale_channels(images.contiguous(memory_format=torch.channels_last), 1 / (255 * std), -mean / std)


class DoesNotFitError(Exception):
    """A batch does not fit; the state is that of before it, and says how much of it to read at a time."""


def descend_if_it_fits(
    state: Progress,
    network: torch.nn.Module,
    part: Part,
    batch: torch.Tensor,
    augment: Augment | None,
    before: Before,
    device: Device,
) -> torch.Tensor:
    """Gradients and loss of a batch, from as many of its sheets at a time as are known to fit into memory.

    Where these do not fit either, half as many are taken from there on, to the end of the training, and a checkpoint
    says so: a continued training takes the same. Raises DoesNotFitError then, UserError where not even one sheet fits.
    """
    before.keep()
    size = state.micro_batch or len(batch)
    try:
        return descend(state, network, part, batch, size, augment, device)
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        why = str(error).split("\n")[0]
    # Only here has the exception let go of what the failed pass had in memory.
    if state.team.size > 1:  # the others wait for this one's gradients
        raise UserError(f"a batch does not fit into a GPU's memory ({why}): set a smaller train.batch_size")
    if size == 1:
        raise UserError(f"not even one sheet of a batch fits into memory ({why}): free some, or use a larger machine")
    before.restore()
    torch.cuda.empty_cache()
    half = -(-min(size, len(batch)) // 2)
    state.fallbacks.append({"epoch": state.epoch, "step": state.step, "sheets": half})
    log.info("%d sheets do not fit into memory (%s)", size, why)
    told = (state.epoch, len(batch), half)
    log.info("from epoch %d on, batches of %d are read %d at a time; so batch normalisation counts these", *told)
    state.save()
    raise DoesNotFitError


def descend(
    state: Progress,
    network: torch.nn.Module,
    part: Part,
    batch: torch.Tensor,
    size: int,
    augment: Augment | None,
    device: Device,
) -> torch.Tensor:
    """Add up the gradients of a batch, `size` sheets at a time; its mean loss, float64, without those of the team."""
    state.optimiser.zero_grad(set_to_none=True)
    losses = []
    for share in state.team.share(batch).split(size):
        images = batch_images(part.pixels, part.rows[share], state.facts["normalisation"], augment)
        with torch.autocast(device.name, torch.bfloat16, enabled=device.bfloat16):
            logits = network(images)
        loss = cross_entropy(logits.float(), part.labels[share], reduction="sum") / len(batch)
        (state.team.size * loss).backward()  # the loss is a sum over the processes, their gradients become a mean
        losses.append(loss.detach().double())
    return torch.stack(losses).sum()


def lacks_memory(error: Exception) -> bool:
    """Whether it says so: for the CPU neither torch nor oneDNN has a class of error, but words."""
    words = ("you tried to allocate", "could not create a primitive", "could not create a memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(some in str(error) for some in words)
