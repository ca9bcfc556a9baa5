"""Labels that a person need not make: an oracle labels what `sheetlens label` suggests, and the same at random.

`python -m benchmarks.label [--figure]`, with real sheets where SHEETLENS_REAL_DATA names them. On `piperaceae` and on
drawn stains, even and 1 : 20: how many labels reach 90 % accuracy on sheets held out, and how many sheets of the rare
class are found with 100 labels, mean of 10 seeds with their spread. Then what accuracy is claimed: on suggested sheets
it is biased, on the random ones its interval covers. The last line is a JSON object.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetlens.config import DemoSource, Limits
from sheetlens.features.extraction import FeatureReader
from sheetlens.features.head import fit_head
from sheetlens.fetch.sources import demo
from sheetlens.label.session import RANDOM_EVERY
from sheetlens.label.suggestions import COMPONENTS, QUEUE, STRENGTH, TYPICAL
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.resize import SIZE
from sheetlens.statistics import active_learning
from sheetlens.statistics.labelling import cross_validate, estimate

SEEDS, WANTED, FIRST, STEP, MOST = 10, 0.9, 10, 2, 100
STEADY = 5  # labels between two fits, where only the accuracy that is claimed matters
HELD_OUT, RARE_LABELS, DRAWN, RARE = 1 / 3, 100, 1600, 1 / 20
FIGURE = Path(__file__).parents[1] / "docs/figure-label.svg"
Rows = NDArray[np.int64]


def read(paths: list[Path], classes: Rows) -> tuple[NDArray[np.float32], Rows]:
    """Features and classes of the photographs that can be read."""
    found, kept = [], []
    with Readers(2, "squash", Limits()) as readers:
        for path in paths:
            reading = readers.read({"image_id": path.name, "path": str(path), "sha256": ""})
            kept.append(bool(reading.pixels))
            if reading.pixels:
                found.append(np.frombuffer(reading.pixels, np.uint8).reshape(3, SIZE, SIZE))
    return FeatureReader().read(np.stack(found)), classes[kept]


def piperaceae() -> tuple[NDArray[np.float32], Rows] | None:
    """Features and classes of the real sheets; None where they are not."""
    folder = os.environ.get("SHEETLENS_REAL_DATA")
    if not folder:
        return None
    paths = sorted((Path(folder) / "piperaceae").glob("*/*.jpg"))
    return read(paths, np.array([path.parent.name == "piper" for path in paths], np.int64))


def stains(folder: Path) -> tuple[NDArray[np.float32], Rows]:
    """Features and classes of drawn sheets, half of them stained."""
    listing = demo.fetch(DemoSource(task="stain", sheets=DRAWN), folder, 2)
    return read([Path(path) for path in listing["path"]], (listing["label"] == "stained").to_numpy(np.int64))


def units_of(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What sheets are compared by, as a session does."""
    projection = np.random.default_rng(0).standard_normal((features.shape[1], COMPONENTS)).astype(np.float32)
    spread = np.maximum(features.std(axis=0), 1e-6)
    return active_learning.directions(((features - features.mean(axis=0)) / spread) @ projection)


def head(features: NDArray[np.float32], labels: Rows) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """The session's head on some labels."""
    return fit_head(features, labels, 2, balanced=True, strength=STRENGTH).probabilities


def label(features: NDArray[np.float32], truth: Rows, mode: str, most: int, seed: int, every: int = 1) -> Rows:
    """The rows that are labelled, in their order: "random", "suggested" or "rare", with a session's random share.

    As in a session the queue is made anew after each label, or after `every` so many.
    """
    order = np.random.default_rng(seed).permutation(len(truth))
    if mode == "random":
        return order[:most]
    units, done = units_of(features), []
    queue: list[int] = active_learning.typical(units, TYPICAL, seed).tolist()
    while len(done) < most:
        at_random = (len(done) + 1) % RANDOM_EVERY == 0
        done.append(next(int(row) for row in ([] if at_random else queue) + order.tolist() if row not in done))
        if min(np.bincount(truth[done], minlength=2)) < 2 or len(done) % every:
            continue
        probabilities = head(features[done], truth[done])(features)
        left = np.setdiff1d(np.arange(len(truth)), done)
        if mode == "rare":
            queue = active_learning.likely(probabilities, left, 1)[:QUEUE].tolist()
        else:
            queue = active_learning.unsure(units, probabilities, done, left, QUEUE).tolist()
    return np.array(done, np.int64)


def curve(features: NDArray[np.float32], truth: Rows, mode: str, seed: int) -> list[float]:
    """Accuracy on sheets held out, after FIRST, FIRST + STEP, ... labels; balanced over the classes."""
    random = np.random.default_rng(1000 + seed)
    test = random.choice(len(truth), int(HELD_OUT * len(truth)), replace=False)
    pool = np.setdiff1d(np.arange(len(truth)), test)
    rows = pool[label(features[pool], truth[pool], mode, MOST, seed)]
    found = []
    for count in range(FIRST, MOST + 1, STEP):
        some = rows[:count]
        if len(np.unique(truth[some])) < 2:
            found.append(0.5)
            continue
        right = head(features[some], truth[some])(features[test]).argmax(axis=1) == truth[test]
        found.append(float(np.mean([right[truth[test] == number].mean() for number in (0, 1)])))
    return found


def needed(curves: NDArray[np.float64]) -> int:
    """Labels from which the mean curve stays at WANTED or above."""
    counts = np.arange(FIRST, MOST + 1, STEP)
    above = curves.mean(axis=0) >= WANTED
    return int(counts[above][0]) if above.any() else MOST


def claims(features: NDArray[np.float32], truth: Rows) -> tuple[float, float]:
    """Mean bias of an accuracy claimed on suggested sheets, and the share of intervals on random ones that cover."""
    biases, covered = [], []
    for seed in range(10 * SEEDS):
        random = np.random.default_rng(2000 + seed)
        pool = random.choice(len(truth), len(truth) // 2, replace=False)
        rest = np.setdiff1d(np.arange(len(truth)), pool)
        some, classes = features[pool], truth[pool]
        rows = label(some, classes, "suggested", 120, seed, STEADY)
        order = np.random.default_rng(seed).permutation(len(classes))
        prefix = next((place for place, row in enumerate(order) if row not in rows), len(order))
        numbers = classes[rows]

        def fit(
            train: Rows, some: NDArray[np.float32] = some[rows], numbers: Rows = numbers
        ) -> Callable[[Rows], NDArray[np.float64]]:
            predict = head(some[train], numbers[train])
            return lambda test: predict(some[test])

        right = cross_validate(numbers, fit, np.arange(len(rows)), seed) == numbers
        judged = np.isin(rows, order[:prefix])
        true = float((head(some[rows], numbers)(features[rest]).argmax(axis=1) == truth[rest]).mean())
        biases.append(float(right[~judged].mean()) - true)
        low, high = estimate(right[judged]).interval
        covered.append(low <= true <= high)
    return float(np.mean(biases)), float(np.mean(covered))


def main() -> None:
    """Measure, print a table, draw the figure if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", action="store_true", help=f"Draw {FIGURE.name} anew.")
    draw = parser.parse_args().figure
    with tempfile.TemporaryDirectory() as name:
        drawn = stains(Path(name))
    random = np.random.default_rng(0)
    some = random.choice(np.flatnonzero(drawn[1] == 1), int(RARE * (drawn[1] == 0).sum()), replace=False)
    rare = np.sort(np.concatenate([np.flatnonzero(drawn[1] == 0), some]))
    sets = {"piperaceae": piperaceae(), "drawn stains": drawn}
    ratios, rows, curves = {}, [], {}
    for name, known in sets.items():
        if known is None:
            print(f"{name}: no real sheets here (SHEETLENS_REAL_DATA)", file=sys.stderr)
            continue
        for mode in ("random", "suggested"):
            curves[name, mode] = np.array([curve(*known, mode, seed) for seed in range(SEEDS)])
            found, spread = curves[name, mode][:, -1].mean(), curves[name, mode][:, -1].std()
            rows.append((name, mode, needed(curves[name, mode]), f"{100 * found:.1f} ± {100 * spread:.1f}"))
        ratios[name] = needed(curves[name, "suggested"]) / needed(curves[name, "random"])
    pool, classes = drawn[0][rare], drawn[1][rare]
    found = {
        mode: [classes[label(pool, classes, mode, RARE_LABELS, seed)].sum() for seed in range(SEEDS)]
        for mode in ("random", "rare")
    }
    print(f"{'sheets':14} {'choice':10} {'labels to 90 %':>15} {f'accuracy at {MOST}':>18}")
    for row in rows:
        print(f"{row[0]:14} {row[1]:10} {row[2]:15} {row[3]:>18}")
    for mode, counts in found.items():
        told = f"{np.mean(counts):.1f} ± {np.std(counts):.1f} rare sheets of {len(some)} in {RARE_LABELS} labels"
        print(f"stains 1 : 20  {mode:10} {told}")
    bias, covered = claims(*(sets["piperaceae"] or drawn))
    print(f"an accuracy claimed on suggested sheets is {100 * bias:+.1f} points off;", end=" ")
    print(f"of those on random ones the 95 % interval covers {100 * covered:.0f} %")
    if draw:
        draw_curves(curves)
    facts = {"benchmark": "label", "labels_over_random": round(max(ratios.values()), 2), "ratios": ratios}
    facts |= {"rare_over_random": round(float(np.mean(found["rare"]) / np.mean(found["random"])), 2)}
    print(json.dumps(facts | {"bias_suggested": round(bias, 3), "covered_random": round(covered, 3)}))


def draw_curves(curves: dict[tuple[str, str], NDArray[np.float64]]) -> None:
    """The curves with the spread over the seeds."""
    from sheetlens.figure.style import COLOURS, METADATA, house_style, new_figure, percent_axis

    counts = np.arange(FIRST, MOST + 1, STEP)
    with house_style():
        figure = new_figure(7, 3.2)
        axes = figure.subplots(1, len({name for name, _ in curves}), squeeze=False)[0]
        for place, name in enumerate(dict.fromkeys(name for name, _ in curves)):
            for colour, mode in zip(COLOURS, ("random", "suggested"), strict=False):
                values = pd.DataFrame(curves[name, mode])
                axes[place].plot(counts, values.mean(), color=colour, label=mode)
                axes[place].fill_between(
                    counts, values.mean() - values.std(), values.mean() + values.std(), color=colour, alpha=0.2
                )
            axes[place].set(title=name, xlabel="labels", ylim=(0.5, 1))
            axes[place].yaxis.set_major_formatter(percent_axis())
        axes[0].set_ylabel("balanced accuracy, sheets held out")
        axes[0].legend(loc="lower right")
        figure.savefig(FIGURE, metadata=METADATA["svg"])


if __name__ == "__main__":
    main()
