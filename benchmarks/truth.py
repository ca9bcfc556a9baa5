"""Does what the pages say hold? Promised and reached rates on data whose truth is known, one table.

Sheets come alone or in gatherings of 3 to 5 whose outcomes correlate (ICC 0.3 and 0.6, beta-binomial; confidences and
photographs with the same correlation); n is 50, 150, 700 and 1,555. What is drawn, and when a promise is kept:

- interval of an accuracy (95 %): it holds the true share; 0.9 of the sheets are right;
- guarantee (95 % sure of at most 5 % wrong): the true risk above the threshold, known from the law that errors are
  drawn from, is at most 5 %; networks whose risk is 5.01 % everywhere, at half of the sheets, and good ones;
- recall floor (95 % sure to miss at most 5 %): the share of a class below it is at most 5 %;
- McNemar's test (5 %) of two networks that are equally often right;
- calibration error of a network whose probabilities are right: seldom (5 %) over what chance alone is said to give;
- imaging set-up (1 %): photographs whose set-up goes with the gathering and not with the class, grouped split;
- labels (1 %): no label is wrong, and the network's probabilities are right;
- comparison of a collection with the validation part (1 %): both are drawn alike;
- reproduction (5 %): the true accuracy lies just outside the margin, and "reproduced" is said;
- cabinets (90 %): the number of treated sheets lies in the interval, for cabinets of 3, 20, 150 and 1,000 sheets, at
  prevalence 0.1, 5 and 60 % (ICC 0.3), with error rates that are the same everywhere (tau 0) and that differ by cabinet
  (tau 0.7 on the logit), without and with thirty other cabinets that were tested (50 sheets each); with nothing
  treated, collections in which any cabinet is said to be treated with more than 50 %.

An interval of whole numbers must hold more than it promises where one number is nearly sure, as no sheet at all is at
0.1 %: beside each row of cabinets stands what the shortest intervals hold of one who knows every law that is drawn
from. And where nothing tells whether errors differ by cabinet, an interval that holds if they do holds too much if
not: the row after says what is held of one who knows every law but that.

The last line is a JSON object: `worst_coverage_gap` (points below the level of an interval), `worst_guarantee_broken`,
`worst_false_alarm` (by how much a test exceeds its level, a share) and
`hotspots_out_of_nothing` (share of collections).
"""

import argparse
import json
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from benchmarks.truth_cabinets import Row, check_cabinets
from sheetlens.audit.finding import read_scores
from sheetlens.audit.labels import count_surprises
from sheetlens.audit.setup import IMAGING
from sheetlens.config import Paper
from sheetlens.evaluate.evaluation import over_seeds, paper_values
from sheetlens.evaluate.verdict import judge_reproduction
from sheetlens.statistics.calibration import calibration_error, chance_calibration_error
from sheetlens.statistics.clusters import Size, effective_size, one_of_each
from sheetlens.statistics.comparisons import compare_collections, mcnemar
from sheetlens.statistics.intervals import clustered_interval
from sheetlens.statistics.selective import floor_threshold, guaranteed_thresholds
from sheetlens.statistics.significance import held_out, permutation_p

SIZES = (50, 150, 700, 1555)
WORLDS = {"alone": ((1,), 0.0), "ICC 0.3": ((3, 4, 5), 0.3), "ICC 0.6": ((3, 4, 5), 0.6)}
GRID = (np.arange(20_000) + 0.5) / 20_000
LAWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # error at a confidence from 0 to 1
    "5.01 % everywhere": lambda sure: np.full_like(sure, 0.0501),
    "5.01 % of the surer half": lambda sure: np.where(sure > 0.5, 0.0501, 0.3),
    "right for 90 %": lambda sure: 0.4 * (1 - sure) ** 3,
}


def gatherings(random: np.random.Generator, n: int, world: str) -> np.ndarray:
    """Numbers of the gatherings of about n sheets."""
    sizes = random.choice(WORLDS[world][0], n)
    return np.repeat(np.arange(n), sizes)[: max(n, 1)]


def alike(random: np.random.Generator, groups: np.ndarray, world: str) -> np.ndarray:
    """A standard normal number for each sheet, correlated within gatherings."""
    icc = WORLDS[world][1]
    return np.sqrt(icc) * random.standard_normal(len(groups))[groups] + np.sqrt(1 - icc) * random.standard_normal(
        len(groups)
    )


def outcomes(random: np.random.Generator, groups: np.ndarray, share: np.ndarray | float, world: str) -> np.ndarray:
    """Outcomes with a probability for each gathering (or one for all), correlated within gatherings: beta-binomial."""
    icc = WORLDS[world][1]
    chances = np.broadcast_to(share, len(groups)).astype(float)
    if icc:
        kappa = 1 / icc - 1
        own = random.beta(np.maximum(chances * kappa, 1e-9), np.maximum((1 - chances) * kappa, 1e-9))
        first = np.unique(groups, return_index=True)[1]
        chances = own[first][groups]
    return random.random(len(groups)) < chances


def accuracy(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether the interval of an accuracy holds the truth."""
    groups = gatherings(random, n, world)
    right = outcomes(random, groups, 0.9, world)
    low, high = clustered_interval(float(right.mean()), effective_size(right, groups), 0.95)
    return low <= 0.9 <= high


def guarantee(random: np.random.Generator, n: int, world: str, law: str) -> bool:
    """Whether a guarantee is given and broken; a gathering's sheets are alike in confidence."""
    groups = gatherings(random, n, world)
    sure = random.random(len(groups))[groups] + 1e-9 * random.random(len(groups))
    wrong = outcomes(random, groups, LAWS[law](sure), world)
    rows = one_of_each(groups)
    passed = guaranteed_thresholds(sure[rows], wrong[rows], 0.05, 0.95)
    return bool(passed) and bool(LAWS[law](GRID[min(passed) < GRID]).mean() > 0.05)


def floor(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether a recall floor is given and misses more than it says."""
    groups = gatherings(random, n, world)
    threshold = floor_threshold(alike(random, groups, world)[one_of_each(groups)], 0.05, 0.95)
    return threshold is not None and bool(norm.cdf(threshold) > 0.05)


def paired(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether two networks that are as good as each other are told apart."""
    groups = gatherings(random, n, world)
    first, second = (outcomes(random, groups, 0.9, world) for _ in range(2))
    return mcnemar(first, second, groups)["p"] < 0.05


def calibrated(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether probabilities that are right show more error than chance is said to give."""
    groups = gatherings(random, n, world)
    sure = expit(1.5 + 1.5 * random.standard_normal(len(groups)))[groups]
    sure = 0.5 + sure / 2
    right = outcomes(random, groups, sure, world)
    return calibration_error(sure, right, 10) > chance_calibration_error(sure, right, groups, 10)[1]


def setup(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether the imaging set-up raises an alarm where it goes with the gathering only; the test part is new."""
    groups = gatherings(random, n, world)
    label = random.integers(0, 2, len(groups))[groups]
    score = expit(alike(random, groups, world))  # what a cheap model of no use says
    table = pd.DataFrame(
        {
            "image_id": [f"{number:05}" for number in range(len(groups))],
            "group": groups + 1,
            "part": "test",
            "label": np.array(["a", "b"])[label],
            "probability_a": score,
            "probability_b": 1 - score,
        }
    )
    return permutation_p(*read_scores(held_out(table))) < 0.01 / len(IMAGING)  # Holm's correction at its strictest


def labels(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether right labels are doubted; the network's probabilities are right."""
    groups = gatherings(random, n, world)
    chance = expit(3 * alike(random, groups, world))
    chance = chance[np.unique(groups, return_index=True)[1]][groups]
    own = outcomes(random, groups, chance, world)
    table = pd.DataFrame(
        {
            "image_id": [f"{number:05}" for number in range(len(groups))],
            "group": groups,
            "part": np.where(groups % 3, "validation", "test"),
            "label": np.where(own, "a", "b"),
            "probability_a": chance,
            "probability_b": 1 - chance,
        }
    )
    return count_surprises([table])[2] < 0.01


def comparison(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether a collection that is drawn as the validation part was is called different."""
    groups = gatherings(random, n, world)
    rows = one_of_each(groups)
    reference = np.quantile(alike(random, groups, world)[rows], np.linspace(0, 1, 1001), method="lower")
    others = gatherings(random, 4 * n, world)
    places = np.searchsorted(reference, alike(random, others, world))
    sizes = np.unique(groups, return_counts=True)[1]
    counts = np.bincount(places, minlength=1002)
    found = compare_collections(counts, reference.tolist(), len(rows), float((sizes**2).sum() / sizes.sum()))
    return found is not None and bool(found["differs"])


def reproduction(random: np.random.Generator, n: int, world: str) -> bool:
    """Whether an accuracy just outside the margin is called reproduced."""
    paper = paper_values(Paper(accuracy=0.9, kept_accuracy=0.94, test_sheets=1555), 0.1, 0.95)
    groups = gatherings(random, n, world)
    right = outcomes(random, groups, 0.9 - 0.0201, world)
    values = over_seeds([float(right.mean())], effective_size(right, groups), 0.95)
    kept = over_seeds([0.94], Size(1e6, 10**9), 0.95)  # beyond doubt
    facts = {"dataset": "x", "network": "table1", "protocol": "random", "paper": paper, "margin": 0.02}
    return (
        judge_reproduction(facts | {"accuracy": values, "kept_accuracy": kept}, "figshare")["verdict"] == "reproduced"
    )


def check_sheets(draws: int) -> Iterator[Row]:
    """All promises on sheets, for each size and world."""
    plain = (
        ("interval of accuracy", 0.95, accuracy, "interval", 4),
        ("recall floor broken", 0.05, floor, "guarantee", 4),
        ("McNemar rejects", 0.05, paired, "alarm", 6),
        ("calibration over chance", 0.05, calibrated, "alarm", 4),
        ("set-up alarm", 0.01, setup, "alarm", 1),
        ("labels doubted", 0.01, labels, "alarm", 1),
        ("collection called different", 0.01, comparison, "alarm", 10),
        ("false reproduction", 0.05, reproduction, "alarm", 1),
    )
    for world in WORLDS:
        for n in SIZES:
            for name, promised, check, kind, more in plain:
                random = np.random.default_rng(n)
                times = max(100, int(more * draws))
                yield (
                    name,
                    f"n {n}, {world}",
                    promised,
                    float(np.mean([check(random, n, world) for _ in range(times)])),
                    kind,
                )
            for law in LAWS:
                random = np.random.default_rng(n)
                broken = np.mean([guarantee(random, n, world, law) for _ in range(4 * draws)])
                yield "guarantee broken", f"n {n}, {world}, {law}", 0.05, float(broken), "guarantee"


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=500, help="draws of the costly checks; the others take more")
    parser.add_argument("--cabinets", type=int, default=500, help="collections for each setting of the cabinets")
    options = parser.parse_args()
    worst = {"interval": -1.0, "guarantee": 0.0, "alarm": 0.0, "hotspots": 0.0}
    print(f"{'':32}{'':38}{'promised':>9}{'reached':>9}")
    for rows in (check_cabinets(options.cabinets), check_sheets(options.draws)):
        for name, where, promised, reached, kind in rows:
            print(f"{name:32}{where:38}{100 * promised:8.1f}%{100 * reached:8.1f}%", flush=True)
            excess = promised - reached if kind == "interval" else reached - promised if kind == "alarm" else reached
            if kind in worst:
                worst[kind] = max(worst[kind], excess)
    names = dict(
        zip(
            worst,
            ("worst_coverage_gap", "worst_guarantee_broken", "worst_false_alarm", "hotspots_out_of_nothing"),
            strict=True,
        )
    )
    found = {names[kind]: round(value * (100 if kind == "interval" else 1), 4) for kind, value in worst.items()}
    print(json.dumps({"benchmark": "truth", "draws": options.draws} | found))


if __name__ == "__main__":
    main()
