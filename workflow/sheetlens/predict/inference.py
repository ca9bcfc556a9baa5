"""Let a trained network read sheets: a probability for each class, and how like the training part each sheet is."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load_file

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import probability_column
from sheetlens.features.extraction import in_precision
from sheetlens.features.product import open_features
from sheetlens.predict import out_of_distribution
from sheetlens.prepare.image_set import open_image_set
from sheetlens.train.backbones import Features
from sheetlens.train.batches import batch_images, place, read_ahead
from sheetlens.train.device import Device, choose_device
from sheetlens.train.efficientnet_lite import EfficientNetLite, FusedLite
from sheetlens.train.networks import for_inference, rebuild

BATCH = 32  # sheets that are read together


def load_network(folder: Path) -> tuple[torch.nn.Sequential, dict[str, Any]]:
    """Read a model folder: the network with its weights, and what `model.json` says.

    Nothing in the files is executed (safetensors and JSON).
    """
    facts = files.read_object(folder / "model.json", ("classes", "network"))
    with torch.device("meta"):  # no need to draw weights that are replaced at once
        net = rebuild(facts)
    with files.reading(folder / "weights.safetensors"):
        try:
            weights = load_file(folder / "weights.safetensors")
        except SafetensorError as error:
            raise ValueError(error) from None
    net.load_state_dict(weights, assign=True)
    return net.eval(), facts


def read_batch(net: torch.nn.Sequential, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, shape (n, classes), and features for `out_of_distribution`, shape (n, d), of images; both float32.

    Features are mean and standard deviation over the picture of each channel behind each convolution's group; of a
    backbone, the mean of each channel of its last features.
    """
    features = []
    for layer in net:
        images = layer(images)
        if isinstance(layer, torch.nn.ReLU) and images.ndim == 4:
            pixels = images.permute(0, 2, 3, 1).flatten(1, 2)  # as they lie in memory: std_mean takes twice as long
            mean = pixels.mean(1)
            features += [mean, (pixels - mean[:, None]).square_().mean(1).sqrt_()]
        elif isinstance(layer, Features):
            features.append(images.flatten(2).mean(2) if images.ndim == 4 else images)
    return images, torch.cat(features, dim=1)


def reading_device(facts: dict[str, Any], device: str, threads: int) -> Device:
    """Where a model of `model.json` reads sheets: in float32, or, where its features were computed so, in bfloat16."""
    features = facts.get("features", {}).get("precision", "float32")
    return choose_device(device, "float32" if features == "float32" else "auto", threads)


def predict_sheets(
    model: Path,
    pixels: Path,
    index: Path,
    split: Path,
    output: Path,
    typical: Path,
    groups: Path | None = None,
    features: Path | None = None,
) -> None:
    """Predict every sheet of an image set and write a table with a row for each.

    Its columns: image_id, specimen_id, group (the same for sheets that belong together, from the table `groups`; each
    by itself without it), part, label, probability_{class} and distance.

    Probabilities are float32, one column per class in alphabetical order, and add up to 1. The distance is that of
    `out_of_distribution` from the training part, float32; what is needed to take it for other sheets goes to `typical`.
    Where the `features` that a head was trained on are there (see `features.product`), only the head is computed.
    Raises UserError for a network whose training ended in NaN, and for features of other sheets or another backbone.
    """
    net, facts = load_network(model)
    if features:
        logits, seen = _read_features(net, facts, features)
    else:
        device = reading_device(facts, facts["settings"]["device"], facts["settings"]["threads"])
        net = in_precision(for_inference(net), device.bfloat16)
        net.to(device.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = place(torch.from_numpy(open_image_set(pixels)), device.name)
        logits, seen = _read_all(net, images, facts["normalisation"], device.name)
    probabilities = logits.double().softmax(1).float().numpy()
    if not (np.isfinite(probabilities).all() and np.isfinite(seen).all()):
        raise UserError(
            f"the network in {model} gives no finite probabilities, its training failed: lower train.learning_rate,"
            " or restart such trainings with a new seed (train.restarts)"
        )
    table = files.read_table(index)[["image_id", "specimen_id", "label"]].merge(
        files.read_table(split)[["image_id", "part"]], on="image_id", how="left", validate="one_to_one"
    )
    known = out_of_distribution.fit(seen[(table["part"] == "train").to_numpy()], middle_features(net))
    if groups:
        related = files.read_table(groups)[["image_id", "group"]]
        table = table.merge(related, on="image_id", how="left", validate="one_to_one")
    else:
        table["group"] = table["image_id"]
    table = table[["image_id", "specimen_id", "group", "part", "label"]]
    for number, label in enumerate(facts["classes"]):
        table[probability_column(label)] = probabilities[:, number]
    table["distance"] = out_of_distribution.distance(seen, known).astype(np.float32)
    files.write_table(output, table)
    with files.whole(typical) as part:
        part.write_bytes(save(known))


def middle_features(net: torch.nn.Sequential) -> int | None:
    """How many of a backbone's features, the first, tell what is no sheet at all; None for all."""
    inside = [one for layer in net if isinstance(layer, Features) for one in layer]
    return next((one.middle for one in inside if isinstance(one, (EfficientNetLite, FusedLite))), None)


def _read_features(
    net: torch.nn.Sequential, facts: dict[str, Any], features: Path
) -> tuple[torch.Tensor, NDArray[np.float32]]:
    values, made = open_features(features)
    if (
        made["index_sha256"] != facts["data"]["index_sha256"]
        or made.get("tensors_sha256") != (facts["features"]["tensors_sha256"])
    ):
        raise UserError(f"{features} are not the features that the model was trained on: run the same command again")
    seen = np.array(values)
    with torch.inference_mode():
        return net.get_submodule("output")(torch.from_numpy(seen)), seen


def _read_all(
    net: torch.nn.Sequential, pixels: torch.Tensor, normalisation: dict[str, list[float]], device: str
) -> tuple[torch.Tensor, NDArray[np.float32]]:
    rows = torch.arange(len(pixels), device=pixels.device)
    with torch.inference_mode():
        batches = read_ahead(pixels, rows.split(BATCH), device)
        read = [read_batch(net, batch_images(images, normalisation)) for images in batches]
    logits, features = (torch.cat(column).cpu() for column in zip(*read, strict=True))
    return logits, features.numpy()
