"""Let a trained network read sheets: a probability for each class."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sheetlens import files
from sheetlens.device import choose_device
from sheetlens.networks import build_network
from sheetlens.pack import open_pack
from sheetlens.train import predict_logits


def load_network(folder: Path) -> tuple[torch.nn.Sequential, dict[str, Any]]:
    """Read a model folder: the network with its weights, and what `model.json` says.

    Nothing in the files is executed (safetensors and JSON).
    """
    facts = files.read_json(folder / "model.json")
    with torch.device("meta"):  # no need to draw weights that are replaced at once
        net = build_network(facts["network"], len(facts["classes"]), facts["settings"]["dropout"])
    net.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    return net, facts


def predict_sheets(model: Path, pixels: Path, index: Path, split: Path, output: Path) -> None:
    """Predict every sheet of an image set and write image_id, part, label and probability_{class}.

    Probabilities are float32, one column per class in alphabetical order, and add up to 1.
    """
    net, facts = load_network(model)
    device = choose_device(facts["settings"]["device"], "float32", facts["settings"]["threads"])
    net.to(device.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.from_numpy(open_pack(pixels)).to(device.name)
    rows = torch.arange(len(images), device=device.name)
    logits = predict_logits(net, images, rows, facts["normalisation"])
    probabilities = logits.double().softmax(1).float().cpu().numpy()
    table = files.read_table(index)[["image_id", "label"]].merge(
        files.read_table(split)[["image_id", "part"]], on="image_id", how="left", validate="one_to_one"
    )
    table = table[["image_id", "part", "label"]]
    for number, label in enumerate(facts["classes"]):
        table[f"probability_{label}"] = probabilities[:, number]
    files.write_table(output, table)
