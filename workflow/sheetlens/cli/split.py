"""Commands of the phase split."""

import logging
from pathlib import Path

import click
import pandas as pd

from sheetlens import files
from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.config import Split
from sheetlens.errors import UserError

log = logging.getLogger(__name__)
INDEX = click.option("--index", type=FILE, required=True, help="Table of the image set.")
MANIFEST = click.option("--manifest", type=FILE, required=True, help="Manifest, which knows more of each sheet.")
DUPLICATES = click.option("--duplicates", type=FILE, required=True, help="Pairs of duplicates.")
SETTINGS = click.option("--settings", type=Section(Split), required=True, help="The config's section `split`.")


@click.command()
@SETTINGS
@INDEX
@click.option("--seed", type=int, required=True, help="Same seed, same split.")
@click.option("--output", type=PATH, required=True, help="Split to write (.tsv).")
def split(settings: Split, index: Path, seed: int, output: Path) -> None:
    """Divide the sheets at random into training, validation and test parts, as the paper did."""
    from sheetlens.split import split_random

    files.write_table(output, split_random(files.read_table(index), settings.shares, seed))


@click.command()
@SETTINGS
@INDEX
@MANIFEST
@DUPLICATES
@click.option("--protocol", type=click.Choice(["grouped", "held_out_source"]), required=True, help="Split protocol.")
@click.option("--seed", type=int, required=True, help="Same seed, same split.")
@click.option("--output", type=PATH, required=True, help="Split to write (.tsv).")
def split_groups(
    settings: Split, index: Path, manifest: Path, duplicates: Path, protocol: str, seed: int, output: Path
) -> None:
    """Divide the sheets so that what belongs together stays in one part."""
    from sheetlens.groups import find_groups, relate
    from sheetlens.split import split_grouped, split_held_out

    sheets = _read_sheets(index, manifest)
    related = relate(sheets, files.read_table(duplicates), settings.barcode_run)
    names = [name for group in settings.groups for name in related if name == group or name.endswith(f"_{group}")]
    groups = find_groups(len(sheets), [related[name] for name in names])
    if protocol == "grouped":
        table = split_grouped(sheets, groups, settings.shares, seed)
    elif settings.held_out in sheets:
        source = sheets[settings.held_out].fillna("").astype(str)
        table = split_held_out(sheets, groups, source, settings.shares, seed)
    else:
        raise UserError(f"split.held_out names the column '{settings.held_out}'; there are {', '.join(sheets.columns)}")
    files.write_table(output, table)
    log.info("%d sheets in %d groups", len(sheets), groups.max() + 1)


@click.command()
@SETTINGS
@INDEX
@MANIFEST
@DUPLICATES
@click.option("--protocol", required=True, help="Split protocol.")
@click.option("--seed", type=int, required=True, help="Its seed.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split to measure.")
@click.option("--output", type=PATH, required=True, help="Report to write (.json).")
def measure_leakage(
    settings: Split,
    index: Path,
    manifest: Path,
    duplicates: Path,
    protocol: str,
    seed: int,
    split_file: Path,
    output: Path,
) -> None:
    """Count what straddles the parts of a split."""
    from sheetlens import leakage
    from sheetlens.groups import comparable, relate

    sheets = _read_sheets(index, manifest)
    part = files.read_table(split_file).set_index("image_id")["part"]
    sheets["part"] = part.reindex(sheets["image_id"]).to_numpy()
    related = relate(sheets, files.read_table(duplicates), settings.barcode_run)
    counts = leakage.measure_leakage(sheets, related, comparable(sheets, settings.barcode_run))
    files.write_json(output, {"protocol": protocol, "seed": seed} | counts)
    share = 100 * counts["any"]["test_share"]
    log.info("%.1f %% of the test part have a close relative in another part", share)


def _read_sheets(index: Path, manifest: Path) -> pd.DataFrame:
    """The sheets of the image set, by image_id, with all columns of the index and of the manifest."""
    sheets, more = files.read_table(index), files.read_table(manifest)
    new = more[["image_id", *more.columns.difference(sheets.columns)]]
    return sheets.merge(new, on="image_id", validate="one_to_one").sort_values("image_id", ignore_index=True)
