"""Sheets of an image set as batches on the device, and the gradients of one, in parts where it does not fit."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from sheetlens.common.errors import UserError
from sheetlens.train.checkpoint import Progress, StepSnapshot
from sheetlens.train.cpu_layers import scale_channels
from sheetlens.train.device import Device

SHARE = 0.5  # of a GPU's free memory that an image set may take; a training needs the rest
Augment = Callable[[torch.Tensor], torch.Tensor]  # pictures to pictures
log = logging.getLogger(__name__)


@dataclass
class Part:
    """Images and labels of one part.

    `pixels` is the whole image set, uint8, shape (N, 3, 256, 256), where `place` put it; `rows` int64, shape (n,),
    points into it and lies beside it; `labels` int64, shape (n,), on the device, counts classes in alphabetical order.
    """

    pixels: torch.Tensor
    rows: torch.Tensor
    labels: torch.Tensor


def place(pixels: torch.Tensor, device: str) -> torch.Tensor:
    """An image set on the device; left where it is if it would take more than a SHARE of what is free on a GPU."""
    if device == "cuda" and pixels.nbytes > SHARE * torch.cuda.mem_get_info()[0]:
        log.info("the image set (%.1f GB) does not fit into the GPU's memory: it is read ahead", pixels.nbytes / 1e9)
        return pixels
    return pixels.to(device)


def read_ahead(pixels: torch.Tensor, batches: Sequence[torch.Tensor], device: str) -> Iterator[torch.Tensor]:
    """The sheets of one batch of rows after the other, uint8, shape (n, 3, 256, 256), on the device.

    From an image set that is not in a GPU's memory, the next ones are read while the last are computed with.
    """
    if pixels.is_cuda:
        yield from (pixels.index_select(0, rows) for rows in batches)
        return

    pack = pixels.numpy()  # of which NumPy takes sheets: torch would have another pool of threads for this one

    def read(rows: torch.Tensor) -> torch.Tensor:
        images = torch.from_numpy(pack[rows.numpy()])
        return images.pin_memory() if device == "cuda" else images

    with ThreadPoolExecutor(1) as reader:
        coming = [reader.submit(read, rows) for rows in batches[:1]]
        for number in range(len(batches)):
            images = coming.pop().result()
            coming += [reader.submit(read, rows) for rows in batches[number + 1 : number + 2]]
            yield images.to(device, non_blocking=True)


def batch_images(
    images: torch.Tensor, normalisation: dict[str, list[float]], augment: Augment | None = None
) -> torch.Tensor:
    """Sheets, uint8, shape (n, 3, 256, 256), as a network reads them: float32, channels last, normalised by channel."""
    mean, std = (torch.tensor(normalisation[key]) for key in ("mean", "std"))
    # Not blocking: otherwise the processor would wait in each step until a GPU has done all it was given.
    scale = (some.to(images.device, non_blocking=True) for some in (1 / (255 * std), -mean / std))
    if augment:
        images = augment(images)
    return scale_channels(images.contiguous(memory_format=torch.channels_last), *scale)


class DoesNotFitError(Exception):
    """A batch does not fit; the state is that of before it, and says how much of it to read at a time."""


def descend_if_it_fits(
    state: Progress,
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    augment: Augment | None,
    before: StepSnapshot,
    device: Device,
) -> torch.Tensor:
    """Gradients and loss of a batch, from as many of its sheets at a time as are known to fit into memory.

    Where these do not fit either, half as many are taken from there on, to the end of the training, and a checkpoint
    says so: a continued training takes the same. Raises DoesNotFitError then, UserError where not even one sheet fits.
    """
    before.keep()
    size = state.micro_batch or len(images)
    try:
        return descend(state, network, images, labels, size, augment, device)
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
    size = min(size, len(images))
    half = -(-size // 2)
    state.fallbacks.append({"epoch": state.epoch, "step": state.step, "sheets": half})
    log.info("%d sheets do not fit into memory (%s)", size, why)
    told = (state.epoch, len(images), half)
    log.info("from epoch %d on, batches of %d are read %d at a time; so batch normalisation counts these", *told)
    state.save()
    raise DoesNotFitError


def descend(
    state: Progress,
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    augment: Augment | None,
    device: Device,
) -> torch.Tensor:
    """Add up the gradients of a batch, `size` sheets at a time; its mean loss, float64, without those of the team."""
    state.optimiser.zero_grad(set_to_none=True)
    losses = []
    shares = (state.team.share(whole).split(size) for whole in (images, labels))
    for some, expected in zip(*shares, strict=True):
        ready = batch_images(some, state.facts["normalisation"], augment)
        with torch.autocast(device.name, torch.bfloat16, enabled=device.bfloat16):
            logits = network(ready)
        loss = cross_entropy(logits.float(), expected, state.class_weights, reduction="sum") / len(images)
        (state.team.size * loss).backward()  # the loss is a sum over the processes, their gradients become a mean
        losses.append(loss.detach().double())
    return torch.stack(losses).sum()


def lacks_memory(error: Exception) -> bool:
    """Whether it says so: torch has a class of error for its own memory of a GPU, the others only have words."""
    of_torch, of_cuda = ("you tried to allocate",), ("CUDA error: out of memory", "STATUS_ALLOC_FAILED")
    words = (*of_torch, *of_cuda, "could not create a primitive", "could not create a memory")  # the last are oneDNN's
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(some in str(error) for some in words)
