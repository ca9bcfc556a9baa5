"""Divide the sheets into training, validation and test parts: same seed, same split, on any machine."""

import hashlib

import pandas as pd

from sheetlens.errors import UserError

PARTS = ("train", "validation", "test")


def split_random(index: pd.DataFrame, shares: tuple[float, float, float], seed: int) -> pd.DataFrame:
    """The paper's split: seeded, stratified by class, over images.

    `index` has one row per sheet (image_id, specimen_id, label); `shares` are those of PARTS and add up
    to 1. Returns image_id, specimen_id, label and part, sorted by image_id. The parts have the sizes the
    shares ask for (largest remainder; the paper's 10,888 / 3,111 / 1,555 of 15,554), and each class has its
    proportion of every part to within one sheet. The order comes from a hash of seed and image_id,
    so that neither the order of the input nor a random generator's version matters.
    Raises UserError when a class is too small to be in every part.
    """
    table = index[["image_id", "specimen_id", "label"]].sort_values("image_id", ignore_index=True)
    order = pd.Series([hashlib.sha256(f"{seed}|{name}".encode()).hexdigest() for name in table["image_id"]])
    # Each class is spread evenly over (0, 1); a cut through all classes at once then takes from each
    # in proportion.
    rank = order.groupby(table["label"]).rank().astype(float)
    place = (rank - 0.5) / table.groupby("label")["label"].transform("size")
    ranked = pd.DataFrame({"place": place, "order": order}).sort_values(["place", "order"]).index
    sizes = part_sizes(len(table), shares)
    table.loc[ranked, "part"] = [part for part, size in zip(PARTS, sizes, strict=True) for _ in range(size)]
    _check_parts(table)
    return table


def part_sizes(sheets: int, shares: tuple[float, ...]) -> list[int]:
    """Whole numbers in proportion to `shares` that add up to `sheets` (largest remainder)."""
    exact = [sheets * share for share in shares]
    sizes = [int(size) for size in exact]
    by_remainder = sorted(range(len(shares)), key=lambda part: exact[part] - sizes[part], reverse=True)
    for part in by_remainder[: sheets - sum(sizes)]:
        sizes[part] += 1
    return sizes


def _check_parts(table: pd.DataFrame) -> None:
    counts = pd.crosstab(table["label"], table["part"]).reindex(columns=list(PARTS), fill_value=0)
    for label, row in counts.iterrows():
        for part in PARTS:
            if row[part] == 0:
                raise UserError(
                    f"class '{label}' is too small, usable sheets: {row.sum()}, of them in the {part} part: 0;"
                    " add sheets to it or leave the class out"
                )
