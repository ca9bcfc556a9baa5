"""Divide the sheets into training, validation and test parts: same seed, same split, on any machine."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sheetlens.common.errors import UserError

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
    order = pd.Series([_lot(seed, name) for name in table["image_id"]])
    # Each class is spread evenly over (0, 1); a cut through all classes at once then takes from each
    # in proportion.
    rank = order.groupby(table["label"]).rank().astype(float)
    place = (rank - 0.5) / table.groupby("label")["label"].transform("size")
    ranked = pd.DataFrame({"place": place, "order": order}).sort_values(["place", "order"]).index
    sizes = part_sizes(len(table), shares)
    table.loc[ranked, "part"] = [part for part, size in zip(PARTS, sizes, strict=True) for _ in range(size)]
    _check_parts(table)
    return table


def split_grouped(
    sheets: pd.DataFrame, groups: np.ndarray, shares: tuple[float, float, float], seed: int
) -> pd.DataFrame:
    """A split in which no group straddles parts, stratified by class as well as the groups allow.

    `sheets` has image_id, specimen_id and label, `groups` a number for each row: rows of the same number stay
    together. Returns what `split_random` returns; the input order does not matter. The shares are met to
    within two points where no group holds more than that of the sheets.
    Raises UserError when a class hangs together in too few groups to be in every part.
    """
    table = _sorted(sheets.assign(group=groups))
    table["part"] = _deal(table, PARTS, shares, seed)
    _check_parts(table, "; its sheets hang together in too few groups")
    return table.drop(columns="group")


def split_held_out(
    sheets: pd.DataFrame, groups: np.ndarray, source: pd.Series, shares: tuple[float, float, float], seed: int
) -> pd.DataFrame:
    """A split whose test part is one source: all sheets of one institution, imaging set-up or family.

    `source` names the source of each row of `sheets`, "" where it is unknown. Sources that have sheets of every
    class, and leave some of every class, take turns; seed 1 holds out the one with the most sheets of its rarest
    class, seed 2 the next. The other sheets are dealt into training and validation as in `split_grouped`, but for those
    that belong together with one held out, such as duplicates of a gathering: they are in no part, and not in the
    table. Raises UserError without such a source.
    """
    table = _sorted(sheets.assign(group=groups, source=source.to_numpy()))
    counts = pd.crosstab(table["source"], table["label"]).drop(index="", errors="ignore")
    left = pd.DataFrame(
        {name: table.loc[~_related(table, name), "label"].value_counts() for name in counts.index}, index=counts.columns
    )
    able = counts[((counts > 0) & (left.T > 1)).all(axis=1)]
    if able.empty:
        found = ", ".join(f"'{name}'" for name in counts.index[:5]) or "none"
        raise UserError(
            f"no source can be held out: none of those in '{source.name}' ({found}) has sheets of every class and"
            " leaves some of every class; name another column in split.held_out"
        )
    ranked = able.assign(rarest=able.min(axis=1)).reset_index()
    ranked = ranked.sort_values(["rarest", "source"], ascending=[False, True])
    held_out = ranked["source"].iloc[(seed - 1) % len(ranked)]
    table["part"] = "test"
    rest = ~_related(table, held_out)
    table = table[rest | (table["source"] == held_out)].reset_index(drop=True)
    rest = table["source"] != held_out
    table.loc[rest, "part"] = _deal(table[rest], PARTS[:2], [share / sum(shares[:2]) for share in shares[:2]], seed)
    _check_parts(table, f" when '{held_out}' is held out")
    return table.drop(columns=["group", "source"])


def _related(table: pd.DataFrame, source: str) -> pd.Series:
    """Which sheets are of a source, or belong together with one that is."""
    return table["group"].isin(table.loc[table["source"] == source, "group"])


def _deal(table: pd.DataFrame, parts: Sequence[str], shares: Sequence[float], seed: int) -> list[str]:
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


def _sorted(sheets: pd.DataFrame) -> pd.DataFrame:
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


def _check_parts(table: pd.DataFrame, why: str = "") -> None:
    counts = pd.crosstab(table["label"], table["part"]).reindex(columns=list(PARTS), fill_value=0)
    for label, row in counts.iterrows():
        for part in PARTS:
            if row[part] == 0:
                raise UserError(
                    f"class '{label}' is too small, usable sheets: {row.sum()}, of them in the {part} part: 0{why};"
                    " add sheets to it or leave the class out"
                )
