"""Where on the sheet the evidence lies, as the last layer that still knows places sees it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.progress import reporter
from sheetlens.common.tables import probability_columns
from sheetlens.config import Audit
from sheetlens.predict.inference import load_network
from sheetlens.prepare.image_set import open_image_set
from sheetlens.train.batches import batch_images
from sheetlens.train.device import choose_device
from sheetlens.train.networks import fuse_batchnorm, rebuild

GRID = 32  # cells on a side of a map: eight pixels each, finer than the features of Table 1 (13 on a side)
STEPS = 8  # of the integral, which only has the last linear layers to follow
TOGETHER = 8  # sheets that are explained together: the last linear layers are large, and read once for all
Maps = NDArray[np.float32]


def explain_sheets(
    model: Path, pixels: Path, index: Path, predictions: Path, sheets: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:  # fmt: skip
    """Compute maps for about `sheets` test sheets, spread evenly over the classes (one of each at least) and, within,
    over image_ids.

    Returns image_id, label, answer, `map` (GRID x GRID shares of the evidence, row by row, adding up to 1) and
    `random`: the same from a network with the same layers whose weights were never trained.
    """
    net, facts = load_network(model)
    device = choose_device(facts["settings"]["device"], "float32", facts["settings"]["threads"])
    torch.manual_seed(facts["seed"])
    untrained = rebuild(facts)
    tested = read_tests(predictions, facts["classes"])
    each = max(1, sheets // len(facts["classes"]))
    chosen = pd.concat([_spread(group, each) for _, group in tested.groupby("label")])
    listed = files.read_table(index, ["image_id", "row"])
    with files.reading(index):
        rows = listed.set_index("image_id")["row"].loc[chosen["image_id"]].to_numpy()
    images = torch.from_numpy(open_image_set(pixels))
    table = chosen[["image_id", "label", "answer"]].reset_index(drop=True)
    targets = torch.tensor([facts["classes"].index(answer) for answer in table["answer"]]).to(device.name)
    pictures = [batch_images(images[row : row + 1], facts["normalisation"]).to(device.name) for row in rows]
    maps: dict[str, list[Maps]] = {}
    for name, network in (("map", net), ("random", untrained)):
        layers, head = parted(fuse_batchnorm(network).requires_grad_(False).to(device.name))
        with torch.no_grad():
            features = torch.cat([layers(picture) for picture in pictures])
        usual = features.mean(dim=0, keepdim=True)
        maps[name] = []
        for some, asked in zip(features.split(TOGETHER), targets.split(TOGETHER), strict=True):
            maps[name] += list(evidence_maps(head, some, usual, asked).reshape(len(some), -1))
            progress(len(rows) * (len(maps) - 1) + len(maps[name]), 2 * len(rows))
    return table.assign(**{name: pd.Series(values) for name, values in maps.items()})


def read_tests(predictions: Path, classes: list[str]) -> pd.DataFrame:
    """The test sheets with the `answer` a model gave, sorted by label; UserError where the table has none of them."""
    names = probability_columns(classes)
    table = files.read_table(predictions, ["image_id", "part", "label", *names])
    tested = table[table["part"] == "test"].sort_values(["label", "image_id"])
    if tested.empty:
        raise UserError(f"{predictions} has no sheets of the test part: make the predictions again")
    with files.reading(predictions):
        answers = tested[names].to_numpy(np.float64).argmax(axis=1)
    return tested.assign(answer=np.array(classes, dtype=object)[answers])


def evidence_maps(head: torch.nn.Module, features: torch.Tensor, usual: torch.Tensor, targets: torch.Tensor) -> Maps:
    """Share of the evidence for the class `targets` of each sheet in each cell: float32, shape (n, GRID, GRID).

    `head` turns the last features that still know places (float32, shape (n, channels, height, width)) into logits;
    the shares of a sheet add up to 1.
    Integrated gradients (Sundararajan et al. 2017) of the logit against the mean of all logits, from the `usual`
    features of many sheets, shape (1, channels, height, width), to those of each: what it has and others have not.
    Channels are summed, and what speaks against the class is left out. Gradients on the pixels were tried first: they
    show the edges of plant and label, and hardly change when the weights are drawn at random.
    """
    bent = any(isinstance(layer, torch.nn.ReLU) for layer in head.modules())
    steps = STEPS if bent else 1  # the gradient of a linear head is the same everywhere
    usual = usual.expand_as(features)
    parts = IntegratedGradients(margin(head)).attribute(features, baselines=usual, target=targets, n_steps=steps)
    return to_shares(parts.sum(dim=1, keepdim=True))


def margin(network: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """What is explained of a network: each logit against the mean of all."""

    def against_mean(batch: torch.Tensor) -> torch.Tensor:
        logits = network(batch)
        return logits - logits.mean(dim=1, keepdim=True)

    return against_mean


def to_shares(evidence: torch.Tensor) -> Maps:
    """Evidence at places, shape (n, 1, height, width), as each cell's share of what speaks for the class."""
    evidence = evidence.detach().float().clamp(min=0)
    cells = interpolate(evidence, size=(GRID, GRID), mode="bilinear", antialias=True)[:, 0].cpu().numpy()
    total = cells.sum(axis=(1, 2), keepdims=True)
    flat = np.float32(1 / GRID**2)  # no evidence at all lies nowhere in particular
    return np.where(total > 0, cells / np.where(total > 0, total, 1), flat).astype(np.float32)


def parted(network: torch.nn.Sequential) -> tuple[torch.nn.Sequential, torch.nn.Sequential]:
    """The layers up to the last features with places, and those after; UserError where no such features are."""
    names = [name for name, _ in network.named_children()]
    if "flatten" not in names:
        raise UserError("the network looks at all places of a sheet at once: no map can tell where its evidence lies")
    end = names.index("flatten")
    return network[:end], network[end:]


def _spread(group: pd.DataFrame, count: int) -> pd.DataFrame:
    return group.iloc[np.unique(np.linspace(0, len(group) - 1, min(count, len(group))).round().astype(int))]


def write_maps(settings: Audit, model: Path, pixels: Path, index: Path, output: Path) -> None:
    """Write the attribution maps of some test sheets of a model."""
    told = reporter("sheets explained")
    maps = explain_sheets(model, pixels, index, model / "predictions.parquet", settings.saliency_sheets, told)
    files.write_table(output, maps)
