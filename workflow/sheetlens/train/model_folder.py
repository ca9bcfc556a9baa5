"""What a training leaves in its model's folder: `model.json`, `history.csv` and, last, the weights."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.config import Network, Train
from sheetlens.prepare.resize import SIZE
from sheetlens.train.checkpoint import Progress


def describe_training(
    table: pd.DataFrame,
    network: str,
    definition: Network | None,
    seed: int,
    settings: Train,
    device: str,
    precision: str,
    net: torch.nn.Module,
) -> dict[str, Any]:
    """What `model.json` says of every training: `table` is the image set's index, `net` the network, of any device."""
    facts = {
        "network": network,
        "classes": sorted(table["label"].unique()),
        "image_size": SIZE,
        "fit": table["fit"].iloc[0],
        "policy": table["policy"].iloc[0],
        "normalisation": {},
        "seed": seed,
        "settings": settings.model_dump(exclude={"gpus", "restarts"}) | {"learning_rate": settings.rate(network)},
        "device": device,
        "precision": precision,
        "parameters": sum(tensor.numel() for tensor in net.parameters()),
        "sheets": {},
        "data": {},
        "versions": {"sheetlens": __version__} | {name: version(name) for name in ("torch", "numpy")},
    }
    if "mask" in table:
        facts["mask"] = table["mask"].iloc[0].split(",")
    return facts | ({"definition": definition.facts} if definition else {})


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


def write_model(state: Progress, facts: dict[str, Any], folder: Path) -> None:
    """Write the products, the weights last: until they are there, a killed training goes on from its checkpoint."""
    files.write_table(folder / "history.csv", pd.DataFrame(state.history).astype({"epoch": int}))
    chosen = {
        "best_epoch": state.best["epoch"],
        "epochs_run": len(state.history),
        "validation_loss": state.best["validation_loss"],
        "validation_accuracy": state.best["validation_accuracy"],
        "weights_sha256": files.sha256(state.best_path),
    }
    if state.fallbacks:
        chosen["did_not_fit"] = state.fallbacks
    if state.restarts:
        chosen["restarts"] = state.restarts
    files.write_json(folder / "model.json", facts | chosen)
    state.best_path.replace(folder / "weights.safetensors")
    state.clear()
