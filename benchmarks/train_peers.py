"""Other ways to train the networks, one process each: `python train_peers.py NAME NETWORK FOLDER BATCH RATE`.

Two epochs over a folder of pictures, one sub-folder per class, the second on the clock; then the same sheets are read
once to warm up and once on the clock. Prints sheets a second of both as JSON, and whether on a GPU. With two further
words, EPOCHS HELD_OUT, so many epochs and the share of a second folder's sheets that are then named rightly. Runs in
any Python that has what the peer needs, and shares no code with the package.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

TABLES = {"table1": ((16, 5), (32, 5), (64, 5), (48, 3)), "table2": ((10, 5), (40, 5))}  # channels and kernels


class Peer(NamedTuple):
    """What trains an epoch, reads all sheets, and judges another folder; the number of sheets; if on a GPU."""

    train: Callable[[], Any]
    read: Callable[[], Any]
    judge: Callable[[str], float]
    sheets: int
    gpu: bool


def reference(network: str, folder: str, batch: int, rate: float) -> Peer:
    """A plain loop as in torchvision's reference scripts: ImageFolder, two loader processes, NCHW, float32."""
    import torch
    from torch import nn
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)])
    sheets = ImageFolder(folder, steps)
    loader = torch.utils.data.DataLoader(sheets, batch, shuffle=True, num_workers=2, persistent_workers=True)
    layers: list[nn.Module] = []
    channels, size = 3, 256
    for width, kernel in TABLES[network]:
        layers += [nn.Conv2d(channels, width, kernel), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        channels, size = width, (size - kernel + 1) // 2
    layers += [nn.Flatten(), nn.Dropout(), nn.Linear(channels * size * size, 500), nn.ReLU(), nn.Linear(500, 2)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = nn.Sequential(*layers).to(device)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    criterion = nn.CrossEntropyLoss()

    def train() -> None:
        net.train()
        for images, labels in loader:
            loss = criterion(net(images.to(device)), labels.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()

    def read() -> None:
        net.eval()
        with torch.inference_mode():
            for images, _ in loader:
                net(images.to(device)).argmax(1).cpu()

    def judge(others: str) -> float:
        net.eval()
        loader = torch.utils.data.DataLoader(ImageFolder(others, steps), batch)
        with torch.inference_mode():
            return (
                torch.cat([net(images.to(device)).argmax(1).cpu() == labels for images, labels in loader])
                .double()
                .mean()
                .item()
            )

    return Peer(train, read, judge, len(sheets), device == "cuda")


def keras(network: str, folder: str, batch: int, rate: float) -> Peer:
    """Keras on TensorFlow, `image_dataset_from_directory` with cache and prefetch, `fit` and `predict`."""
    import tensorflow as tf  # type: ignore[import-not-found]
    from keras import Sequential, layers, optimizers, utils  # type: ignore[import-not-found]

    read_in = {"image_size": (256, 256), "batch_size": batch, "shuffle": False}
    sheets = utils.image_dataset_from_directory(folder, **read_in).cache()
    count = sum(len(labels) for _, labels in sheets)
    stack: list[Any] = [layers.Input((256, 256, 3)), layers.Rescaling(1 / 63.75, -2)]
    for width, kernel in TABLES[network]:
        stack += [layers.Conv2D(width, kernel), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(2)]
    stack += [layers.Flatten(), layers.Dropout(0.5), layers.Dense(500, "relu"), layers.Dense(2, "softmax")]
    net = Sequential(stack)
    net.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    shuffled = sheets.unbatch().shuffle(count).batch(batch).prefetch(tf.data.AUTOTUNE)
    ready = sheets.prefetch(tf.data.AUTOTUNE)

    def judge(others: str) -> float:
        return net.evaluate(utils.image_dataset_from_directory(others, **read_in), verbose=0)[1]

    gpu = bool(tf.config.list_physical_devices("GPU"))
    return Peer(lambda: net.fit(shuffled, verbose=0), lambda: net.predict(ready, verbose=0), judge, count, gpu)


def main() -> None:
    """Run one peer."""
    name, network, folder, batch, rate, *judged = sys.argv[1:]
    peer = {"reference": reference, "keras": keras}[name](network, folder, int(batch), float(rate))
    rates: dict[str, float] = {"gpu": peer.gpu}
    if judged:
        epochs, held_out = judged
        for _ in range(int(epochs)):
            peer.train()
        rates["accuracy"] = peer.judge(held_out)
    else:
        for key, work in (("train", peer.train), ("inference", peer.read)):
            work()
            start = time.perf_counter()
            work()
            rates[key] = peer.sheets / (time.perf_counter() - start)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
