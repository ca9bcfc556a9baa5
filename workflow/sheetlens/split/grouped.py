"""Splits in which what belongs together stays in one part, or in which one source is the test part."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Split
from sheetlens.split.chosen import shares_among, testable
from sheetlens.split.groups import group_sheets
from sheetlens.split.parts import PARTS, check_parts, deal, shares_of, sort_sheets
from sheetlens.split.sheets import read_sheets

log = logging.getLogger(__name__)


def write_grouped_split(
    settings: Split, index: Path, manifest: Path, duplicates: Path, protocol: str, seed: int, output: Path
) -> None:
    """Write the split of a protocol, "grouped" or "held_out_source", as a table.

    Raises UserError where a class cannot be in every part, or for a column of sources that is not there.
    """
    sheets = read_sheets(index, manifest)
    groups = group_sheets(sheets, files.read_table(duplicates), settings)
    if protocol == "grouped":
        table = split_grouped(sheets, groups, shares_of(settings), seed)
    elif settings.held_out in sheets:
        source = sheets[settings.held_out].fillna("").astype(str)
        table = split_held_out(sheets, groups, source, shares_of(settings), seed)
    else:
        raise UserError(f"split.held_out names the column '{settings.held_out}'; there are {', '.join(sheets.columns)}")
    files.write_table(output, table)
    log.info("%d sheets in %d groups", len(sheets), groups.max() + 1)


def split_grouped(
    sheets: pd.DataFrame, groups: np.ndarray, shares: tuple[float, float, float], seed: int
) -> pd.DataFrame:
    """A split in which no group straddles parts, stratified by class as well as the groups allow.

    `sheets` has image_id, specimen_id and label, `groups` a number for each row: rows of the same number stay
    together. Returns what `split_random` returns; the input order does not matter. The shares are met to
    within two points where no group holds more than that of the sheets.
    A group with a sheet that a column `chosen` says was not chosen at random is in the training part.
    Raises UserError when a class hangs together in too few groups to be in every part.
    """
    table = sort_sheets(sheets.assign(group=groups))
    suggested = sheets.loc[~testable(sheets), "image_id"]
    free = ~table["group"].isin(table.loc[table["image_id"].isin(suggested), "group"])
    if len(suggested):
        shares = shares_among(shares, len(table), int(free.sum()))
    parts = [part for part, share in zip(PARTS, shares, strict=True) if share > 0]
    table["part"] = "train"
    table.loc[free, "part"] = deal(table[free], parts, [share for share in shares if share > 0], seed)
    check_parts(table, "; its sheets hang together in too few groups")
    return table.drop(columns="group")


def split_held_out(
    sheets: pd.DataFrame, groups: np.ndarray, source: pd.Series, shares: tuple[float, float, float], seed: int
) -> pd.DataFrame:
    """A split whose test part is one source: all sheets of one institution, imaging set-up or family.

    `source` names the source of each row of `sheets`, "" where it is unknown. Sources that have sheets of every
    class, and leave some of every class, take turns; seed 1 holds out the one with the most sheets of its rarest
    class, seed 2 the next. The other sheets are dealt into training and validation as in `split_grouped`, but for those
    that belong together with one held out, such as duplicates of a gathering: they are in no part, and not in the
    table. Raises UserError without such a source, and where labels were suggested.
    """
    if not testable(sheets).all():
        raise UserError(
            "a source cannot be held out where some labels were suggested: use the protocols random, grouped"
        )
    table = sort_sheets(sheets.assign(group=groups, source=source.to_numpy()))
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
    table.loc[rest, "part"] = deal(table[rest], PARTS[:2], [share / sum(shares[:2]) for share in shares[:2]], seed)
    check_parts(table, f" when '{held_out}' is held out")
    return table.drop(columns=["group", "source"])


def _related(table: pd.DataFrame, source: str) -> pd.Series:
    """Which sheets are of a source, or belong together with one that is."""
    return table["group"].isin(table.loc[table["source"] == source, "group"])
