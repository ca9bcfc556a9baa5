"""The evidence of a model laid over the sheets of a review, computed when somebody asks for it."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason
from sheetlens.predict.model_package import read_package
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import SIZE, RefusedImageError
from sheetlens.review.photographs import PICTURE_PIXELS, prepared, read_picture, to_jpeg
from sheetlens.review.queue import Queue

if TYPE_CHECKING:  # torch takes seconds to import, and is imported with the first sheet that is asked for
    from sheetlens.explain.sheets import Explainer

KEPT = 64  # sheets in memory


@dataclass(frozen=True)
class Overlay:
    """A sheet as JPEG with its map laid over it, and what to say of the map."""

    picture: bytes
    facts: dict[str, Any]


class Evidence:
    """Maps of a packaged model; to be asked from one thread."""

    def __init__(self, queue: Queue, model: Path) -> None:
        """Check the model's folder; raises UserError for one that is not whole, or that knows other classes."""
        self._queue, self._model = queue, model
        facts = read_package(model)
        if list(facts["classes"]) != queue.classes:
            raise UserError(
                f"the model in {model} tells {', '.join(facts['classes'])} apart, and the sheets are"
                f" {', '.join(queue.classes)}: give the model that answered for them"
            )
        self._fit = facts["fit"]
        self.overlay = functools.lru_cache(KEPT)(self._overlay)

    @functools.cached_property
    def _explainer(self) -> "Explainer":
        from sheetlens.explain.sheets import Explainer

        return Explainer(self._model, "integrated-gradients")

    @functools.cached_property
    def _readers(self) -> Readers:
        return Readers(1, self._fit, self._queue.limits)  # ends when this process does

    def _overlay(self, place: int) -> Overlay:
        """The overlay of a sheet. Raises OSError or RefusedImageError for a file that cannot be read.

        A map is laid over the photograph, or over what the network saw of it if that was not all, or not its shape.
        """
        from sheetlens.audit.saliency import SANE
        from sheetlens.explain.sheets import lay_over
        from sheetlens.predict.inference import BATCH

        batch = np.zeros((BATCH, 3, SIZE, SIZE), np.uint8)
        batch[0] = self._pixels(place)
        (found,) = self._explainer.explain(batch, [0])
        if self._fit == "squash":
            picture = read_picture(self._queue, place)
        else:
            picture = Image.fromarray(batch[0].transpose(1, 2, 0)).resize(
                (PICTURE_PIXELS // 2,) * 2, Image.Resampling.BICUBIC
            )
        sane = found.random is None or found.random < SANE
        facts = {"answer": found.answer, "probability": found.probability, "random": found.random, "sane": sane}
        return Overlay(to_jpeg(lay_over(picture, found.map)), facts)

    def _pixels(self, place: int) -> np.ndarray:
        """A sheet as the network sees it: from the image set, or read by a process of its own."""
        sheet, pack = self._queue.sheets.iloc[place], self._queue.folder / "images/pixels.npy"
        if sheet["row"] >= 0 and pack.is_file():
            return prepared(pack, sheet["row"])
        if not (path := self._queue.photograph(place)):
            raise OSError(f"the photograph is not there any more: {sheet['path']}")
        reading = self._readers.read({"image_id": sheet["image_id"], "path": str(path), "sha256": ""})
        if not reading.pixels:
            raise RefusedImageError(Reason.of(reading.facts))
        return np.frombuffer(reading.pixels, np.uint8).reshape(3, SIZE, SIZE)
