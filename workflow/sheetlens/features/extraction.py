"""The features of sheets: what the last layers of a frozen backbone say of each, one vector a sheet."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sheetlens.common.errors import UserError
from sheetlens.config import Network
from sheetlens.config.networks import BUILT_IN, FEATURES
from sheetlens.features.product import BATCH
from sheetlens.prepare.resize import SIZE
from sheetlens.train.backbones import Features, pixel_statistics, read_weights
from sheetlens.train.batches import batch_images
from sheetlens.train.device import choose_device
from sheetlens.train.networks import build_network, for_inference


class FeatureReader:
    """A frozen backbone that reads sheets.

    `size` is the number of features, `facts` say which network reads them in which arithmetic, and `reason` where and
    why there.
    """

    def __init__(
        self,
        definition: Network = BUILT_IN[FEATURES],
        device: str = "auto",
        precision: str = "auto",
        threads: int = 2,
    ) -> None:
        """Open a backbone with its weights; device, precision and threads as `choose_device` takes them.

        Raises UserError for a network without a backbone and for weights that are not there or are others'.
        """
        if not definition.backbone:
            raise UserError("features come from a backbone, and this network has none")
        self._where = choose_device(device, precision, threads)
        if self._where.bfloat16 and self._where.name == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            raise UserError("this CPU cannot read features in bfloat16 (it has no AVX-512): ask for auto or float32")
        network = build_network(definition, 1, weights=read_weights(definition))
        self._network = pooled_features(network, self._where.bfloat16).to(self._where.name)
        self._normalisation = pixel_statistics(definition)
        self.size = int(network.get_submodule("output").in_features)  # type: ignore[arg-type]
        self.reason = self._where.reason
        self.facts: dict[str, Any] = {
            "definition": definition.facts,
            "size": self.size,
            "device": self._where.name,
            "precision": self._where.precision,
            "tensors_sha256": _digest(network),
        }

    def read(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of sheets, uint8, shape (n, 3, 256, 256), RGB, any n: float32, shape (n, size).

        They are read BATCH at a time, the last batch filled up, so that a sheet has the same bits wherever it stands.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"sheets are uint8 of the shape (n, 3, {SIZE}, {SIZE}), not {pixels.dtype} {pixels.shape}")
        found = np.empty((len(pixels), self.size), np.float32)
        full = np.zeros((BATCH, 3, SIZE, SIZE), np.uint8)
        for start in range(0, len(pixels), BATCH):
            some = pixels[start : start + BATCH]
            full[: len(some)] = some
            found[start : start + BATCH] = self._read(full)[: len(some)]
        return found

    def read_each(self, sheets: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        """The features of sheets that come one after the other, uint8, shape (3, 256, 256), a BATCH in memory."""
        waiting: list[NDArray[np.uint8]] = []
        for sheet in sheets:
            waiting.append(sheet)
            if len(waiting) == BATCH:
                yield from self.read(np.stack(waiting))
                waiting.clear()
        if waiting:
            yield from self.read(np.stack(waiting))

    def _read(self, full: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            images = batch_images(torch.from_numpy(full).to(self._where.name), self._normalisation)
            return self._network(images).float().cpu().numpy()


def _digest(network: torch.nn.Sequential) -> str:
    """SHA-256 of all tensors of a backbone, by name: what it is, whatever file it came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not name.startswith("output."):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def pooled_features(network: torch.nn.Sequential, bfloat16: bool) -> torch.nn.Sequential:
    """The layers of a network up to the mean of its features, for reading; in bfloat16 those that know how."""
    ready = in_precision(for_inference(network), bfloat16)
    names = [name for name, _ in ready.named_children()]
    return ready[: names.index("dropout")]


def in_precision(network: torch.nn.Sequential, bfloat16: bool) -> torch.nn.Sequential:
    """A network for reading whose backbone computes in bfloat16 if asked to, and gives float32 all the same."""
    for layer in network:
        if isinstance(layer, Features) and bfloat16:
            layer.lower_precision()
    return network
