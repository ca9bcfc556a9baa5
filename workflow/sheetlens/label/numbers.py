"""Where am I: labels by class, accuracy that can be claimed, what more labels would bring, what the folder holds."""

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetlens.label.session import Session
from sheetlens.label.suggestions import fit_labels
from sheetlens.review.decisions import Entry
from sheetlens.statistics.labelling import cross_validate, estimate, kappa, learning_curve


def describe(session: Session) -> dict[str, Any]:
    """All that the page says of a labelling's progress, ready for JSON; what cannot be said is None.

    Accuracy is cross-validated over all labels and judged on the random sample alone, as are the shares of the classes:
    suggested sheets are no random sample.
    """
    labels, sample = session.labels(), session.random_rows()
    counts = Counter(labels.values())
    decided = session.decided()
    return {
        "sheets": len(session.sheets) - len(session.sheets.unreadable),
        "read": int(session.sheets.read()[1].sum()),
        "refused": len(session.sheets.refused) + len(session.sheets.unreadable),
        "decided": len(decided),
        "labels": {name: counts[name] for name in session.classes},
        "unsure": sum(not any(given.values()) for given in decided.values()),
        "disagreements": sum(len(set(given.values())) > 1 for given in decided.values()),
        "random": sum(row in labels for row in range(sample)),
        "expected": _expected(session, labels, sample),
        **_accuracy(session, labels, sample),
        **_agreement(session.journal.entries),
    }


def _expected(session: Session, labels: dict[int, str], sample: int) -> dict[str, Any]:
    """How many sheets of each class the folder is to be expected to hold, from the random sample."""
    drawn = [labels[row] for row in range(sample) if row in labels]
    total = len(session.sheets) - len(session.sheets.unreadable)
    found = {}
    for name in session.classes:
        share = estimate(np.array([label == name for label in drawn]))
        low, high = share.interval
        found[name] = None if math.isnan(share.share) else [round(total * value) for value in (share.share, low, high)]
    return found


def _accuracy(session: Session, labels: dict[int, str], sample: int) -> dict[str, Any]:
    features, known, _ = session.sheets.read()
    rows = np.array([row for row in sorted(labels) if known[row]], np.int64)
    classes = tuple(sorted(set(labels.values())))
    nothing = {"accuracy": None, "curve": None}
    if len(classes) < 2 or len(rows) < 10:
        return nothing
    numbers = np.array([classes.index(labels[row]) for row in rows.tolist()])
    some = features[rows]

    def fit(train: NDArray[np.int64]) -> Any:
        inside = {int(place): classes[numbers[place]] for place in train}
        head = fit_labels(some, inside, classes)
        return lambda test: head.probabilities(some[test])

    judged = rows < sample
    right = cross_validate(numbers, fit, np.arange(len(rows))) == numbers
    here = estimate(right[judged])
    curve = learning_curve(numbers, fit, judged)
    return {
        "accuracy": {"share": _number(here.share), "low": _number(here.interval[0]), "high": _number(here.interval[1]),
                     "sheets": here.sheets},
        "curve": {"labels": curve.labels, "accuracy": [_number(share) for share in curve.accuracy],
                  "doubled": _number(curve.doubled)},
    }  # fmt: skip


def _agreement(entries: list[Entry]) -> dict[str, Any]:
    """Agreement of the first and the second look at the sheets that were shown again."""
    first: dict[str, str] = {}
    pairs = []
    for entry in entries:
        if entry["decision"] != "class":
            continue
        if (entry.get("chosen") or {}).get("again") and entry["image_id"] in first:
            pairs.append((first[entry["image_id"]], entry["label"]))
        first.setdefault(entry["image_id"], entry["label"])
    agreed, value = kappa([one for one, _ in pairs], [other for _, other in pairs])
    return {"again": len(pairs), "agreement": _number(agreed), "kappa": _number(value)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)
