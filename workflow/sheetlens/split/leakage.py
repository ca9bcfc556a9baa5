"""What straddles the parts of a split: sheets of the test part that are hardly new to the network."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.config import Split
from sheetlens.split.groups import RELATIONS, comparable, find_groups, relate
from sheetlens.split.parts import PARTS
from sheetlens.split.sheets import read_sheets

log = logging.getLogger(__name__)

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


def write_leakage(
    settings: Split,
    index: Path,
    manifest: Path,
    duplicates: Path,
    protocol: str,
    seed: int,
    split: Path,
    output: Path,
) -> None:
    """Write what straddles the parts of a split as JSON."""
    sheets = read_sheets(index, manifest)
    with files.reading(split):
        part = files.read_table(split).set_index("image_id")["part"]
    sheets["part"] = part.reindex(sheets["image_id"]).to_numpy()
    related = relate(sheets, files.read_table(duplicates), settings.barcode_run)
    counts = measure_leakage(sheets, related, comparable(sheets, settings.barcode_run))
    files.write_json(output, {"protocol": protocol, "seed": seed} | counts)
    log.info("%.1f %% of the test part have a close relative in another part", 100 * counts["any"]["test_share"])
