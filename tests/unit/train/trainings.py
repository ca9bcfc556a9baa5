"""A training as several tests run it. Imports no more than that takes: the GPU tests run where little is installed."""

from sheetlens.common import files
from sheetlens.config import Train
from sheetlens.train.training import train_network

PRODUCTS = ("weights.safetensors", "model.json", "history.csv")
SETTINGS = Train(epochs=2, batch_size=8, device="cpu")


def train(image_set, folder, settings=SETTINGS, seed=1, network=("table1", None)):
    data = [image_set / name for name in ("pixels.npy", "index.parquet", "split.tsv")]
    train_network(*data, network[0], seed, settings, folder, network[1])
    return [files.sha256(folder / name) for name in PRODUCTS]
