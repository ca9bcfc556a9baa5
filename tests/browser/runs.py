"""Made-up runs of `predict` that look real to a reviewer: many rows, few pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sheetlens.common.files import sha256, write_json, write_table
from sheetlens.predict.model_package import PARTS
from sheetlens.prepare.resize import POLICY, SIZE

CLASSES = ["stained", "unstained"]
PICTURES = 24
TORN = "damaged: image file is truncated"


def write_run(
    folder: Path, rows: int, size: tuple[int, int] = (300, 420), names: tuple[str, ...] = (), refused: int = 0
) -> Path:
    """Write a run of `predict`; `names` are image_ids for its first rows, the last `refused` are torn files."""
    random, pictures = np.random.default_rng(5), folder / "photographs"
    pictures.mkdir(parents=True)
    for number in range(PICTURES):
        noise = Image.fromarray(random.integers(150, 255, (42, 30, 3), np.uint8)).resize(size)
        noise.save(pictures / f"{number}.jpg")
    named = [*names, *(f"sheets/{number:06}.jpg" for number in range(len(names), rows))]
    barcodes = [str(1_000_000 + number) for number in range(rows)]
    paths = [str(pictures / f"{number % PICTURES}.jpg") for number in range(rows)]
    stained = random.uniform(0, 1, rows)
    sure = np.maximum(stained, 1 - stained)
    decided = np.where(sure > 0.75, np.where(stained > 0.5, *CLASSES), "review")
    table = pd.DataFrame({"image_id": named, "specimen_id": barcodes, "barcode": barcodes})
    table = table.assign(probability_stained=stained, probability_unstained=1 - stained, decision=decided)
    table = table.assign(distance=0.5, unlike=False, status="ok", reason="", sha256="")
    if refused:
        torn = table.index >= rows - refused
        table.loc[torn, ["probability_stained", "probability_unstained", "distance"]] = np.nan
        table.loc[torn, ["decision", "status", "reason"]] = ["", "refused", TORN]
        paths[-refused:] = [str(pictures / "torn.jpg")] * refused
        (pictures / "torn.jpg").write_bytes((pictures / "0.jpg").read_bytes()[:900])
    write_table(folder / "predictions.parquet", table)
    write_table(folder / "list.parquet", pd.DataFrame({"image_id": named, "path": paths}))
    write_json(folder / "summary.json", {
        "model": {"title": "Mercury-stained or unstained", "classes": CLASSES},
        "asked": {"risk": 0.05, "threshold": 1.1, "guaranteed": True},
    })  # fmt: skip
    return folder


def write_model(folder: Path, classes: list[str] = CLASSES) -> Path:
    """Write a packaged model of Table 1 that learnt nothing."""
    import torch
    from safetensors.torch import save_file

    from sheetlens.train.networks import build_network

    folder.mkdir(parents=True)
    torch.manual_seed(7)
    save_file(build_network("table1", len(classes)).state_dict(), folder / "weights.safetensors")
    features = 2 * (16 + 32 + 64 + 48)
    typical = {"centre": torch.full((features,), 0.5), "whitening": torch.eye(features)}
    save_file(typical, folder / "typical.safetensors")
    normalisation = {"mean": [0.7, 0.7, 0.6], "std": [0.2, 0.2, 0.2]}
    facts = {"network": "table1", "classes": classes, "seed": 1, "normalisation": normalisation}
    write_json(folder / "model.json", facts | {"settings": {"dropout": 0.5, "threads": 1}})
    write_json(folder / "package.json", {
        "dataset": "mercury", "title": "Mercury-stained or unstained", "classes": classes, "image_size": SIZE,
        "policy": POLICY, "fit": "squash", "temperature": 1.0, "limit": 100.0, "thresholds": [],
        "confusion": [], "shares": {}, "errors": {}, "floors": [], "reference": [], "independent": 0, "group_size": 1.0,
        "trained_on": 1, "unlike": 0.01,
        "files": {name: sha256(folder / name) for name in PARTS},
    })  # fmt: skip
    return folder
