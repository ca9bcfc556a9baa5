"""What straddles the parts of a split: sheets of the test part that are hardly new to the network."""

from typing import Any

import numpy as np
import pandas as pd

from sheetlens.split.groups import RELATIONS, find_groups
from sheetlens.split.parts import PARTS

CLOSE = ("specimen", "exact_duplicate", "near_duplicate", "event")  # what should never straddle


def measure_leakage(split: pd.DataFrame, related: dict[str, np.ndarray], known: dict[str, float]) -> dict[str, Any]:
    """Count, for each relation and for the close ones together, what stands in several parts.

    `split` has a part for each sheet (none for one that is left out), `related` pairs of its rows (see
    `groups.relate`), `known` the share of sheets of which each relation could be known. For each relation: known,
    sheets (that have a relative at all), groups, straddling (groups in several parts), test_sheets (of the test part,
    that have a relative in training or validation) and test_share of the test part.
    """
    part = pd.Categorical(split["part"], categories=list(PARTS)).codes
    close = np.concatenate([related[name] for name in CLOSE])
    counts = {
        name: {"means": means, "known": known[name]} | _count(part, related[name]) for name, means in RELATIONS.items()
    }
    return {
        "parts": {name: int((part == number).sum()) for number, name in enumerate(PARTS)},
        "any": {"means": "any of specimen, picture, sheet and collecting event"} | _count(part, close),
        "relations": counts,
    }


def _count(part: np.ndarray, pairs: np.ndarray) -> dict[str, float | int]:
    groups = find_groups(len(part), [pairs])
    table = np.zeros((groups.max() + 1 if len(groups) else 0, len(PARTS)), np.int64)
    np.add.at(table, (groups[part >= 0], part[part >= 0]), 1)
    sizes = table.sum(axis=1)
    straddling = (table > 0).sum(axis=1) > 1
    tested = table[:, PARTS.index("test")]
    leaked = int(tested[straddling].sum())
    return {
        "sheets": int(sizes[sizes > 1].sum()),
        "groups": int((sizes > 1).sum()),
        "straddling": int(straddling.sum()),
        "test_sheets": leaked,
        "test_share": leaked / max(1, int(tested.sum())),
    }
