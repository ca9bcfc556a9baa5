"""A packaged model, opened to read sheets it has not seen: it says what it is, and refuses what does not fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.features.extraction import in_precision
from sheetlens.predict import out_of_distribution
from sheetlens.predict.checked import read_checked
from sheetlens.predict.inference import BATCH, load_network, read_batch, reading_device
from sheetlens.predict.model_package import AGAIN, read_package
from sheetlens.prepare.mask import covered
from sheetlens.prepare.resize import SIZE
from sheetlens.train.batches import batch_images, lacks_memory
from sheetlens.train.networks import for_inference

# What becomes of odd values in a model's JSON, and of tensors that do not fit.
FAULTS = (SafetensorError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Answers:
    """What the network says of each sheet: probabilities, float64, shape (n, classes), and distances, shape (n,).

    A distance of 1 is the model's limit; beyond it a sheet is unlike those of the training.
    """

    probabilities: NDArray[np.float64]
    distances: NDArray[np.float64]


class Classifier:
    """A network with its temperature, its thresholds and what it knows of its training part."""

    def __init__(
        self,
        folder: Path,
        device: str = "auto",
        threads: int | None = None,
        unguaranteed: bool = False,
        precision: str = "auto",
        checked: Path | None = None,
    ) -> None:
        """Open a model folder on a device as `choose_device` takes it; threads as its training had, unless said.

        `checked` is what a check of a collection says of the model (`check.json`): its thresholds replace the model's.
        `unguaranteed` allows thresholds that merely held on the validation part where none has a guarantee; `precision`
        is "auto", that of its features where the hardware has it, or "float32".

        Raises UserError with one sentence where the folder is not whole or does not fit.
        """
        self.facts = read_package(folder)
        self.unguaranteed = unguaranteed
        self.fingerprint = files.sha256(folder / "package.json")
        self.checked = files.sha256(checked) if checked else None
        if checked:
            self.facts["thresholds"] = read_checked(checked, self.fingerprint)["thresholds"]
        try:
            net, model = load_network(folder)
            self._known = load_file(folder / "typical.safetensors")
            self._where = reading_device(
                model if precision == "auto" else {}, device, threads or model["settings"]["threads"]
            )
            self._net = in_precision(for_inference(net), self._where.bfloat16)
            self._net.to(self._where.name, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._normalisation = model["normalisation"]
            self.mask = tuple(model.get("mask", ()))
            self._check(model["classes"])
        except FAULTS as error:
            if lacks_memory(error):
                raise UserError(f"not enough memory to read sheets with the model in {folder}") from None
            why = str(error).split("\n")[0]
            raise UserError(f"the model in {folder} contradicts itself ({why}): {AGAIN}") from None

    def _check(self, classes: list[str]) -> None:
        """Let it read black sheets; raises one of FAULTS where what it says cannot be an answer."""
        tried = self.read(np.zeros((BATCH, 3, SIZE, SIZE), np.uint8))
        if self.facts["classes"] != classes or tried.probabilities.shape[1] != len(classes):
            raise ValueError("package.json and model.json name other classes")
        if not (np.isfinite(tried.probabilities).all() and np.isfinite(tried.distances).all()):
            raise ValueError("its answers are no numbers")
        if not (self.facts["temperature"] > 0 and self.facts["limit"] > 0):
            raise ValueError("temperature and limit must be above 0")

    @property
    def reason(self) -> str:
        """Where it computes, and why there."""
        return self._where.reason

    def threshold(self, risk: float) -> dict[str, Any]:
        """The threshold for an error rate among the answered sheets, as log-odds, with its coverage.

        Without a guarantee there is none, unless one that merely held on the validation part was asked for by name.
        Raises UserError for a risk that the model was not packaged for.
        """
        for known in self.facts["thresholds"]:
            if known["risk"] == risk:
                guaranteed = known["threshold"] is not None
                if guaranteed or not self.unguaranteed:
                    threshold, coverage = known["threshold"], known["coverage"]
                else:
                    threshold, coverage = known["unguaranteed"], known["unguaranteed_coverage"]
                return {"risk": risk, "threshold": threshold, "guaranteed": guaranteed, "coverage": coverage}
        risks = ", ".join(f"{known['risk']:g}" for known in self.facts["thresholds"])
        raise UserError(f"the model has no threshold for a risk of {risk:g}: it has them for {risks}")

    def read(self, pixels: NDArray[np.uint8]) -> Answers:
        """Read sheets, uint8, shape (n, 3, 256, 256).

        The same number of sheets at a time gives the same bits for each of them, whatever the others are.
        """
        logits, features = self._read(pixels)
        probabilities = (logits.double() / self.facts["temperature"]).softmax(1).numpy()
        return Answers(probabilities, out_of_distribution.distance(features, self._known) / self.facts["limit"])

    def as_trained(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Sheets with those regions covered that were covered in the training."""
        return np.stack([covered(sheet, self.mask) for sheet in pixels]) if self.mask else pixels

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network sees of sheets, uint8, shape (n, 3, 256, 256): float32, shape (n, d) (see `read_batch`)."""
        return self._read(pixels)[1]

    @property
    def usual(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean of each feature over the training part, and what brings them to one unit."""
        return self._known["centre"], np.reciprocal(self._known["spread"])

    def _read(self, pixels: NDArray[np.uint8]) -> tuple[torch.Tensor, NDArray[np.float32]]:
        images = torch.from_numpy(self.as_trained(pixels)).to(self._where.name)
        with torch.inference_mode():
            logits, features = read_batch(self._net, batch_images(images, self._normalisation))
        return logits.cpu(), features.cpu().numpy()
