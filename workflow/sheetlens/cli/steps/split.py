"""Commands of the phase split."""

import logging
from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Split

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
    from sheetlens.split.parts import split_random

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
    from sheetlens.split.groups import group_sheets, read_sheets
    from sheetlens.split.parts import split_grouped, split_held_out

    sheets = read_sheets(index, manifest)
    groups = group_sheets(sheets, files.read_table(duplicates), settings)
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
@click.option("--output", type=PATH, required=True, help="Table to write (.tsv).")
def relate_sheets(settings: Split, index: Path, manifest: Path, duplicates: Path, output: Path) -> None:
    """Say which sheets belong together, and so are no independent cases."""
    from sheetlens.split.groups import group_sheets, name_groups, read_sheets

    sheets = read_sheets(index, manifest)
    groups = group_sheets(sheets, files.read_table(duplicates), settings)
    files.write_table(output, name_groups(sheets, groups))
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
    from sheetlens.split import leakage
    from sheetlens.split.groups import comparable, read_sheets, relate

    sheets = read_sheets(index, manifest)
    part = files.read_table(split_file).set_index("image_id")["part"]
    sheets["part"] = part.reindex(sheets["image_id"]).to_numpy()
    related = relate(sheets, files.read_table(duplicates), settings.barcode_run)
    counts = leakage.measure_leakage(sheets, related, comparable(sheets, settings.barcode_run))
    files.write_json(output, {"protocol": protocol, "seed": seed} | counts)
    share = 100 * counts["any"]["test_share"]
    log.info("%.1f %% of the test part have a close relative in another part", share)
