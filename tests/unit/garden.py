"""A model of three classes, trained in seconds on photographs made for it."""

import numpy as np
from PIL import Image

from sheetlens.common import files
from sheetlens.config import Evaluate, Limits, Predict, Train
from sheetlens.predict.inference import predict_sheets
from sheetlens.predict.packaging import write_package
from sheetlens.prepare.assemble import assemble
from sheetlens.prepare.shards import write_shard
from sheetlens.split.parts import split_random
from sheetlens.train.training import train_network
from tests.unit.prepare.test_image_set import make_listing

CLASSES = {"fern": 90, "ivy": 130, "moss": 170}
RISK = 0.1


def photograph(level, number, size=(160, 220)) -> Image.Image:
    """Paper of a class's brightness with a plant of random strokes on it."""
    random = np.random.default_rng(1000 * level + number)
    pixels = level + random.normal(0, 12, (size[1], size[0], 3))
    for _ in range(6):
        row, column = random.integers(20, size[1] - 60), random.integers(20, size[0] - 40)
        pixels[row : row + 40, column : column + 8] -= 60
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=90)
    return path.read_bytes()


def make_model(folder):
    """A packaged model, in `folder`; the folder of the model."""
    sheets = {
        f"{name}/{n:02}.jpg": jpeg(photograph(level, n), folder / "x/x.jpg")
        for name, level in CLASSES.items()
        for n in range(24)
    }
    listing = make_listing(folder, sheets)
    write_shard(listing, 0, 1, folder / "shard", "squash", Limits())
    data = [folder / name for name in ("pixels.npy", "index.parquet")]
    assemble(listing, [folder / "shard"], "squash", *data, folder / "manifest.parquet")
    files.write_table(folder / "split.tsv", split_random(files.read_table(data[1]), (0.6, 0.3, 0.1), 1))
    data.append(folder / "split.tsv")
    settings = Train(epochs=3, batch_size=8, learning_rate={"table1": 1e-3}, device="cpu")
    train_network(*data, "table1", 1, settings, folder / "model")
    predict_sheets(folder / "model", *data, folder / "model/predictions.parquet", folder / "model/typical.safetensors")
    evaluate = Evaluate(risks=(0.02, RISK))
    write_package("garden", "Fern, ivy or moss", evaluate, Predict(unlike=0.05), folder / "model")
    return folder / "model"
