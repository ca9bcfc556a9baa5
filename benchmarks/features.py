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
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit

from sheetlens.common import files
from sheetlens.config import LIMITS, Network, Train
from sheetlens.config.networks import BUILT_IN, FEATURES
from sheetlens.features.extraction import FeatureReader
from sheetlens.features.head import fit_head
from sheetlens.predict import out_of_distribution
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.collection_predictions import merge, write_part
from sheetlens.predict.input_list import write_list
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import POLICY, RefusedImageError, read_sheet
from sheetlens.train.backbones import read_weights
from sheetlens.train.efficientnet_lite import PIXELS, EfficientNetLite

MIDDLE = EfficientNetLite().middle
SEEDS, SIZES, DRAWS = range(1, 6), (20, 50, 100, 200), 4
ROUNDS, SHEETS, THREADS, COPIES = 5, 64, 2, 8
FINE_TUNED = Network(backbone="efficientnet_lite0", weights={"installed": True}, train="all")
TRAINED = {  # the steps that suit a few hundred sheets: chosen on the validation parts
    "fine-tuned": (
        FINE_TUNED,
        Train(epochs=20, batch_size=16, learning_rate={"fine-tuned": 3e-4}, recipe={"flip": True}),
    ),
    "table1": (None, Train(epochs=20, batch_size=16, learning_rate={"table1": 3e-4})),
}


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


def curve(pixels: np.ndarray, values: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Accuracy of each way by number of labelled sheets and seed."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.save(place / "pixels.npy", pixels)
        names = [f"{number:04}" for number in range(len(labels))]
        index = pd.DataFrame({"image_id": names, "label": np.where(labels, "piper", "other")})
        files.write_table(place / "index.parquet", index.assign(row=range(len(labels)), fit="squash", policy=POLICY))
        for size in SIZES:
            for seed in SEEDS:
                split = StratifiedShuffleSplit(1, train_size=size, random_state=seed).split(values, labels)
                labelled, test = next(split)
                head = fit_head(values[labelled], labels[labelled], 2)
                right = {"features": (head.probabilities(values[test]).argmax(1) == labels[test]).mean()}
                for way in TRAINED:
                    right[way] = trained(way, place, index, labelled, test, labels, seed)
                rows += [
                    {"sheets": size, "seed": seed, "way": way, "accuracy": float(one)} for way, one in right.items()
                ]
                print(
                    "  ".join(f"{way} {100 * one:.1f} %" for way, one in right.items()),
                    f"({size} sheets, seed {seed})",
                    flush=True,
                )
    return pd.DataFrame(rows)


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
    from sheetlens.predict.inference import load_network, read_batch
    from sheetlens.train.batches import batch_images
    from sheetlens.train.networks import for_inference
    from sheetlens.train.training import train_network

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


def trained(way: str, place: Path, index: pd.DataFrame, labelled, test, labels, seed: int) -> float:
    """Accuracy of a network that is trained on the labelled sheets, a fifth of which are for validation."""
    from sheetlens.predict.inference import predict_sheets
    from sheetlens.train.training import train_network

    cut = StratifiedShuffleSplit(1, test_size=max(2, len(labelled) // 5), random_state=seed)
    train, validation = next(cut.split(labelled, labels[labelled]))
    parts = np.full(len(labels), "none", object)
    parts[labelled[train]], parts[labelled[validation]], parts[test] = "train", "validation", "test"
    files.write_table(place / "split.tsv", index[["image_id"]].assign(part=parts))
    definition, settings = TRAINED[way]
    data = (place / "pixels.npy", place / "index.parquet", place / "split.tsv")
    train_network(*data, way, seed, settings, place / "model", definition)
    predict_sheets(place / "model", *data, place / "predictions.parquet", place / "typical.safetensors")
    table = files.read_table(place / "predictions.parquet").query("part == 'test'")
    return float(((table["probability_piper"] > 0.5) == (table["label"] == "piper")).mean())


def draw(table: pd.DataFrame, stem: Path) -> None:
    """The curve as a table (.csv) and a figure (.svg): means, and a bar from the worst to the best seed."""
    from sheetlens.figure.style import COLOURS, house_style, new_figure, percent_axis

    files.write_table(stem.with_suffix(".csv"), table)
    with house_style():
        figure = new_figure(4.2, 2.8)
        axes = figure.subplots()
        for number, (way, one) in enumerate(table.groupby("way", sort=False)):
            accuracy = one.groupby("sheets")["accuracy"]
            mean = accuracy.mean()
            errors = [mean - accuracy.min(), accuracy.max() - mean]
            axes.errorbar(mean.index, mean, errors, color=COLOURS[number], marker="o", capsize=2, label=way)
        axes.set(xlabel="labelled sheets", ylabel="right in test", xscale="log")
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
        axes.yaxis.set_major_formatter(percent_axis())
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(stem.with_suffix(".svg"))


class Plain(torch.nn.Module):
    """The backbone in plain torch, up to the same features."""

    def __init__(self) -> None:
        """With the installed weights."""
        super().__init__()
        self.network = EfficientNetLite()
        self.network.load_state_dict(read_weights(FINE_TUNED))

    def forward(self, sheets: torch.Tensor) -> torch.Tensor:
        """Sheets, uint8, shape (n, 3, 256, 256), to features, shape (n, 2944)."""
        mean, std = (torch.tensor(PIXELS[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
        return self.network((sheets.float() / 255 - mean) / std).mean((2, 3))


def speeds(pixels: np.ndarray) -> dict[str, float]:
    """Sheets a second of the three readers, in turns."""
    import onnxruntime

    some = pixels[np.arange(SHEETS) % len(pixels)]
    ours, plain = FeatureReader(device="cpu", threads=THREADS), Plain().eval()
    with tempfile.TemporaryDirectory() as folder:
        example, dynamic = torch.zeros((2, 3, 256, 256), dtype=torch.uint8), ({0: torch.export.Dim("n", min=1)},)
        path = f"{folder}/features.onnx"
        torch.onnx.export(
            plain, (example,), path, dynamic_shapes=dynamic, external_data=False, dynamo=True, verbose=False
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    batches = np.split(some, SHEETS // 32)

    def by_torch() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([plain(torch.from_numpy(batch)).numpy() for batch in batches])

    readers: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: ours.read(some),
        "torch": by_torch,
        "onnxruntime": lambda: np.concatenate([session.run(None, {name: batch})[0] for batch in batches]),
    }
    found = {key: read() for key, read in readers.items()}  # warm
    if not np.abs(found["torch"] - found["onnxruntime"]).max() < 1e-3:
        raise SystemExit("ONNX Runtime does not read what torch reads")
    taken = {key: [] for key in readers}
    for _ in range(ROUNDS):
        for key, read in readers.items():
            start = time.perf_counter()
            read()
            taken[key].append(time.perf_counter() - start)
    rates = {key: SHEETS / statistics.median(times) for key, times in taken.items()}
    print(f"features of {SHEETS} sheets, {ours.reason}")
    for key, rate in rates.items():
        print(f"  {key:<12} {rate:6.1f} sheets/s")
    return {f"ratio_{key}": round(rates["ours"] / rates[key], 3) for key in ("torch", "onnxruntime")}


def predicting(folder: Path, values: np.ndarray, pixels: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What decoding and reading take alone, together, over what `predict` takes for the same photographs."""
    photographs = sorted(folder.glob("*.jpg"))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        model = packaged(place, pixels, labels)
        (place / "in").mkdir()
        for copy in range(COPIES):
            for number, path in enumerate(photographs):
                (place / f"in/{copy:02}-{number:02}.jpg").write_bytes(path.read_bytes() + bytes([copy]))
        write_list(place / "in", place / "list.parquet")
        rows = list(files.read_rows(place / "list.parquet"))
        ratios = []
        for turn in range(3):
            classifier = Classifier(model, threads=1)
            with Readers(THREADS, "squash", LIMITS) as readers:
                readings = [readers.read(rows[0]) for _ in range(THREADS)]
                start = time.perf_counter()
                from concurrent.futures import ThreadPoolExecutor

                with ThreadPoolExecutor(THREADS) as pool:
                    readings = list(pool.map(readers.read, rows))
                decoding = time.perf_counter() - start
            sheets = np.stack([np.frombuffer(one.pixels, np.uint8).reshape(3, 256, 256) for one in readings])
            two = Classifier(model, threads=THREADS)
            start = time.perf_counter()
            for first in range(0, len(sheets), 32):
                two.read(sheets[first : first + 32])
            reading = time.perf_counter() - start
            classifier = Classifier(model, threads=1)
            start = time.perf_counter()
            stem = place / f"parts/{turn}"
            stem.parent.mkdir(exist_ok=True)
            write_part(classifier, place / "list.parquet", 0, 1, stem, 0.05, THREADS)
            merge(classifier, place / "list.parquet", [stem], 0.05, place / "table.parquet", place / "summary.json")
            whole = time.perf_counter() - start
            ratios.append((decoding + reading) / whole)
            print(f"{len(rows)} photographs: decoding {decoding:.2f} s, reading {reading:.2f} s, predict {whole:.2f} s")
    return {"ratio_predict": round(statistics.median(ratios), 3)}


def packaged(place: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    """A packaged model of a head on the features of some sheets."""
    from sheetlens.config import Evaluate, Predict, Split
    from sheetlens.features import product
    from sheetlens.features.training import train_head
    from sheetlens.predict.inference import predict_sheets
    from sheetlens.predict.packaging import write_package
    from sheetlens.split.parts import split_random

    index = pd.DataFrame({"image_id": [f"{n:04}" for n in range(len(labels))]})
    index = index.assign(specimen_id=index["image_id"], label=np.where(labels, "piper", "other"))
    np.save(place / "pixels.npy", pixels)
    index = index.assign(row=range(len(labels)), fit="squash", policy=POLICY)
    files.write_table(place / "index.parquet", index)
    files.write_table(place / "manifest.parquet", index.assign(recordedBy="", recordNumber="", eventDate=""))
    files.write_table(place / "duplicates.parquet", index.head(0).assign(first="", second="", kind=""))
    files.write_table(place / "split.tsv", split_random(index, (0.7, 0.2, 0.1), 1))
    reader = FeatureReader(device="cpu", threads=THREADS)
    product.compute_part(reader, place / "pixels.npy", place / "index.parquet", 0, 1, place / "0.features")
    product.join_parts([place / "0.features"], place / "index.parquet", place / "features.npy")
    tables = [place / f"{name}.parquet" for name in ("index", "manifest", "duplicates")]
    definition, model = BUILT_IN[FEATURES], place / "model"
    train_head(place / "features.npy", *tables, place / "split.tsv", FEATURES, definition, 1, Train(), Split(), model)
    data = (place / "pixels.npy", place / "index.parquet", place / "split.tsv")
    predict_sheets(model, *data, model / "predictions.parquet", model / "typical.safetensors", place / "features.npy")
    write_package("piperaceae", "Piperaceae", Evaluate(), Predict(), model)
    return model


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
