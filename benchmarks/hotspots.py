"""Are the intervals of cabinets as good as they say, and what does the sampling plan find? On simulated collections.

Each of 200 collections has 30 to 120 cabinets. Sheets in a cabinet: log-normal, median 60, log sd 1.2, 1 to 1,000, so
that one cabinet in ten has fewer than 13. The shares of treated sheets are drawn for each collection

- `beta`: from a beta distribution with mean uniform in 0.02 to 0.25 and intraclass correlation uniform in 0.05 to 0.6;
- `few hot`: a part (uniform in 5 to 25 %) of the cabinets has shares uniform in 0.3 to 0.95, the
  rest uniform in 0 to 0.03.

The model's own distribution is neither. The network's sensitivity is uniform in 0.80 to 0.97, its specificity in 0.85
to 0.98; both are known only from a test part of 150 to 800 sheets of each class. An interval covers when the number
of treated sheets in the cabinet lies in it. A test finds a treated cabinet when its share is at least `TREATED`; the
budget is one test for ten cabinets. The last line is a JSON object; `coverage` and `ratio_found` are those of `beta`.
"""

import argparse
import json
import os
import platform
import time

import numpy as np

from sheetlens.hotspots.estimates import TREATED, choose_tests
from sheetlens.statistics.hierarchical_prevalence import fit_shares

CONFIDENCE = 0.9


def draw_shares(kind: str, cabinets: int, random: np.random.Generator) -> np.ndarray:
    """True shares of treated sheets of a collection's cabinets."""
    if kind == "beta":
        mean, kappa = random.uniform(0.02, 0.25), 1 / random.uniform(0.05, 0.6) - 1
        return random.beta(mean * kappa, (1 - mean) * kappa, cabinets)
    hot = random.random(cabinets) < random.uniform(0.05, 0.25)
    return np.where(hot, random.uniform(0.3, 0.95, cabinets), random.uniform(0, 0.03, cabinets))


def simulate(kind: str, seed: int) -> dict[str, np.ndarray]:
    """One collection: for each cabinet its sheets, whether covered; and what the plan and random testing find."""
    random = np.random.default_rng(seed)
    shares = draw_shares(kind, int(random.integers(30, 121)), random)
    sheets = np.clip(np.exp(random.normal(np.log(60), 1.2, len(shares))), 1, 1000).astype(int)
    treated = random.binomial(sheets, shares)
    se, sp = random.uniform(0.80, 0.97), random.uniform(0.85, 0.98)
    named = random.binomial(treated, se) + random.binomial(sheets - treated, 1 - sp)
    tested = random.integers(150, 801, 2)
    known = [(int(random.binomial(n, p)), int(n)) for n, p in zip(tested, (se, sp), strict=True)]
    found = fit_shares(sheets, named, *known)
    low, high = found.interval(CONFIDENCE)
    budget = max(1, len(shares) // 10)
    hit = treated >= TREATED * sheets
    return {
        "sheets": sheets,
        "covered": (low <= treated) & (treated <= high),
        "width": (high - low) / sheets,
        "error": np.abs(found.mean() - treated / sheets),
        "naive": np.abs(named / sheets - treated / sheets),
        "plan": hit[choose_tests(found.at_least(TREATED), budget)].sum(),
        "random": budget * hit.mean(),
        "best": min(budget, hit.sum()),
    }


def measure(kind: str, collections: int) -> dict[str, float]:
    """Coverage over all cabinets of all collections, and by size; hits of the plan over those of random testing."""
    runs = [simulate(kind, seed) for seed in range(collections)]
    sheets, covered = (np.concatenate([run[name] for run in runs]) for name in ("sheets", "covered"))
    hits = {name: float(np.sum([run[name] for run in runs])) for name in ("plan", "random", "best")}
    return {
        "cabinets": len(sheets),
        "coverage": covered.mean(),
        "coverage_to_10_sheets": covered[sheets <= 10].mean(),
        "coverage_over_200_sheets": covered[sheets > 200].mean(),
        "width": np.concatenate([run["width"] for run in runs]).mean(),
        "error": np.concatenate([run["error"] for run in runs]).mean(),
        "error_of_plain_shares": np.concatenate([run["naive"] for run in runs]).mean(),
        **{f"found_{name}": count for name, count in hits.items()},
        "ratio_found": hits["plan"] / hits["random"],
    }


def main() -> None:
    """Simulate both kinds of collections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=int, default=200)
    collections = parser.parse_args().collections
    print(f"{platform.platform()}, {os.cpu_count()} cores; {collections} collections of each kind")
    start = time.perf_counter()
    results = {kind: measure(kind, collections) for kind in ("beta", "few hot")}
    print(f"{'':28}" + "".join(f"{kind:>10}" for kind in results))
    for name in results["beta"]:
        print(f"{name.replace('_', ' '):28}" + "".join(f"{result[name]:10.3f}" for result in results.values()))
    facts = {"coverage": results["beta"]["coverage"], "ratio_found": results["beta"]["ratio_found"]}
    facts |= {f"{name}_few_hot": results["few hot"][name] for name in facts}
    facts |= {"seconds": time.perf_counter() - start}
    print(json.dumps({"benchmark": "hotspots"} | {name: round(float(value), 4) for name, value in facts.items()}))


if __name__ == "__main__":
    main()
