"""Commands of the phase split."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.config import Split

INDEX = click.option("--index", type=FILE, required=True, help="Table of the image set.")
MANIFEST = click.option("--manifest", type=FILE, required=True, help="Manifest, which knows more of each sheet.")
DUPLICATES = click.option("--duplicates", type=FILE, required=True, help="Pairs of duplicates.")
SETTINGS = click.option("--settings", type=Section(Split), required=True, help="The config's section `split`.")


@click.command()
@SETTINGS
@INDEX
@MANIFEST
@click.option("--seed", type=int, required=True, help="Same seed, same split.")
@click.option("--output", type=PATH, required=True, help="Split to write (.tsv).")
def split(settings: Split, index: Path, manifest: Path, seed: int, output: Path) -> None:
    """Divide the sheets at random into training, validation and test parts, as the paper did."""
    from sheetlens.split.parts import write_random_split

    write_random_split(settings, index, manifest, seed, output)


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
    """Divide the sheets so that related ones stay in one part."""
    from sheetlens.split.grouped import write_grouped_split

    write_grouped_split(settings, index, manifest, duplicates, protocol, seed, output)


@click.command()
@SETTINGS
@INDEX
@MANIFEST
@DUPLICATES
@click.option("--output", type=PATH, required=True, help="Table to write (.tsv).")
def relate_sheets(settings: Split, index: Path, manifest: Path, duplicates: Path, output: Path) -> None:
    """Say which sheets are related, and so no independent cases."""
    from sheetlens.split.groups import write_groups

    write_groups(settings, index, manifest, duplicates, output)


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
    from sheetlens.split.leakage import write_leakage

    write_leakage(settings, index, manifest, duplicates, protocol, seed, split_file, output)
