"""Divide the sheets into training, validation and test parts: same seed, same split, on any machine."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Split
from sheetlens.split.chosen import shares_among, testable
from sheetlens.split.sheets import read_sheets

PARTS = ("train", "validation", "test")


def shares_of(settings: Split) -> tuple[float, float, float]:
    """The share of the sheets in each of PARTS, 0 to 1."""
    return settings.train, settings.validation, settings.test


def write_random_split(settings: Split, index: Path, manifest: Path, seed: int, output: Path) -> None:
    """Write the paper's split of an image set as a table."""
    files.write_table(output, split_random(read_sheets(index, manifest), shares_of(settings), seed))


def split_random(index: pd.DataFrame, shares: tuple[float, float, float], seed: int) -> pd.DataFrame:
    """The paper's split: seeded, stratified by class, over images.

    `index` has one row per sheet (image_id, specimen_id, label); `shares` are those of PARTS and add up
    to 1. Returns image_id, specimen_id, label and part, sorted by image_id. The parts have the sizes the
    shares ask for (largest remainder; the paper's 10,888 / 3,111 / 1,555 of 15,554), and each class has its
    proportion of every part to within one sheet. The order comes from a hash of seed and image_id,
    so that neither the order of the input nor a random generator's version matters. Sheets that a column `chosen` says
    were not chosen at random are in the training part.
    Raises UserError when a class is too small to be in every part.
    """
    may = testable(index)
    table = _draw(index[may], shares if may.all() else shares_among(shares, len(index), may.sum()), seed)
    rest = index.loc[~may, ["image_id", "specimen_id", "label"]].assign(part="train")
    table = pd.concat([table, rest]).sort_values("image_id", ignore_index=True) if len(rest) else table
    check_parts(table)
    return table


def _draw(index: pd.DataFrame, shares: tuple[float, float, float], seed: int) -> pd.DataFrame:
    table = index[["image_id", "specimen_id", "label"]].sort_values("image_id", ignore_index=True)
    order = pd.Series([_lot(seed, name) for name in table["image_id"]])
    # Each class is spread evenly over (0, 1); a cut through all classes at once then takes from each
    # in proportion.
    rank = order.groupby(table["label"]).rank().astype(float)
    place = (rank - 0.5) / table.groupby("label")["label"].transform("size")
    ranked = pd.DataFrame({"place": place, "order": order}).sort_values(["place", "order"]).index
    sizes = part_sizes(len(table), shares)
    table.loc[ranked, "part"] = [part for part, size in zip(PARTS, sizes, strict=True) for _ in range(size)]
    return table


def deal(table: pd.DataFrame, parts: Sequence[str], shares: Sequence[float], seed: int) -> list[str]:
    """Part of each row, groups whole: every group goes where the classes come nearest to their shares.

    Nearest is least chi-square, the squared distances from the numbers wanted over those numbers. Groups come in
    order of size, largest first, so that the small ones fill the gaps; among those of about the same size
    (the same number of binary digits) a hash decides.
    """
    counts = pd.crosstab(table["group"], table["label"])
    size = counts.sum(axis=1).to_numpy()
    first = table.groupby("group")["image_id"].min()[counts.index]
    order = sorted(range(len(counts)), key=lambda row: (-int(size[row]).bit_length(), _lot(seed, first.iloc[row])))
    wanted = np.outer(shares, counts.sum())
    missing = wanted.copy()
    chosen = np.zeros(len(counts), int)
    for row, group in zip(order, counts.to_numpy()[order], strict=True):
        # What adding the group does to the chi-square of each part, up to what is the same for all.
        cost = (group * (group - 2 * missing) / wanted).sum(axis=1)
        chosen[row] = cost.argmin()
        missing[chosen[row]] -= group
    place = pd.Series(chosen, index=counts.index)
    return [parts[number] for number in place[table["group"]].astype(int)]


def sort_sheets(sheets: pd.DataFrame) -> pd.DataFrame:
    """The columns that a split needs, sorted by image_id, so that the order of the input does not matter."""
    columns = ["image_id", "specimen_id", "label", *(name for name in ("group", "source") if name in sheets)]
    return sheets[columns].sort_values("image_id", ignore_index=True)


def _lot(seed: int, name: str) -> str:
    """What decides the order of sheets: as good as random, the same everywhere."""
    return hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()


def part_sizes(sheets: int, shares: tuple[float, ...]) -> list[int]:
    """Whole numbers in proportion to `shares` that add up to `sheets` (largest remainder)."""
    exact = [sheets * share for share in shares]
    sizes = [int(size) for size in exact]
    by_remainder = sorted(range(len(shares)), key=lambda part: exact[part] - sizes[part], reverse=True)
    for part in by_remainder[: sheets - sum(sizes)]:
        sizes[part] += 1
    return sizes


def check_parts(table: pd.DataFrame, why: str = "") -> None:
    """Raise UserError when a class is missing from a part."""
    counts = pd.crosstab(table["label"], table["part"]).reindex(columns=list(PARTS), fill_value=0)
    for label, row in counts.iterrows():
        for part in PARTS:
            if row[part] == 0:
                raise UserError(
                    f"class '{label}' is too small, usable sheets: {row.sum()}, of them in the {part} part: 0{why};"
                    " add sheets to it or leave the class out"
                )
