"""Train the head of a frozen backbone on features computed before: a model folder as every network's, in moments."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from scipy.special import log_softmax

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Network, Split, Train
from sheetlens.features.head import fit_head
from sheetlens.features.product import open_features
from sheetlens.split.groups import group_sheets
from sheetlens.split.sheets import read_sheets
from sheetlens.train.backbones import pixel_statistics, read_weights
from sheetlens.train.model_folder import describe_training
from sheetlens.train.networks import build_network

log = logging.getLogger(__name__)


def train_head(
    features: Path,
    index: Path,
    manifest: Path,
    duplicates: Path,
    split: Path,
    network: str,
    definition: Network,
    seed: int,
    settings: Train,
    grouping: Split,
    folder: Path,
) -> None:
    """Fit the head on the training part and write `weights.safetensors`, `model.json` and `history.csv` into `folder`.

    The strength is chosen inside the training part by cross-validation in which what belongs together (the config's
    `split.groups`) stays together; the validation part is left for temperature and thresholds. The seed decides the
    split alone. `model.json` is that of any other network, with `strength` and `losses` of the choice; the history
    has one row. Raises UserError where the training part has sheets of one class only, or features are no numbers.
    """
    values, made = open_features(features)
    table = files.read_table(index)
    if made["index_sha256"] != files.sha256(index) or made["definition"] != definition.facts:
        raise UserError(f"{features} was made from other sheets or by another network: run the same command again")
    parts = files.read_table(split).set_index("image_id")["part"].reindex(table["image_id"]).to_numpy()
    classes = sorted(table["label"].unique())
    truth = pd.Categorical(table["label"], categories=classes).codes.astype(np.int64)
    rows = {name: np.flatnonzero(parts == name) for name in ("train", "validation")}
    chosen = rows["train"]
    groups = _groups(table, index, manifest, duplicates, grouping)[chosen]
    try:
        head = fit_head(
            values[chosen], truth[chosen], len(classes), groups, balanced=settings.class_weight == "balanced"
        )
    except ValueError as error:
        raise UserError(f"the head of {network} cannot be trained with seed {seed}: {error}") from None
    net = build_network(definition, len(classes), settings.dropout, read_weights(definition))
    output = net.get_submodule("output")
    output.weight = torch.nn.Parameter(torch.from_numpy(head.weight.astype(np.float32)))
    output.bias = torch.nn.Parameter(torch.from_numpy(head.bias.astype(np.float32)))
    right, loss = {}, {}
    for name, some in rows.items():
        logits = log_softmax(head.logits(values[some]), axis=1)
        right[name] = float((logits.argmax(axis=1) == truth[some]).mean())
        loss[name] = float(-logits[np.arange(len(some)), truth[some]].mean())
    history = {"epoch": 1, "train_loss": loss["train"], "validation_loss": loss["validation"]}
    files.write_table(folder / "history.csv", pd.DataFrame([history | {"validation_accuracy": right["validation"]}]))
    with files.whole(folder / "weights.safetensors") as part:
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, part)
    facts = describe_training(table, network, definition, seed, settings, made["device"], made["precision"], net)
    facts |= {
        "normalisation": pixel_statistics(definition),
        "sheets": {name: len(some) for name, some in rows.items()},
        "data": {name: files.sha256(path) for name, path in (("index_sha256", index), ("split_sha256", split))},
        "features": {key: made[key] for key in ("size", "device", "precision", "tensors_sha256")},
        "strength": head.strength,
        "losses": {f"{tried:g}": value for tried, value in head.losses.items()},
        "best_epoch": 1,
        "epochs_run": 1,
        "validation_loss": loss["validation"],
        "validation_accuracy": right["validation"],
        "weights_sha256": files.sha256(folder / "weights.safetensors"),
    }
    files.write_json(folder / "model.json", facts)
    told = (len(chosen), values.shape[1], head.strength, 100 * right["validation"])
    log.info("a head on %d sheets of %d features, strength %g: %.1f %% right on validation", *told)


def _groups(table: pd.DataFrame, index: Path, manifest: Path, duplicates: Path, grouping: Split) -> np.ndarray:
    """Number of the group of each sheet, in the order of the index."""
    sheets = read_sheets(index, manifest)
    found = pd.Series(group_sheets(sheets, files.read_table(duplicates), grouping), index=sheets["image_id"])
    return found.loc[table["image_id"]].to_numpy()
