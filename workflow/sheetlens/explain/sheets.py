"""Where a model found what speaks for its answer: maps of single sheets, as pictures and as a table."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam, Occlusion
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from sheetlens import __version__
from sheetlens.audit.saliency import SANE
from sheetlens.common import files
from sheetlens.common.tables import safe_cell
from sheetlens.config import LIMITS, Limits
from sheetlens.explain.attribution import Maps, evidence_maps, margin, parted, to_shares
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.collection_predictions import Row, full_batch, growing_journal, read_row, unlike
from sheetlens.predict.inference import BATCH, load_network
from sheetlens.prepare.decoding.decoder_processes import Readers, Reading
from sheetlens.prepare.resize import POLICY, SIZE
from sheetlens.prepare.shards import AHEAD, in_order
from sheetlens.train.batches import batch_images
from sheetlens.train.device import choose_device
from sheetlens.train.networks import fuse_batchnorm, rebuild

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

    Integrated gradients: see `evidence_maps`; the usual features are the means of the training part. Grad-CAM:
    Selvaraju et al. 2017, ICCV (arXiv 1610.02391), at the last layer that knows places; it tells which features speak
    for the class, wherever they are. In these networks each place has weights of its own, and only the other methods
    see that. Occlusion: what the margin loses when a window of the training's mean colour covers a place (Zeiler &
    Fergus 2014, arXiv 1311.2901). That random weights must change a map: Adebayo et al. 2018 (arXiv 1810.03292).
    """

    def __init__(self, folder: Path, method: str) -> None:
        """Open a model folder; raises UserError with one sentence where it is not whole or does not fit."""
        self.classifier, self.method = Classifier(folder), method
        net, facts = load_network(folder)
        self._classes, self._normalisation = facts["classes"], facts["normalisation"]
        self._device = choose_device("auto", "float32", facts["settings"]["threads"]).name
        torch.manual_seed(facts["seed"])
        untrained = rebuild(facts)
        self._trained, self._untrained = (
            fuse_batchnorm(network).requires_grad_(False).to(self._device) for network in (net, untrained)
        )
        channels = parted(self._trained)[0](torch.zeros(1, 3, SIZE, SIZE, device=self._device)).shape[1]
        means = load_file(folder / "typical.safetensors")["centre"][-2 * channels :][:channels]  # see `read_batch`
        self._usual = torch.from_numpy(means).view(1, channels, 1, 1).to(self._device)

    def explain(self, pixels: NDArray[np.uint8], wanted: list[int]) -> Iterator[Explanation]:
        """Explain the most probable class of the `wanted` sheets of a batch, uint8, shape (BATCH, 3, 256, 256)."""
        pixels = self.classifier.as_trained(pixels)
        answers = self.classifier.read(pixels)
        for number in wanted:
            target = int(answers.probabilities[number].argmax())
            sheet = torch.from_numpy(pixels[number : number + 1]).to(self._device)
            image = batch_images(sheet, self._normalisation)
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
            return to_shares(lost.sum(dim=1, keepdim=True))[0]
        if self.method == "grad-cam":
            gradients = LayerGradCam(margin(network), layers[-1])
            return to_shares(gradients.attribute(image.requires_grad_(), target, relu_attributions=True))[0]
        features = layers(image)
        if usual is None:  # an untrained network has no training part: its own means over this sheet
            usual = features.mean(dim=(2, 3), keepdim=True)
        return evidence_maps(head, features, usual, torch.tensor([target], device=self._device))[0]


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
    limits: Limits = LIMITS,
) -> Row:
    """Explain each photograph of a list (see `collection`), a batch of sheets at a time; go on after a kill.

    Writes to the folder `output`: explanations.csv with COLUMNS, a row for each row of the list, in its order;
    pictures/ with the sheet as the network saw it and, to its right, the map laid over it; summary.json, which is
    returned. In it `random` is the mean of the correlations, and `sane` whether it is below SANE.
    """
    model, total = explainer.classifier, files.count_rows(listing)
    facts = {"model": model.fingerprint, "list": files.sha256(listing), "policy": POLICY, "version": __version__}
    head = json.dumps(facts | {"method": explainer.method, "limits": limits.costs}).encode() + b"\n"
    (output / "pictures").mkdir(parents=True, exist_ok=True)
    growing = output / "explanations.jsonl.part"
    with (
        growing_journal(growing, head) as (journal, done),
        Readers(workers, model.facts["fit"], limits) as readers,
        ThreadPoolExecutor(workers) as pool,
    ):
        rows = files.read_rows(listing, done)
        readings = in_order(pool, lambda row: (row, read_row(readers, row)), rows, AHEAD * workers + BATCH)
        progress(done, total)
        while batch := list(islice(readings, BATCH)):
            lines = []
            for line in _explained(explainer, batch, done, output):
                lines.append(json.dumps(line).encode() + b"\n")
                progress(done + len(lines), total)
            journal.append(b"".join(lines))
            done += len(lines)
        values = _write_table(map(json.loads, islice(journal.lines(), 1, None)), output / "explanations.csv")
    values |= {"method": explainer.method, "version": __version__}
    values["model"] = {name: model.facts[name] for name in ("dataset", "title", "classes")}
    files.write_json(output / "summary.json", values)
    growing.unlink()
    return values


def _explained(explainer: Explainer, batch: list[tuple[Row, Reading]], done: int, output: Path) -> Iterator[Row]:
    """The rows of the table for a batch, with `done` rows before it; each sheet's picture is written before its row."""
    pixels = full_batch(batch)
    explanations = explainer.explain(pixels, [number for number, (_, reading) in enumerate(batch) if reading.pixels])
    for number, (row, reading) in enumerate(batch):
        line = {"image_id": row["image_id"], "method": explainer.method}
        line |= {name: reading.facts.get(name, row[name]) for name in ("status", "reason")}
        if reading.pixels:
            found = next(explanations)
            line["picture"] = f"pictures/{done + number + 1:06}-{_plain(row['image_id'])}.jpg"
            _write_picture(pixels[number], found.map, output / line["picture"])
            line |= {name: getattr(found, name) for name in ("answer", "probability", "distance", "random")}
            line["reason"] = unlike(found.distance) if not found.distance <= 1 else ""
        yield line


def _write_table(lines: Iterator[Row], path: Path) -> Row:
    """Write the table (.csv) and return what the summary says of it."""
    rows, explained, correlations = 0, 0, list[float]()
    with files.whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writeheader()
        for line in lines:
            writer.writerow({name: safe_cell(value) for name, value in line.items()})
            rows, explained = rows + 1, explained + ("picture" in line)
            correlations += [line["random"]] if line.get("random") is not None else []
    random = float(np.mean(correlations)) if correlations else None
    sane = random is None or random < SANE
    return {"rows": rows, "explained": explained, "refused": rows - explained, "random": random, "sane": sane}


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
