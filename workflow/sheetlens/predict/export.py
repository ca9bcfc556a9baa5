"""A packaged model as files that torch or any reader of ONNX opens without Sheetlens.

Each takes `sheets`, uint8, shape (n, 3, 256, 256), RGB, any n, and gives `probabilities`, float32, shape (n, classes):
the normalisation, the softmax and the model's temperature are inside. `export.json` says how sheets are prepared.
"""

import logging
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.demo.camera import photograph
from sheetlens.demo.collection import CLASSES, describe
from sheetlens.demo.defects import encoded
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.inference import load_network
from sheetlens.prepare.resize import read_sheet
from sheetlens.train.networks import fuse_batchnorm

PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # the group `export` of pyproject.toml
SHEETS = 24  # drawn for the check
TOLERANCE = 1e-5  # largest difference of a probability: float32 sums in another order, 1e-7 to 1e-6 as measured
TOLD = ("dataset", "title", "classes", "image_size", "fit", "policy", "temperature", "thresholds")
log = logging.getLogger(__name__)


class Reader(nn.Module):
    """A network with all that stands between the pixels of a sheet and its probabilities."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Sequential, normalisation: dict[str, list[float]], temperature: float) -> None:
        """Take the network, mean and standard deviation by channel (0 to 1), and the temperature."""
        super().__init__()
        self.network, self.temperature = fuse_batchnorm(network), temperature
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(normalisation[key]).view(1, 3, 1, 1))

    def forward(self, sheets: torch.Tensor) -> torch.Tensor:
        """Read sheets, uint8, shape (n, 3, 256, 256): probabilities, float32, shape (n, classes)."""
        logits = self.network((sheets.float() / 255 - self.mean) / self.std)
        return (logits / self.temperature).softmax(1)


def export_model(model: Path, output: Path) -> None:
    """Write `model.pt2`, `model.onnx` and `export.json` of a model folder, once both read as the model does.

    Raises UserError for a model that is not whole, for missing packages, and where a probability of a sheet differs
    by more than TOLERANCE; then nothing is written.
    """
    versions = {name: _version(name) for name in ("torch", *PACKAGES)}
    classifier = Classifier(model, "cpu", precision="float32")
    network, facts = load_network(model)
    if classifier.mask:
        raise UserError(
            f"the model reads sheets on which {', '.join(classifier.mask)} are covered (images.mask), which an exported"
            " file does not do: use `sheetlens predict`, or train without images.mask"
        )
    reader = Reader(network, facts["normalisation"], classifier.facts["temperature"]).eval().requires_grad_(False)
    sheets = drawn_sheets(classifier.facts["fit"])
    expected = classifier.read(sheets).probabilities
    with files.whole(output / "model.pt2") as program, files.whole(output / "model.onnx") as onnx:
        _write(reader, program, onnx)
        found = {"model.pt2": _read_program(program, sheets), "model.onnx": _read_onnx(onnx, sheets)}
        written = {
            name: {"sha256": files.sha256(path), "largest_difference": _difference(name, found[name], expected)}
            for name, path in (("model.pt2", program), ("model.onnx", onnx))
        }
    files.write_json(
        output / "export.json",
        {
            **{key: classifier.facts[key] for key in TOLD},
            "input": {"name": "sheets", "type": "uint8", "shape": ["n", 3, facts["image_size"], facts["image_size"]]},
            "output": {"name": "probabilities", "type": "float32", "shape": ["n", len(facts["classes"])]},
            "files": written,
            "check": {"drawn_sheets": SHEETS, "tolerance": TOLERANCE},
            "package_sha256": classifier.fingerprint,
            "versions": {"sheetlens": __version__} | versions,
        },
    )


def drawn_sheets(fit: str) -> NDArray[np.uint8]:
    """Sheets of the demo, prepared as a model's own were: uint8, shape (SHEETS, 3, 256, 256)."""
    tasks = list(CLASSES)
    drawn = [photograph(describe(tasks[n % len(tasks)], 1, n, shortcut=False)) for n in range(SHEETS)]
    return np.stack([read_sheet(encoded(one.picture, one.quality), fit).pixels for one in drawn])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        missing = f"{package} is not installed: an export needs {', '.join(PACKAGES)}"
        raise UserError(f"{missing} (`pip install '.[export]'` in the project's folder)") from None


def _write(reader: Reader, program: Path, onnx: Path) -> None:
    example = (torch.zeros((2, 3, 256, 256), dtype=torch.uint8),)
    exported = torch.export.export(reader, example, dynamic_shapes={"sheets": {0: torch.export.Dim("n", min=1)}})
    with program.open("wb") as file:
        torch.export.save(exported, file)
    with warnings.catch_warnings():  # of torch's own parts, to their developers
        warnings.simplefilter("ignore")
        torch.onnx.export(
            exported,
            f=str(onnx),
            input_names=["sheets"],
            output_names=["probabilities"],
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def _read_program(path: Path, sheets: NDArray[np.uint8]) -> NDArray[np.float32]:
    with path.open("rb") as file:
        reader: Any = torch.export.load(file).module()
    with torch.inference_mode():
        return np.concatenate([reader(torch.from_numpy(some)).numpy() for some in _batches(sheets)])


def _read_onnx(path: Path, sheets: NDArray[np.uint8]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["probabilities"], {"sheets": some})[0] for some in _batches(sheets)])


def _batches(sheets: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """One sheet, then the others: any number must do."""
    return [sheets[:1], sheets[1:]]


def _difference(name: str, found: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    difference = float(np.abs(found - expected).max())
    log.info("%s: probabilities of %d sheets differ by %.1e at most", name, len(expected), difference)
    if not difference <= TOLERANCE:  # nor NaN
        raise UserError(f"{name} does not read sheets as the model does (a probability differs by {difference:.1e})")
    return difference
