"""What a network reads: how often it is right with a region of each test sheet covered, and with that region alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sheetlens.audit.finding import Finding, Inputs
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Audit
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.inference import BATCH
from sheetlens.prepare.image_set import open_image_set
from sheetlens.prepare.mask import REGIONS, alone, covered
from sheetlens.statistics.intervals import wilson_interval

View = Callable[[NDArray[np.uint8], Sequence[str]], NDArray[np.uint8]]
VIEWS: dict[str, View] = {"covered": covered, "alone": alone}


def audit_regions(model: Path, pixels: Path, index: Path, predictions: Path, confidence: float) -> Finding:
    """Read the test sheets of a packaged model again, with each of REGIONS covered and with it alone.

    The network is not trained again: what it learnt to read is what is asked. A note where a region alone tells more
    than the commonest class would, by the lower end of its interval (Wilson). The numbers stand beside those of the
    cheap baselines, which were trained on such a region: whether sheets have to be masked, the two tell together.
    """
    table = files.read_table(predictions, ["image_id", "part", "label"])
    table = table[table["part"] == "test"]
    if table.empty:
        raise UserError(f"{predictions} has no sheets of the test part: make the predictions again")
    listed = files.read_table(index, ["image_id", "row"])
    with files.reading(index):
        rows = listed.set_index("image_id")["row"].loc[table["image_id"]].to_numpy()
    tests = _Tests(Classifier(model), open_image_set(pixels), rows, table["label"].to_numpy(object))
    whole = tests.accuracy(covered, ())
    found = {region: {name: tests.accuracy(view, (region,)) for name, view in VIEWS.items()} for region in REGIONS}
    majority = float(table["label"].value_counts(normalize=True).max())
    for shares in found.values():
        shares["alone_low"] = wilson_interval(shares["alone"], len(rows), confidence)[0]
    numbers = {"whole": whole, "majority": majority, "tests": len(rows), "confidence": confidence, "regions": found}
    told = "; ".join(
        f"{REGIONS[region]} covered {100 * shares['covered']:.1f} %, alone {100 * shares['alone']:.1f} %"
        for region, shares in found.items()
    )
    sentence = f"The network is right for {100 * whole:.1f} % of {len(rows)} test sheets; with {told}."
    telling = [region for region, shares in found.items() if shares["alone_low"] > majority]
    if telling:
        return Finding(
            "regions",
            "note",
            sentence,
            f"Part of what it reads lies there: {', '.join(REGIONS[region] for region in telling)}. Train once with"
            f" images.mask: [{', '.join(telling)}] and compare; if the accuracy stays, keep the mask.",
            numbers,
        )
    return Finding("regions", "ok", sentence, what_is_noticed(len(rows), majority, confidence), numbers)


def what_is_noticed(tests: int, majority: float, confidence: float) -> str:
    """What silence says: from which share of the test sheets on a region alone would have been a note."""
    right = np.arange(1, tests + 1)
    told = [count for count in right if wilson_interval(count / tests, tests, confidence)[0] > majority]
    if not told:
        return "Too few test sheets to tell: not even a region that tells the class of every one would be a note."
    return (
        "Nothing to do: no region alone tells the class much better than chance. It would be a note from"
        f" {100 * told[0] / tests:.0f} % of these test sheets on; always naming the commonest class is right for"
        f" {100 * majority:.0f} %."
    )


@dataclass(frozen=True)
class _Tests:
    """A model, the image set, and the rows and labels of the test sheets."""

    classifier: Classifier
    sheets: NDArray[np.uint8]
    rows: NDArray[np.int64]
    labels: NDArray[np.object_]

    def accuracy(self, view: View, regions: Sequence[str]) -> float:
        """Share of right answers where each sheet is seen so."""
        classes, answers = np.array(self.classifier.facts["classes"], object), []
        full = np.zeros((BATCH, *self.sheets.shape[1:]), np.uint8)
        for start in range(0, len(self.rows), BATCH):
            some = self.rows[start : start + BATCH]
            full[: len(some)] = [view(self.sheets[row], regions) for row in some]
            answers.append(self.classifier.read(full).probabilities[: len(some)].argmax(axis=1))
        return float((classes[np.concatenate(answers)] == self.labels).mean())


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Let the model of a `package` read its test sheets with regions covered, and alone; write the finding.

    The `predictions` say what its test part is; the intervals have the level of the `evaluation`.
    """
    (package,), (predictions,), (evaluation,) = (inputs[name] for name in ("package", "predictions", "evaluation"))
    (pixels,), (index,) = inputs["pixels"], inputs["index"]
    confidence = files.read_json(evaluation)["confidence"]
    audit_regions(package.parent, pixels, index, predictions, confidence).write(output, [predictions])
