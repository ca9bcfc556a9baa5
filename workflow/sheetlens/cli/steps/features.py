"""Commands of the phase features."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.common.progress import reporter
from sheetlens.config import Network, Split, Train


@click.group()
def features() -> None:
    """Compute what a pretrained backbone sees of each sheet, and train heads on it."""


@features.command()
@click.option("--definition", type=Section(Network), required=True, help="The network, as the config has it.")
@click.option("--settings", type=Section(Train), required=True, help="The config's section `train`.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--part", type=int, default=0, show_default=True, help="Number of the part, from 0.")
@click.option("--parts", type=int, default=1, show_default=True, help="Number of parts.")
@click.option("--output", type=PATH, required=True, help="Part to write.")
def compute(
    definition: Network, settings: Train, pixels: Path, index: Path, part: int, parts: int, output: Path
) -> None:
    """Compute the features of one part of an image set; after a kill, the same command continues."""
    from sheetlens.features.extraction import FeatureReader
    from sheetlens.features.product import compute_part

    reader = FeatureReader(definition, settings.device, settings.precision, settings.threads)
    compute_part(reader, pixels, index, part, parts, output, reporter("sheets"))


@features.command()
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@click.option("--output", type=PATH, required=True, help="Features to write (.npy), with their facts beside them.")
@click.argument("parts", type=FILE, nargs=-1, required=True)
def join(index: Path, output: Path, parts: tuple[Path, ...]) -> None:
    """Put PARTS together, in their order."""
    from sheetlens.features.product import join_parts

    join_parts(parts, index, output)


@features.command()
@click.option("--settings", type=Section(Train), required=True, help="The config's section `train`.")
@click.option("--grouping", type=Section(Split), required=True, help="The config's section `split`.")
@click.option("--network", required=True, help="Name of the network.")
@click.option("--definition", type=Section(Network), required=True, help="What it is.")
@click.option("--seed", type=int, required=True, help="Seed of the split.")
@click.option("--features", "computed", type=FILE, required=True, help="Features (.npy).")
@click.option("--index", type=FILE, required=True, help="Table of the image set.")
@click.option("--manifest", type=FILE, required=True, help="Manifest.")
@click.option("--duplicates", type=FILE, required=True, help="Pairs of duplicates.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split to train on.")
@click.option("--folder", type=PATH, required=True, help="Model folder to write.")
def head(
    settings: Train,
    grouping: Split,
    network: str,
    definition: Network,
    seed: int,
    computed: Path,
    index: Path,
    manifest: Path,
    duplicates: Path,
    split_file: Path,
    folder: Path,
) -> None:
    """Train the head of a network on features."""
    from sheetlens.features.training import train_head

    train_head(computed, index, manifest, duplicates, split_file, network, definition, seed, settings, grouping, folder)
