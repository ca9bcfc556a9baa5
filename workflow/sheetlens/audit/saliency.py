"""What the evidence lies on: the plant, the paper, the label's corner, or what surrounds the sheet."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetlens.audit.baselines.features import CORNER
from sheetlens.audit.finding import Finding, Inputs
from sheetlens.common import files
from sheetlens.config import Audit
from sheetlens.prepare.image_set import open_image_set
from sheetlens.statistics.significance import ratio_interval

REGIONS = ("plant", "paper", "label corner", "surround")
AWAY = ("label corner", "surround")  # evidence here is not about the plant
MARGIN = 0.12  # the paper's edge is looked for in this share of the picture
JUMP = 10  # of 255: so much a line of the picture differs from the next but one at the paper's edge
ENRICHED = 1.5  # times its area: evidence that keeps to a region
SANE = 0.5  # rank correlation with an untrained network's map, from which on a map says nothing


def find_regions(sheet: NDArray[np.uint8], grid: int) -> NDArray[np.float32]:
    """Share of each region in each cell: float32, shape (4, grid, grid), the four of a cell adding up to 1.

    `sheet` is uint8, shape (3, size, size). The surround ends at the innermost jump of colour near each
    edge; the label's corner is fixed (lower right); plant is what is dark on the rest (Otsu's threshold),
    heavy stains included. A rough division, to be read as one.
    """
    size = sheet.shape[-1]
    picture = sheet.astype(np.float32)
    inner = slice(int(0.2 * size), int(0.8 * size))
    names = np.full((size, size), REGIONS.index("paper"))
    light = picture.mean(axis=0)
    names[light < _otsu(light[inner, inner])] = REGIONS.index("plant")
    names[int(CORNER[0] * size) :, int(CORNER[1] * size) :] = REGIONS.index("label corner")
    for axis, lines in ((0, np.median(picture, axis=2)), (1, np.median(picture, axis=1))):
        step = np.abs(lines[:, 2:] - lines[:, :-2]).max(axis=0) > JUMP
        for edge, near in ((step, True), (step[::-1], False)):
            jumps = np.flatnonzero(edge[: int(MARGIN * size)])
            depth = int(jumps[-1]) + 1 if len(jumps) else 0
            place = slice(0, depth) if near else slice(size - depth, size)
            names[(place, slice(None)) if axis == 0 else (slice(None), place)] = REGIONS.index("surround")
    cell = size // grid
    return np.stack(
        [(names == code).reshape(grid, cell, grid, cell).mean(axis=(1, 3)) for code in range(len(REGIONS))]
    ).astype(np.float32)


def measure_regions(maps: pd.DataFrame, sheets: NDArray[np.uint8]) -> pd.DataFrame:
    """Area and evidence of each region of each sheet, shares from 0 to 1.

    `maps` is the table of `explain_sheets`, `sheets` the pictures in its order (uint8, shape (n, 3, 256, 256)).
    Returns image_id, label, answer, `area {region}`, `evidence {region}` and `random`, the rank correlation of
    the map with that of the untrained network.
    """
    rows = []
    for facts, sheet in zip(maps.to_dict("records"), sheets, strict=True):
        grid = round(len(facts["map"]) ** 0.5)
        regions = find_regions(sheet, grid)
        evidence = (regions * np.asarray(facts["map"]).reshape(grid, grid)).sum(axis=(1, 2))
        row = {key: facts[key] for key in ("image_id", "label", "answer")}
        row |= {f"area {name}": float(regions[code].mean()) for code, name in enumerate(REGIONS)}
        row |= {f"evidence {name}": float(evidence[code]) for code, name in enumerate(REGIONS)}
        row["random"] = float(pd.Series(facts["map"]).corr(pd.Series(facts["random"]), method="spearman"))
        rows.append(row)
    return pd.DataFrame(rows)


def audit_saliency(table: pd.DataFrame, confidence: float) -> Finding:
    """Alarm where the evidence keeps to the label's corner or to what surrounds the sheet."""
    regions: dict[str, dict[str, Any]] = {}
    for name in REGIONS:
        area, evidence = table[f"area {name}"], table[f"evidence {name}"]
        if area.mean() < 1e-3:  # a picture cut to the paper has no surround
            continue
        interval = ratio_interval(evidence.to_numpy(), area.to_numpy(), confidence)
        regions[name] = {"area": float(area.mean()), "evidence": float(evidence.mean()), **interval}
    random = float(table["random"].mean())
    numbers = {"sheets": len(table), "confidence": confidence, "untrained": random, "regions": regions}
    if random >= SANE:
        return Finding(
            "saliency",
            "note",
            f"The maps look like those of an untrained network (rank correlation {random:.2f}):"
            " they show where the sheet has contrast, not where the evidence lies.",
            "Do not read the maps. A network that learnt little gives such maps: see the audit of the training.",
            numbers,
        )
    away = {name: region for name, region in regions.items() if name in AWAY}
    loud = [name for name, region in away.items() if region["ratio"] >= ENRICHED and region["low"] > 1]
    shares = ", ".join(f"{100 * region['evidence']:.0f} % on the {name}" for name, region in regions.items())
    if loud:
        name = max(loud, key=lambda name: regions[name]["ratio"])
        return Finding(
            "saliency",
            "alarm",
            f"The evidence keeps to the {name}: {regions[name]['ratio']:.1f} times its share of the area ({shares}).",
            "Look at the sheets and cover or cut off that part, then train again: evidence there is not about"
            " the plant.",
            numbers,
        )
    return Finding(
        "saliency",
        "ok",
        f"The evidence does not keep to the label or to what surrounds the sheet ({shares}).",
        "Nothing to do. The maps are coarse: they say where to look, not what was seen.",
        numbers,
    )


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold that parts values into two groups as far apart as can be (Otsu 1979)."""
    counts, edges = np.histogram(values, 64)
    middles = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    mass = (counts * middles).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return float(edges[1:][int(np.nanargmax(apart))])


def write(inputs: Inputs, settings: Audit, output: Path) -> None:
    """Ask where on the sheets of the `maps` the network looks; write the shares of each (.csv) and the finding.

    The intervals have the level of the `evaluation`.
    """
    (maps,), (pixels,), (index,), (evaluation,) = (inputs[name] for name in ("maps", "pixels", "index", "evaluation"))
    explained, table = files.read_table(maps), output.with_suffix(".csv")
    rows = files.read_table(index).set_index("image_id")["row"].loc[explained["image_id"]]
    shares = measure_regions(explained, open_image_set(pixels)[rows])
    files.write_table(table, shares)
    audit_saliency(shares, files.read_json(evaluation)["confidence"]).write(output, [table, maps])
