"""What features cost: sheets a second beside two peers, and `predict` beside its parts; see `benchmarks.features`."""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch

from benchmarks.feature_curve import FINE_TUNED
from sheetlens.common import files
from sheetlens.config import LIMITS, Evaluate, Predict, Split, Train
from sheetlens.config.networks import BUILT_IN, FEATURES
from sheetlens.features import product
from sheetlens.features.extraction import FeatureReader
from sheetlens.features.training import train_head
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.collection_predictions import merge, write_part
from sheetlens.predict.inference import predict_sheets
from sheetlens.predict.input_list import write_list
from sheetlens.predict.packaging import write_package
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import POLICY
from sheetlens.split.parts import split_random
from sheetlens.train.backbones import read_weights
from sheetlens.train.efficientnet_lite import PIXELS, EfficientNetLite

ROUNDS, SHEETS, THREADS, COPIES = 5, 64, 2, 8


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
    predict_sheets(
        model, *data, model / "predictions.parquet", model / "typical.safetensors", features=place / "features.npy"
    )
    write_package("piperaceae", "Piperaceae", Evaluate(), Predict(), model)
    return model
