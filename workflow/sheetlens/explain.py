"""Where a model found what speaks for its answer: maps of single sheets, as pictures and as a table."""

import csv
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam, Occlusion
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from sheetlens import files
from sheetlens.answers import full_batch, read_row
from sheetlens.audits.regions import SANE
from sheetlens.audits.saliency import Maps, evidence_map, margin, parted, to_shares
from sheetlens.classifier import Classifier
from sheetlens.config import Limits
from sheetlens.device import choose_device
from sheetlens.networks import build_network, fold
from sheetlens.predict import BATCH, load_network
from sheetlens.readers import Readers
from sheetlens.shards import AHEAD, in_order
from sheetlens.train import batch_images

METHODS = ("integrated-gradients", "grad-cam", "occlusion")
WINDOW, STRIDE = 48, 24  # pixels of 256 that are covered at a time, and between two places: a leaf or a stain
COLOUR, STRONGEST = (255, 0, 80), 170  # of the overlay, and its opacity (of 255) where there is most evidence
SIDE = 512  # pixels of a picture
COLUMNS = ("image_id", "answer", "probability", "distance", "method", "random", "picture", "status", "reason")


@dataclass(frozen=True)
class Explanation:
    """The evidence for the class a model gives a sheet, in shares of GRID x GRID cells.

    `random` is the rank correlation with the map of an untrained network, None where one of them is flat.
    """

    answer: str
    probability: float
    distance: float
    map: Maps
    random: float | None


class Explainer:
    """A packaged model and one of METHODS, and beside it a network of the same layers that was never trained.

    Integrated gradients: see `evidence_map`; the usual features are the means of the training part. Grad-CAM:
    Selvaraju et al. 2017, ICCV (arXiv 1610.02391), at the last layer that knows places; it tells which features speak
    for the class, wherever they are: behind the hidden layer of these networks each place counts differently, and
    only the other methods see that. Occlusion: what the margin
    loses when a window of the training's mean colour covers a place (Zeiler & Fergus 2014, arXiv 1311.2901). That
    random weights must change a map: Adebayo et al. 2018, NeurIPS (arXiv 1810.03292).
    """

    def __init__(self, folder: Path, method: str) -> None:
        """Open a model folder; raises UserError with one sentence where it is not whole or does not fit."""
        self.classifier, self.method = Classifier(folder), method
        net, facts = load_network(folder)
        self._classes, self._normalisation = facts["classes"], facts["normalisation"]
        self._device = choose_device("auto", "float32", facts["settings"]["threads"]).name
        torch.manual_seed(facts["seed"])
        untrained = build_network(facts["network"], len(facts["classes"]), facts["settings"]["dropout"])
        self._trained, self._untrained = (
            fold(network).requires_grad_(False).to(self._device) for network in (net, untrained)
        )
        channels = parted(self._trained)[0](torch.zeros(1, 3, 64, 64, device=self._device)).shape[1]
        means = load_file(folder / "typical.safetensors")["centre"][-2 * channels : -channels]  # see `read_batch`
        self._usual = torch.from_numpy(means).view(1, channels, 1, 1).to(self._device)

    def explain(self, pixels: NDArray[np.uint8], wanted: list[int]) -> Iterator[Explanation]:
        """Explain the most probable class of the `wanted` sheets of a batch, uint8, shape (BATCH, 3, 256, 256)."""
        answers = self.classifier.read(pixels)
        for number in wanted:
            target = int(answers.probabilities[number].argmax())
            image = batch_images(torch.from_numpy(pixels), torch.tensor([number]), self._normalisation)
            image = image.to(self._device)
            trained = self._map(self._trained, self._usual, image, target)
            untrained = self._map(self._untrained, None, image, target)
            probability, distance = float(answers.probabilities[number, target]), float(answers.distances[number])
            alike = _correlation(trained, untrained)
            yield Explanation(self._classes[target], probability, distance, trained, alike)

    def _map(self, network: torch.nn.Sequential, usual: torch.Tensor | None, image: torch.Tensor, target: int) -> Maps:
        layers, head = parted(network)
        if self.method == "occlusion":
            with torch.no_grad():
                lost = Occlusion(margin(network)).attribute(
                    image, (3, WINDOW, WINDOW), (3, STRIDE, STRIDE), target=target, perturbations_per_eval=BATCH
                )
            return to_shares(lost.sum(dim=1, keepdim=True))
        if self.method == "grad-cam":
            gradients = LayerGradCam(margin(network), layers[-1])
            return to_shares(gradients.attribute(image.requires_grad_(), target, relu_attributions=True))
        features = layers(image)
        if usual is None:  # an untrained network has no training part: its own means over this sheet
            usual = features.mean(dim=(2, 3), keepdim=True)
        return evidence_map(head, features, usual.expand_as(features), target)


def _correlation(first: Maps, second: Maps) -> float | None:
    """Spearman's rank correlation; None where a map is flat."""
    if not np.ptp(first) or not np.ptp(second):
        return None
    return float(pd.Series(first.ravel()).corr(pd.Series(second.ravel()), method="spearman"))


def lay_over(picture: Image.Image, cells: Maps) -> Image.Image:
    """An RGB picture with the cells coloured by their evidence; a flat map colours nothing."""
    strength = cells / cells.max() * STRONGEST if np.ptp(cells) else np.zeros_like(cells)
    mask = Image.fromarray(strength.astype(np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", picture.size, COLOUR), picture, mask)


def write_explanations(
    explainer: Explainer,
    listing: Path,
    output: Path,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Explain each photograph of a list (see `collection`), with a batch of sheets in memory at a time.

    Writes to the folder `output`: explanations.csv with COLUMNS, a row for each row of the list, in its order;
    pictures/ with the sheet as the network saw it and, to its right, the map laid over it; summary.json, which is
    returned. In it `random` is the mean of the correlations, and `sane` whether it is below SANE.
    """
    total, correlations = files.count_rows(listing), list[float | None]()
    (output / "pictures").mkdir(parents=True, exist_ok=True)
    with files.whole(output / "explanations.csv") as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        for done, (line, pixels, found) in enumerate(_explained(explainer, listing, workers), start=1):
            if found:
                name = f"pictures/{done:06}-{_plain(line['image_id'])}.jpg"
                _write_picture(pixels, found.map, output / name)
                line |= {name: getattr(found, name) for name in ("answer", "probability", "distance", "random")}
                line["picture"] = name
                correlations.append(found.random)
            writer.writerow(line)
            progress(done, total)
    known = [value for value in correlations if value is not None]
    random = float(np.mean(known)) if known else None
    values: dict[str, Any] = {"rows": total, "explained": len(correlations), "refused": total - len(correlations)}
    values |= {"method": explainer.method, "random": random, "sane": random is None or random < SANE}
    values["model"] = {name: explainer.classifier.facts[name] for name in ("dataset", "title", "classes")}
    files.write_json(output / "summary.json", values)
    return values


def _explained(
    explainer: Explainer, listing: Path, workers: int
) -> Iterator[tuple[dict[str, Any], NDArray[np.uint8], Explanation | None]]:
    """The beginning of each row of the table, its sheet's pixels, and its explanation unless it was refused."""
    fit = explainer.classifier.facts["fit"]
    with Readers(workers, fit, Limits()) as readers, ThreadPoolExecutor(workers) as pool:
        rows = files.read_rows(listing)
        readings = in_order(pool, lambda row: (row, read_row(readers, row)), rows, AHEAD * workers + BATCH)
        while batch := list(islice(readings, BATCH)):
            pixels = full_batch(batch)
            explanations = explainer.explain(pixels, [number for number, (_, read) in enumerate(batch) if read.pixels])
            for number, (row, reading) in enumerate(batch):
                line = {"image_id": row["image_id"], "method": explainer.method}
                line |= {name: reading.facts.get(name, row[name]) for name in ("status", "reason")}
                yield line, pixels[number], next(explanations) if reading.pixels else None


def _plain(image_id: str) -> str:
    """The end of a name, of letters that no file system minds."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", Path(image_id).stem)[-60:]


def _write_picture(pixels: NDArray[np.uint8], cells: Maps, path: Path) -> None:
    sheet = Image.fromarray(pixels.transpose(1, 2, 0)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    both = Image.new("RGB", (2 * SIDE, SIDE))
    both.paste(sheet, (0, 0))
    both.paste(lay_over(sheet, cells), (SIDE, 0))
    with files.whole(path) as part:
        both.save(part, "JPEG", quality=85)
