"""Made-up runs of `predict` that look real to a reviewer: many rows, few pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sheetlens.files import write_json, write_table

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
        "asked": {"risk": 0.05, "threshold": 0.75, "guaranteed": False},
    })  # fmt: skip
    return folder
