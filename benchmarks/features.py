"""Pretrained features and a linear head: accuracy on few sheets, and what they cost.

`python -m benchmarks.features [DATA] [--only accuracy|speed|predict] [--curve] [--figure docs/features-curve]`: DATA is
the folder of real sheets (default: the variable SHEETLENS_REAL_DATA), of which `piperaceae` gives the accuracies and
`sheets_fullres` the photographs for `predict`.

- Accuracy, five seeds: ten folds at random; eight folds of whole herbaria; 50 sheets at random for training and the
  others for the test. Intervals are by herbarium (bootstrap), since sheets of one herbarium are alike.
- `--curve`: 20, 50, 100 and 200 labelled sheets for features, the same backbone fine-tuned, and Table 1, each with the
  same test sheets; a fifth of the labelled sheets of the trained networks is their validation part. Takes about an hour
  on two cores. With `--figure` the table (.csv) and the figure (.svg) are written.
- Likeness: the share of `odd` pictures, and of sheets of herbaria that are in no training part, that lie beyond the
  limit of a model's distance (99 % of a validation part of the training's herbaria). With `--curve` also of Table 1.
- `ratio_torch`: sheets/s against the same backbone in plain torch (float32, no fused layers); `ratio_onnxruntime`:
  against ONNX Runtime on the same backbone exported; both read the same sheets in turns, medians.
- `ratio_predict`: the time that decoding and reading take alone, together, over that of `predict`.

The last line is a JSON object.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit

from benchmarks.feature_curve import SEEDS, TRAINED, curve, draw
from benchmarks.feature_speed import THREADS, predicting, speeds
from sheetlens.common import files
from sheetlens.config.networks import FEATURES
from sheetlens.features.extraction import FeatureReader
from sheetlens.features.head import fit_head
from sheetlens.predict import out_of_distribution
from sheetlens.predict.inference import load_network, read_batch
from sheetlens.prepare.resize import POLICY, RefusedImageError, read_sheet
from sheetlens.train.batches import batch_images
from sheetlens.train.efficientnet_lite import EfficientNetLite
from sheetlens.train.networks import for_inference
from sheetlens.train.training import train_network

MIDDLE = EfficientNetLite().middle
DRAWS = 4


def read_sheets(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, labels (1: piper) and herbaria of the real sheets; the herbarium stands in the file's name."""
    paths = sorted(path for name in ("not_piper", "piper") for path in (folder / name).glob("*.jpg"))
    pixels = np.stack([read_sheet(path.read_bytes()).pixels for path in paths])
    labels = np.array([int(path.parent.name == "piper") for path in paths])
    herbaria = [path.stem.split("_")[1].rstrip("0123456789-").upper()[:4] for path in paths]
    return pixels, labels, np.array(herbaria)


def accuracies(values: np.ndarray, labels: np.ndarray, herbaria: np.ndarray) -> dict[str, float]:
    """The three accuracies with their intervals, printed as a table."""
    right = {"random": [], "held_out": [], "50": []}
    for seed in SEEDS:
        folds = StratifiedKFold(10, shuffle=True, random_state=seed).split(values, labels)
        right["random"].append(test_folds(values, labels, herbaria, folds))
        folds = StratifiedGroupKFold(8, shuffle=True, random_state=seed).split(values, labels, herbaria)
        right["held_out"].append(test_folds(values, labels, herbaria, folds))
        folds = StratifiedShuffleSplit(DRAWS, train_size=50, random_state=seed).split(values, labels)
        right["50"].append(test_folds(values, labels, herbaria, folds))
    found = {}
    for name, seeds in right.items():
        mean = np.nanmean(seeds, axis=0)
        low, high = by_group(mean, herbaria)
        spread = statistics.stdev(float(np.nanmean(one)) for one in seeds)
        found[f"accuracy_{name}"] = round(float(np.nanmean(seeds)), 4)
        print(f"{name:<9} {100 * np.nanmean(seeds):5.1f} %  SD over seeds {100 * spread:.1f}  95 % by herbarium "
              f"{100 * low:.1f} to {100 * high:.1f}")  # fmt: skip
    return found


def test_folds(values, labels, herbaria, folds) -> np.ndarray:
    """Share of right answers for each sheet over the folds in whose test part it is; NaN where in none."""
    total, count = np.zeros(len(labels)), np.zeros(len(labels))
    for train, test in folds:
        head = fit_head(values[train], labels[train], 2, groups=herbaria[train] if len(train) > 100 else None)
        total[test] += head.probabilities(values[test]).argmax(1) == labels[test]
        count[test] += 1
    return np.divide(total, count, out=np.full(len(labels), np.nan), where=count > 0)


def by_group(right: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean over sheets, by a bootstrap of groups."""
    kept = ~np.isnan(right)
    _, number = np.unique(groups[kept], return_inverse=True)
    sums, counts = np.bincount(number, right[kept]), np.bincount(number)
    drawn = np.random.default_rng(0).integers(0, len(sums), (2000, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def likeness(data: Path, pixels: np.ndarray, labels: np.ndarray, herbaria: np.ndarray, networks: Sequence[str]) -> None:
    """Print the shares of odd pictures and of unseen herbaria's sheets that each network's distance flags."""
    odd = []
    for path in sorted((data / "odd").iterdir()):
        try:
            odd.append(read_sheet(path.read_bytes()).pixels)
        except RefusedImageError:
            continue
    every = np.concatenate([pixels, odd])
    features = FeatureReader(device="cpu", threads=THREADS).read(every)
    for network in networks:
        odd_flagged, herbaria_flagged = [], []
        folds = StratifiedGroupKFold(8, shuffle=True, random_state=1).split(labels, labels, herbaria)
        for train, test in list(folds)[: None if network == FEATURES else 2]:
            known = np.random.default_rng(1).permutation(train)
            validation, train = known[: len(known) // 5], known[len(known) // 5 :]
            seen = features if network == FEATURES else seen_by_table1(every, labels, train, validation)
            fitted = out_of_distribution.fit(seen[train], MIDDLE if network == FEATURES else None)
            distances = out_of_distribution.distance(seen, fitted)
            limit = np.quantile(distances[validation], 0.99, method="higher")
            odd_flagged.append((distances[len(pixels) :] > limit).mean())
            herbaria_flagged += list(distances[test] > limit)
        shares = [100 * float(np.mean(flagged)) for flagged in (odd_flagged, herbaria_flagged)]
        print(f"likeness, {network}: {shares[0]:.1f} % of {len(odd)} odd pictures are flagged, and {shares[1]:.1f} % of"
              f" {len(herbaria_flagged)} sheets of unseen herbaria")  # fmt: skip


def seen_by_table1(every: np.ndarray, labels: np.ndarray, train: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """What Table 1's network, trained on some of the sheets, sees of all pictures."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        np.save(place / "pixels.npy", every[: len(labels)])
        index = pd.DataFrame({"image_id": [f"{n:04}" for n in range(len(labels))], "label": np.where(labels, "a", "b")})
        files.write_table(place / "index.parquet", index.assign(row=range(len(labels)), fit="squash", policy=POLICY))
        parts = np.full(len(labels), "test", object)
        parts[train], parts[validation] = "train", "validation"
        files.write_table(place / "split.tsv", index[["image_id"]].assign(part=parts))
        data = (place / "pixels.npy", place / "index.parquet", place / "split.tsv")
        train_network(*data, "table1", 1, TRAINED["table1"][1], place / "model")
        net, facts = load_network(place / "model")
    reader = for_inference(net)
    with torch.inference_mode():
        batches = torch.from_numpy(every).split(32)
        return torch.cat(
            [read_batch(reader, batch_images(some, facts["normalisation"]))[1] for some in batches]
        ).numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get("SHEETLENS_REAL_DATA"))
    parser.add_argument("--only", choices=["accuracy", "speed", "predict"])
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    if not given.data:
        parser.error("name the folder of real sheets, or set SHEETLENS_REAL_DATA")
    pixels, labels, herbaria = read_sheets(Path(given.data) / "piperaceae")
    values = FeatureReader(device="cpu", threads=THREADS).read(pixels)
    found: dict[str, object] = {"benchmark": "features"}
    if given.only in (None, "accuracy"):
        found |= accuracies(values, labels, herbaria)
        likeness(Path(given.data), pixels, labels, herbaria, [FEATURES, "table1"] if given.curve else [FEATURES])
    if given.only in (None, "speed"):
        found |= speeds(pixels)
    if given.only in (None, "predict"):
        found |= predicting(Path(given.data) / "sheets_fullres", values, pixels, labels)
    if given.curve:
        table = curve(pixels, values, labels)
        print(table.pivot_table(index="sheets", columns="way", values="accuracy", aggfunc=["mean", "std"]).round(3))
        if given.figure:
            draw(table, given.figure)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
