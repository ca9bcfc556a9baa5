"""Is what a check of a collection says true, and do measured cabinets help? On simulated collections.

A collection has 250 cabinets, ten of a family, and about 5,000 sheets (cabinets log-normal, median 16, log sd 0.7, 5
to 250). Shares of treated sheets are beta with the prevalence as mean (0.1, 5, 40 %), families with an intraclass
correlation of 1/3 and the cabinets of one with 1/11: collections were treated by families and acquisitions. The model
was tested elsewhere (sensitivity 0.90, specificity 0.95 on 400 sheets each); here its sensitivity is drawn from 0.65
to 0.90 and its specificity from 0.80 to 0.92, so that errors have shifted, and both vary by cabinet with a standard
deviation of 0 or 0.7 on the logit, nine tenths of the variance between families (one fern that looks stained). A
sheet's score is normal with these rates on the right sides of nought; its probability is expit(2 score), too sure of
itself. Checks of 60, 200 and 500 sheets. Compared are

- intervals (95 %) of accuracy, sensitivity, specificity, precision and prevalence with the true values in the
  collection; `worst_coverage_gap` is points below the level, at the worst measure in the worst setting. With few draws
  chance alone makes a gap. Intervals of a rare class cover more than they promise;
- thresholds refitted for 5 and 10 % errors with 95 % certainty: `risk_kept` is the share of draws that gave a threshold
  and kept the risk, or gave none, in the worst setting; the share of those that gave one is printed;
- the error of the share of treated sheets in the collection: by the check, over that of the share of answers, both
  summed over all settings (`share_error_ratio`). The same for cabinets' shares is `cabinet_error_ratio` (checks of
  200);
- after a check of 200, 20 cabinets tested for vapour (sensitivity and specificity 0.95) by the plan, then 20 by a plan
  that has learnt from them, against ranks 21 to 40 of the first plan: treated cabinets found at a prevalence of 5 %
  (`second_plan_gain`). At 0.1 % there are none to find, at 40 % every plan finds them; there a quarter as many
  collections are drawn. Where nearly all treated cabinets stand among the first 20 (100 larger cabinets), nothing is
  left to gain: 1.00 to 1.08 was seen there;
- tests go on, 10 at a time, until fewer than two treated cabinets are left untested with 95 % probability:
  `stopped_wrongly` is the share of collections that stopped with two or more left, in the worst setting.

The last line is a JSON object with these keys.
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from sheetlens.hotspots.estimates import TREATED
from sheetlens.statistics import survey
from sheetlens.statistics.hierarchical_prevalence import Shares, fit_shares
from sheetlens.statistics.measured import Looks, learn
from sheetlens.statistics.selective import sampled_threshold
from sheetlens.statistics.survey import Estimate

CONFIDENCE = 0.95
PREVALENCES, SPREADS, CHECKS = (0.001, 0.05, 0.4), (0.0, 0.7), (60, 200, 500)
RISKS = (0.05, 0.1)
CABINETS, FAMILY = 250, 10
OF_FAMILY, OF_CABINET = 2.0, 10.0  # precision of the beta distributions
BETWEEN = 0.9  # share of the variance of errors that lies between families
METHOD = 0.95  # sensitivity and specificity of a test of a cabinet
ELSEWHERE = ((360.0, 400.0), (380.0, 400.0))
MEASURES = ("accuracy", "sensitivity", "specificity", "precision", "prevalence")


@dataclass(frozen=True)
class Collection:
    """Sheets of a drawn collection: cabinet (int), treated and named (bool), probability of being treated."""

    cabinet: np.ndarray
    treated: np.ndarray
    probability: np.ndarray

    @property
    def named(self) -> np.ndarray:
        """Whether the model says treated."""
        return self.probability > 0.5

    @property
    def confidence(self) -> np.ndarray:
        """How sure the model is."""
        return np.abs(logit(self.probability))

    def count(self, what: np.ndarray) -> np.ndarray:
        """How many sheets of each cabinet have a property."""
        return np.bincount(self.cabinet, what, CABINETS).astype(int)


def draw_collection(prevalence: float, spread: float, random: np.random.Generator) -> Collection:
    """Draw one, see above."""
    number = CABINETS // FAMILY
    family = np.repeat(np.arange(number), FAMILY)
    mean = np.clip(random.beta(prevalence * OF_FAMILY, (1 - prevalence) * OF_FAMILY, number), 1e-6, 1 - 1e-6)[family]
    share = random.beta(mean * OF_CABINET, (1 - mean) * OF_CABINET)
    sizes = np.clip(np.exp(random.normal(np.log(16), 0.7, CABINETS)), 5, 250).astype(int)
    cabinet = np.repeat(np.arange(CABINETS), sizes)
    treated = random.random(len(cabinet)) < share[cabinet]
    rates = []
    for rate in (random.uniform(0.65, 0.90), random.uniform(0.08, 0.20)):
        effect = np.sqrt(BETWEEN) * random.standard_normal(number)[family]
        effect += np.sqrt(1 - BETWEEN) * random.standard_normal(CABINETS)
        rates.append(expit(logit(rate) + spread * effect))
    rate = np.where(treated, rates[0][cabinet], rates[1][cabinet])
    score = norm.ppf(rate) + random.standard_normal(len(cabinet))
    return Collection(cabinet, treated, expit(2 * score))


@dataclass(frozen=True)
class Check:
    """A sample of a collection, and what it says."""

    rows: np.ndarray
    strata: np.ndarray
    found: dict[str, Estimate]


def check(one: Collection, sheets: int, random: np.random.Generator) -> Check:
    """Draw a sample, look at it, estimate."""
    strata = survey.cut(one.named.astype(int), one.confidence, sheets)
    rows = survey.draw(strata, one.cabinet, sheets, random)
    return Check(rows, strata, survey.measure(strata, one.named, one.probability, rows, one.treated[rows], CONFIDENCE))


def truth(one: Collection) -> dict[str, float]:
    """What the check estimates."""
    treated, named = one.treated, one.named
    nothing = float("nan")
    return {
        "accuracy": float((treated == named).mean()),
        "sensitivity": float(named[treated].mean()) if treated.any() else nothing,
        "specificity": float((~named[~treated]).mean()) if (~treated).any() else nothing,
        "precision": float(treated[named].mean()) if named.any() else nothing,
        "prevalence": float(treated.mean()),
    }


def refitted(one: Collection, made: Check, risk: float) -> tuple[bool, bool]:
    """Whether a threshold is given, and whether its errors in the collection are no more than `risk`."""
    wrong = one.treated != one.named
    found = sampled_threshold(made.strata, one.confidence, made.rows, wrong[made.rows], risk, 0.95)
    return found is not None, found is None or bool(wrong[one.confidence > found].mean() <= risk)


def shares_here(one: Collection, made: Check) -> Shares:
    """What `hotspots` says of the cabinets with a check."""
    rows, so = made.rows, one.treated[made.rows].astype(float)
    known = [
        survey.local_rate(made.found[name], rate, CONFIDENCE)
        for name, rate in zip(MEASURES[1:3], ELSEWHERE, strict=True)
    ]
    looks = Looks(one.cabinet[rows], one.named[rows], so, 1 - so)
    return fit_shares(one.count(np.ones(len(one.cabinet))), one.count(one.named), *known, looks=looks)


def measure_on(one: Collection, shares: Shares, random: np.random.Generator) -> dict[str, float]:
    """Test cabinets by the plan, learn, plan again; go on until enough are tested."""
    sheets = one.count(np.ones(len(one.cabinet)))
    hot = one.count(one.treated) >= TREATED * sheets
    positive = np.where(hot, random.random(CABINETS) < METHOD, random.random(CABINETS) > METHOD)
    so = np.where(positive, METHOD, 1 - METHOD)
    kin = np.repeat(np.arange(CABINETS // FAMILY), FAMILY)
    first = shares.at_least(TREATED)
    order = np.argsort(-first.round(3), kind="stable")
    tested = np.zeros(CABINETS, bool)
    tested[order[:20]] = True
    values: dict[str, float] = {"first": hot[order[:20]].sum(), "old": hot[order[20:40]].sum()}
    while True:
        learnt = learn(first, kin, np.where(tested, so, 1.0), np.where(tested, 1 - so, 1.0))
        left = np.argsort(np.where(tested, 9, -learnt.treated.round(3)), kind="stable")
        if "new" not in values:
            values["new"] = hot[left[:20]].sum()
        if tested.all() or learnt.fewer_left(2, tested) >= CONFIDENCE:
            return values | {"tests": tested.sum(), "wrong": hot[~tested].sum() >= 2}
        tested[left[: min(10, int((~tested).sum()))]] = True


def run(prevalence: float, spread: float, sheets: int, draws: int, more: int, seed: int) -> dict[str, float]:
    """All comparisons of one setting."""
    random = np.random.default_rng(seed)
    covered: dict[str, list[bool]] = {name: [] for name in MEASURES}
    planned = draws if prevalence == PREVALENCES[1] else draws // 4
    kept, given, tests, widths, errors, cabinets = [], [], [], [], [], []
    for number in range(draws * more):
        one = draw_collection(prevalence, spread, random)
        made, real = check(one, sheets, random), truth(one)
        for name, estimate in made.found.items():
            if real[name] == real[name]:
                covered[name].append(estimate.low - 1e-9 <= real[name] <= estimate.high + 1e-9)
        widths.append(made.found["accuracy"].width)
        found = [refitted(one, made, risk) for risk in RISKS]
        given.append([there for there, _ in found])
        kept.append([good for _, good in found])
        share = real["prevalence"]
        errors.append((abs(made.found["prevalence"].share - share), abs(float(one.named.mean()) - share)))
        if number < planned and sheets == CHECKS[1]:
            shares, n = shares_here(one, made), one.count(np.ones(len(one.cabinet)))
            counts = (shares.mean(), one.count(one.named) / n)
            cabinets.append([float(np.abs(some - one.count(one.treated) / n).mean()) for some in counts])
            tests.append(measure_on(one, shares, random))
    result = {name: float(np.mean(values)) if values else 1.0 for name, values in covered.items()}
    result |= {"width": float(np.mean(widths)), "kept": float(np.mean(kept, axis=0).min())}
    kept, given = np.array(kept), np.array(given)
    result |= {"given": float(given.mean()), "of_given": float(kept[given].mean()) if given.any() else 1.0}
    result |= dict(zip(("check", "answers"), np.mean(errors, axis=0), strict=True))
    if tests:
        result |= dict(zip(("after", "plain"), np.mean(cabinets, axis=0), strict=True))
        result |= {name: float(np.mean([test[name] for test in tests])) for name in tests[0]}
    return result


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200, help="collections for each setting")
    parser.add_argument("--more", type=int, default=1, help="times as many for intervals and thresholds")
    options = parser.parse_args()
    start, rows = time.perf_counter(), {}
    shown = (*MEASURES, "width", "kept", "given", "of_given", "check", "answers")
    print("prevalence  spread  sheets " + "".join(f"{name[:9]:>10}" for name in shown))
    for number, key in enumerate((p, s, c) for p in PREVALENCES for s in SPREADS for c in CHECKS):
        rows[key] = row = run(*key, options.draws, options.more, number)
        print(f"{key[0]:10.3f}{key[1]:8.1f}{key[2]:8d} " + "".join(f"{row[name]:10.4f}" for name in shown), flush=True)
    measured = {key: row for key, row in rows.items() if "tests" in row}
    names = ("plain", "after", "first", "old", "new", "tests", "wrong")
    print("\nprevalence  spread " + "".join(f"{name:>10}" for name in names))
    for key, row in measured.items():
        print(f"{key[0]:10.3f}{key[1]:8.1f} " + "".join(f"{row[name]:10.3f}" for name in names))
    middle = [row for key, row in measured.items() if key[0] == PREVALENCES[1]]
    facts = {
        "worst_coverage_gap": 100 * (CONFIDENCE - min(row[name] for row in rows.values() for name in MEASURES)),
        "risk_kept": min(row["kept"] for row in rows.values()),
        "share_error_ratio": sum(row["check"] for row in rows.values()) / sum(row["answers"] for row in rows.values()),
        "cabinet_error_ratio": sum(row["after"] for row in measured.values())
        / sum(row["plain"] for row in measured.values()),
        "second_plan_gain": sum(row["new"] for row in middle) / sum(row["old"] for row in middle),
        "stopped_wrongly": max(row["wrong"] for row in measured.values()),
        "seconds": time.perf_counter() - start,
    }
    print(
        json.dumps(
            {"benchmark": "here", "draws": options.draws} | {key: round(float(x), 4) for key, x in facts.items()}
        )
    )


if __name__ == "__main__":
    main()
