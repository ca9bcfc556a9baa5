"""Sheets that belong together are not independent cases: how many independent ones they stand for, one of each, draws.

Throughout, `groups` is int, shape (n,): sheets of one specimen or gathering have the same number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

USUAL = 0.45  # correlation of sheets of one group that is taken for granted where little is seen of it (SCIENCE)
FREE = 10**9  # degrees of freedom where nothing about groups had to be estimated
WEIGHT = 4  # rarer outcomes (errors, say) that this is worth: with so many, what is seen counts for a half


@dataclass(frozen=True)
class Size:
    """How many independent sheets some sheets stand for, and the degrees of freedom of their groups."""

    sheets: float
    freedom: int


def effective_size(outcome: np.ndarray, groups: np.ndarray) -> Size:
    """The number of independent sheets whose share would be known as well as that of `outcome`, bool, shape (n,).

    n over the design effect (Kish 1965): the variance of the share from the spread of its groups over that of
    independent sheets. With few errors the spread says little: so it is averaged with the design effect of groups of
    these sizes and a correlation of USUAL. `benchmarks/truth.py` measures what intervals of this size cover.
    """
    codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    n, number = len(outcome), len(sizes)
    largest = float((sizes.astype(float) ** 2).sum() / max(n, 1))  # the design effect if groups were all alike inside
    if number < 2 or largest == 1:
        return Size(n / max(largest, 1.0), FREE if largest == 1 else 1)
    share = outcome.mean()
    rest = np.bincount(codes, outcome) - share * sizes
    plain = share * (1 - share) * n
    seen = (rest @ rest) * number / (number - 1) / plain if plain else 0.0
    rarer = min(outcome.sum(), n - outcome.sum())
    effect = (rarer * seen + WEIGHT * (1 + (largest - 1) * USUAL)) / (rarer + WEIGHT)
    return Size(n / float(np.clip(effect, 1, largest)), number - 1)


def correlation(outcome: np.ndarray, groups: np.ndarray) -> float:
    """How much outcomes of one group are alike, 0 to 1: what `effective_size` takes them to be; 0 without groups."""
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    largest = float((sizes**2).sum() / len(outcome))
    effect = len(outcome) / effective_size(outcome, groups).sheets
    return (effect - 1) / (largest - 1) if largest > 1 else 0.0


def smallest(sizes: Sequence[Size]) -> Size:
    """The size that promises least of several; those of nothing (0 sheets) only where there is no other."""
    known = [size for size in sizes if size.sheets] or list(sizes)
    return Size(min(size.sheets for size in known), min(size.freedom for size in known))


def one_of_each(groups: np.ndarray) -> np.ndarray:
    """One row of each group, ascending, drawn by lot (always the same one): independent cases."""
    order = np.random.default_rng(0).permutation(len(groups))
    return np.sort(order[np.unique(groups[order], return_index=True)[1]])


def draw_groups(groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rows of as many groups as there are, drawn anew with replacement, each with all its sheets."""
    order = np.argsort(groups, kind="stable")
    starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)[1:]
    drawn = random.integers(len(starts), size=len(starts))
    rows = np.repeat(starts[drawn], sizes[drawn])
    within = np.arange(len(rows)) - np.repeat(sizes[drawn].cumsum() - sizes[drawn], sizes[drawn])
    return np.asarray(order[rows + within])
