"""Train one network on one split: best weights by validation, bit-identical for one seed on one machine."""

import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Network, Train
from sheetlens.prepare.image_set import open_image_set
from sheetlens.train.backbones import pixel_statistics, read_weights
from sheetlens.train.batches import DoesNotFitError, Part, batch_images, descend_if_it_fits, place, read_ahead
from sheetlens.train.checkpoint import Progress, StepSnapshot, StopHandler, derived_seed
from sheetlens.train.device import Device, choose_device
from sheetlens.train.distributed import join, leave
from sheetlens.train.model_folder import channel_statistics, describe_training, write_model
from sheetlens.train.networks import build_network, for_inference, for_training
from sheetlens.train.optimisation import make_augmentation, make_average, make_optimiser

DIVERGED = 10  # times the loss of one who guesses
TOGETHER = 64  # sheets that are validated together
log = logging.getLogger(__name__)


def train_network(
    pixels: Path,
    index: Path,
    split: Path,
    network: str,
    seed: int,
    settings: Train,
    folder: Path,
    definition: Network | None = None,
) -> None:
    """Train one network and write `weights.safetensors`, `model.json` and `history.csv` into `folder`.

    `network` is its name; `definition` says what it is, if it is none of the paper's, and is part of `model.json`.
    The weights are those of the epoch with the best validation accuracy. While it trains, a checkpoint stands
    in the folder; a later call with the same data and settings continues from it and ends in the same
    bytes. SIGTERM and SIGINT write one before they stop the process. A batch that does not fit into memory is read in
    halves, or halves of these, whose gradients are added up; `did_not_fit` of `model.json` then says from which epoch
    and step (from 0) on how many sheets are read at a time, which are those that batch normalisation counts.
    A training whose loss is no number or diverged, or that names all validation sheets the same, is begun again from
    a derived seed, `settings.restarts` times at most; `restarts` of `model.json` then holds seed, epoch and reason of
    each attempt given up.
    """
    team = join(settings.gpus, settings.device)
    device = choose_device(settings.device, settings.precision, settings.threads, settings.deterministic)
    log.info(device.reason)
    table = files.read_table(index)
    parts = files.read_table(split).set_index("image_id")["part"].reindex(table["image_id"])
    classes = sorted(table["label"].unique())
    pack = open_image_set(pixels)
    weights = read_weights(definition) if definition else None
    if definition and weights is not None:
        mean, std = pixel_statistics(definition).values()
    else:
        mean, std = channel_statistics(pack, np.flatnonzero(parts == "train"))
    images = place(torch.from_numpy(pack), device.name)
    training, validation = (_part(images, table, parts, name, classes, device.name) for name in ("train", "validation"))
    rate = settings.rate(network)
    with torch.device("meta"):
        shapes = build_network(definition or network, len(classes))
    facts = describe_training(table, network, definition, seed, settings, device.name, device.precision, shapes) | {
        "normalisation": {"mean": mean, "std": std},
        "sheets": {"train": len(training.rows), "validation": len(validation.rows)},
        "data": {"index_sha256": files.sha256(index), "split_sha256": files.sha256(split)},
    }
    if team.size > 1:
        facts["processes"] = team.size
    steps = settings.epochs * math.ceil(len(training.rows) / settings.batch_size)

    def begin(restarts: list[dict[str, Any]]) -> Progress:
        torch.manual_seed(derived_seed(seed, len(restarts)))
        net = team.spread(build_network(definition or network, len(classes), settings.dropout, weights))
        net.to(device.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser, schedule = make_optimiser(net, rate, steps, settings.recipe)
        average = make_average(net, settings.recipe)
        state = Progress(net, optimiser, schedule, folder, facts, team, average, restarts=restarts)
        state.loss_sum = state.loss_sum.to(device.name)
        if settings.class_weight == "balanced":
            state.class_weights = balancing_weights(training.labels, len(classes))
        return state

    state = _fit_or_begin_again(begin, training, validation, settings, device)
    leave()
    if team.leads:
        write_model(state, facts, folder)


def balancing_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """What a sheet of each class counts so that all classes count alike, float32, 1 on average; without sheets, 0."""
    counts = labels.bincount(minlength=classes).double()
    shares = torch.where(counts > 0, len(labels) / (counts > 0).sum() / counts.clamp(min=1), 0)
    return shares.float()


def _part(
    images: torch.Tensor, table: pd.DataFrame, parts: pd.Series, name: str, classes: list[str], device: str
) -> Part:
    rows = np.flatnonzero(parts == name)
    labels = pd.Categorical(table["label"].iloc[rows], categories=classes).codes.astype(np.int64)
    return Part(images, torch.from_numpy(rows).to(images.device), torch.from_numpy(labels).to(device))


def _fit_or_begin_again(
    begin: Callable[[list[dict[str, Any]]], Progress],
    training: Part,
    validation: Part,
    settings: Train,
    device: Device,
) -> Progress:
    """Train until an attempt succeeds or none is left; the last one. `begin` takes what is told of those before it."""
    state = begin([])
    if state.load():
        log.info("continuing in epoch %d from the checkpoint", state.epoch)
    while (why := _fit(state, training, validation, settings, device)) and len(state.restarts) < settings.restarts:
        state = begin([*state.restarts, {"seed": state.seed, "epoch": len(state.history), "reason": why}])
        state.save()
        told = (why, len(state.restarts), settings.restarts)
        log.warning("%s: beginning again from another seed (restart %d of at most %d)", *told)
    if why:
        log.warning("%s: the model is of no use (see train.restarts and the audit of the trainings)", why)
    return state


def _fit(state: Progress, training: Part, validation: Part, settings: Train, device: Device) -> str | None:
    """Run epochs until the last one or until patience ends; say why the training failed, if it did.

    Raises UserError where the network is to be compiled and cannot be.
    """
    with StopHandler(state) as watch:
        arguments = (state, at_work(state, settings), training, validation, settings, device, watch)
        try:
            ended = _run_epochs(*arguments)
            while not ended:
                # The thread in which oneDNN once lacked memory for a kernel never gets a new one: another goes on.
                with ThreadPoolExecutor(1) as another:
                    ended = another.submit(_run_epochs, *arguments).result()
        except torch._dynamo.exc.BackendCompilerFailed as error:
            why = str(error).split("\n")[0]
            raise UserError(f"torch cannot compile the network ({why}): set train.compile to false") from None
    return _failure(state)


def at_work(state: Progress, settings: Train) -> torch.nn.Module:
    """The network of a training as it computes."""
    network = state.team.synchronised(for_training(state.network))
    if not settings.compile:
        return network
    torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())  # tells the compiler, too
    # torch's cache of graphs does not ask for which processor they were compiled: those of another corrupt memory.
    return cast(torch.nn.Module, torch.compile(network, options={"fx_graph_cache": False}))


def _run_epochs(
    state: Progress,
    network: torch.nn.Module,
    training: Part,
    validation: Part,
    settings: Train,
    device: Device,
    watch: StopHandler,
) -> bool:
    """Go on with the training; whether it ended, or a batch did not fit and the rest is to be read in smaller parts."""
    while not _ended(state, settings):
        try:
            _train_epoch(state, network, training, settings, device, watch)
        except DoesNotFitError:
            return False
        loss, accuracy, alike = _validate(state, validation)
        state.collapsed += [state.epoch] if alike else []
        train_loss = state.loss_sum.item() / len(training.rows)
        state.end_epoch(train_loss, loss, accuracy)
        told = (len(state.history), settings.epochs, train_loss, loss, 100 * accuracy)
        log.info("epoch %d of %d: loss %.3f, on validation %.3f, accuracy there %.1f %%", *told)
    return True


def _ended(state: Progress, settings: Train) -> bool:
    """Whether all epochs are over, or patience is, or no number came out and another seed may be tried."""
    if not state.history:
        return False
    unimproved = state.epoch - 1 - state.best["epoch"]
    hopeless = _no_number(state) and len(state.restarts) < settings.restarts
    return state.epoch > settings.epochs or unimproved >= settings.patience or hopeless


def _no_number(state: Progress) -> bool:
    """Whether the loss of the last epoch is infinite or NaN, which no further one puts right."""
    return not all(math.isfinite(state.history[-1][name]) for name in ("train_loss", "validation_loss"))


def _failure(state: Progress) -> str | None:
    """Why a finished training is of no use; None where nothing speaks against it."""
    loss, epoch = state.history[-1]["train_loss"], len(state.history)
    if _no_number(state):
        return f"the loss is infinite or no number in epoch {epoch}"
    if loss > DIVERGED * math.log(len(state.facts["classes"])):
        return f"the loss diverged, to {loss:.3g} in epoch {epoch}"
    if state.best["epoch"] in state.collapsed:
        return "all validation sheets got the same answer"
    return None


def _train_epoch(
    state: Progress, network: torch.nn.Module, part: Part, settings: Train, device: Device, watch: StopHandler
) -> None:
    """One pass over the training part, from `state.step` on; the order hangs on seed and epoch alone."""
    seed = 1_000_003 * state.seed + state.epoch
    shuffle = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(part.rows), generator=shuffle).to(part.rows.device)
    if state.step == 0:
        torch.manual_seed(seed)  # dropout and augmentation
    network.train()
    augment = make_augmentation(settings.recipe)
    batches, before = order.split(settings.batch_size), StepSnapshot(state.network)
    left = batches[state.step :]
    pictures = read_ahead(part.pixels, [part.rows[batch] for batch in left], device.name)
    for batch, images in zip(left, pictures, strict=True):
        loss = descend_if_it_fits(state, network, images, part.labels[batch], augment, before, device)
        state.optimiser.step()
        state.schedule.step()
        if state.average:
            state.average.update_parameters(state.network)
        state.loss_sum += state.team.total(loss) * len(batch)
        state.step += 1
        watch.after_step(len(batch), len(batches))


def _validate(state: Progress, part: Part) -> tuple[float, float, bool]:
    """Mean loss and accuracy on a part, and whether all its sheets got the same answer."""
    rows, batch = state.team.share(part.rows), min(TOGETHER, state.micro_batch or TOGETHER)
    logits = predict_logits(state.judged, part.pixels, rows, state.facts["normalisation"], batch)
    logits = state.team.whole(logits, len(part.rows))
    loss = cross_entropy(logits.double(), part.labels).item()
    answers = logits.argmax(1)
    return loss, (answers == part.labels).double().mean().item(), len(answers.unique()) == 1


def predict_logits(
    net: torch.nn.Sequential,
    pixels: torch.Tensor,
    rows: torch.Tensor,
    normalisation: dict[str, list[float]],
    batch_size: int = TOGETHER,
) -> torch.Tensor:
    """Logits of a network for rows of an image set: float32, shape (n, classes)."""
    reader, device = for_inference(net), next(net.parameters()).device.type
    with torch.inference_mode():
        batches = read_ahead(pixels, rows.split(batch_size), device)
        return torch.cat([reader(batch_images(images, normalisation)) for images in batches])
