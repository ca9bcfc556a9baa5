"""Cabinets whose treated sheets are known: what the intervals of `benchmarks.truth` hold, and what is possible."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit, logit

from sheetlens.hotspots.estimates import TREATED
from sheetlens.statistics.hierarchical_prevalence import Shares, fit_shares

CABINETS = (3, 20, 150, 1000)
TESTED_SHEETS = 50
TAUS = (0.0, 0.7)  # spread of the error rates between cabinets, on the logit
RATES = (0.9, 0.05)  # sensitivity and false alarms of the network that reads the cabinets
Row = tuple[str, str, float, float, str]  # what, where, promised, reached, kind


@dataclass(frozen=True)
class Cabinets:
    """Forty cabinets: sizes, which counts the interval holds, whether any is said to be treated."""

    sizes: np.ndarray
    held: np.ndarray
    hot: bool


def treat(random: np.random.Generator, n: np.ndarray, prevalence: float) -> np.ndarray:
    """How many of each cabinet's `n` sheets are treated."""
    kappa = 1 / 0.3 - 1
    shares = random.beta(prevalence * kappa, (1 - prevalence) * kappa, len(n)) if prevalence else np.zeros(len(n))
    return random.binomial(n, shares)


def collection(prevalence: float, tau: float, tested: int, seed: int) -> Cabinets:
    """A collection of forty cabinets beside `tested` ones, whose sheets were all measured."""
    random = np.random.default_rng((int(1000 * prevalence), seed))
    n = np.concatenate([np.repeat(CABINETS, 10), np.full(tested, TESTED_SHEETS)])
    treated = treat(random, n, prevalence)
    found, alarms = (expit(logit(rate) + tau * random.standard_normal((2, 20_000))) for rate in RATES)
    hits = random.binomial(treated, found[0, : len(n)])
    wrong = random.binomial(n - treated, alarms[0, : len(n)])
    known = [(int(random.binomial(400, rate)), 400) for rate in (found[1].mean(), 1 - alarms[1].mean())]
    own, others = slice(len(n) - tested), slice(len(n) - tested, None)
    checked = np.stack([hits[others], treated[others], wrong[others], (n - treated)[others]], axis=1)
    estimate = fit_shares(n[own], (hits + wrong)[own], *known, checked=checked if tested else None)
    fewest, most = estimate.interval(0.9)
    number, hot = treated[own], estimate.at_least(TREATED) > 0.5
    return Cabinets(n[own], (fewest <= number) & (number <= most), bool(hot.any()))


def read(random: np.random.Generator, n: np.ndarray, prevalence: float, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """How many of each cabinet's `n` sheets are treated, and how many are named so."""
    treated = treat(random, n, prevalence)
    found, alarms = (expit(logit(rate) + tau * random.standard_normal(len(n))) for rate in RATES)
    return treated, random.binomial(treated, found) + random.binomial(n - treated, alarms)


def knowing(prevalence: float, tau: float, size: int) -> float:
    """What the shortest 90 % intervals hold of one who knows how shares and errors are drawn, for a cabinet size."""
    n = np.full(300_000, size)
    treated, named = read(np.random.default_rng(size), n, prevalence, tau)
    held = 0
    for alike in np.split(np.argsort(named, kind="stable"), np.bincount(named).cumsum()[:-1]):
        if len(alike):
            numbers = treated[alike]
            fewest, most = Shares(numbers[None], np.zeros(1, int), n[:1]).interval(0.9)
            held += int(((fewest <= numbers) & (numbers <= most)).sum())
    return held / len(n)


def told_no_tau(prevalence: float, tau: float, draws: int = 200) -> dict[int, float]:
    """The same, for each size, of one who knows all but whether errors differ by cabinet, which is as likely as not.

    How far each is to be believed, the forty cabinets tell by Bayes' theorem; an interval is then of both worlds.
    """

    def draw(size: int, one: float) -> np.ndarray:
        return chances(*read(np.random.default_rng(size), np.full(3_000_000, size), prevalence, one), size)

    worlds = {size: [draw(size, one) for one in TAUS] for size in CABINETS}
    random, held = np.random.default_rng(1), dict.fromkeys(CABINETS, 0)
    n = np.repeat(CABINETS, 10)
    for _ in range(draws):
        treated, named = read(random, n, prevalence, tau)
        odds = sum(
            float(np.diff([np.log(world[y].sum() + 1e-12) for world in worlds[size]])[0])
            for size, y in zip(n, named, strict=True)
        )
        belief = np.array([1 - expit(odds), expit(odds)])
        for size, number, y in zip(n, treated, named, strict=True):
            mixed = belief @ [world[y] / max(world[y].sum(), 1e-12) for world in worlds[size]]
            fewest, most = shortest(mixed, 0.9)
            held[size] += fewest <= number <= most
    return {size: count / (10 * draws) for size, count in held.items()}


def chances(treated: np.ndarray, named: np.ndarray, size: int) -> np.ndarray:
    """How often so many are named and so many treated: shares of all, shape (size + 1, size + 1)."""
    return np.bincount(named * (size + 1) + treated, minlength=(size + 1) ** 2).reshape(size + 1, -1) / len(named)


def shortest(chance: np.ndarray, level: float) -> tuple[int, int]:
    """The fewest neighbouring numbers that have the `level` together, of those that have most."""
    sums = np.concatenate([[0.0], (chance / chance.sum()).cumsum()])
    for length in range(1, len(sums)):
        inside = sums[length:] - sums[:-length]
        if inside.max() >= level - 1e-9:
            return int(inside.argmax()), int(inside.argmax()) + length - 1
    raise AssertionError("all numbers together have every level")


def check_cabinets(draws: int) -> Iterator[Row]:
    """Coverage of cabinets' counts, and cabinets said to be treated where nothing is."""
    with ProcessPoolExecutor() as pool:
        for prevalence, tau, tested in product((0.0, 0.001, 0.05, 0.6), TAUS, (0, 30)):
            drawn = [pool.submit(collection, prevalence, tau, tested, seed) for seed in range(draws)]
            runs = [one.result() for one in drawn]
            where = f"{100 * prevalence:g} % treated, tau {tau:g}" + (", 30 tested" if tested else "")
            untold = told_no_tau(prevalence, tau) if prevalence and not tested else {}
            sizes, held = (np.concatenate([getattr(run, name) for run in runs]) for name in ("sizes", "held"))
            for size in CABINETS if prevalence else ():
                yield f"count in cabinets of {size}", where, 0.9, float(held[sizes == size].mean()), "interval"
                if not tested:
                    yield "  by one who knows every law", where, 0.9, knowing(prevalence, tau, size), "possible"
                    yield "  by one who knows all but tau", where, 0.9, untold[size], "possible"
            if not prevalence:
                yield "a cabinet said to be treated", where, 0.05, float(np.mean([run.hot for run in runs])), "hotspots"
