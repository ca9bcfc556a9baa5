"""Commands of the phases prepare and duplicates."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, PATH, Section
from sheetlens.common.progress import reporter
from sheetlens.config import Corrections, Images


@click.command()
@click.option("--settings", type=Section(Images), required=True, help="The config's section `images`.")
@click.option("--listing", type=FILE, required=True, help="Table of the files, from `fetch`.")
@click.option("--part", type=click.IntRange(min=0), default=0, show_default=True, help="Which part, from 0.")
@click.option("--shard", type=PATH, required=True, help="Shard to write, without ending.")
@click.option("--workers", default=1, show_default=True, help="Processes that decode and resize.")
def prepare_shard(settings: Images, listing: Path, part: int, shard: Path, workers: int) -> None:
    """Check a part of the sheets and bring them to 256x256; after a kill, the same command continues."""
    from sheetlens.prepare.shards import write_shard

    write_shard(listing, part, settings.jobs, shard, settings.fit, settings.limits, workers, reporter("sheets read"))


@click.command()
@click.option("--settings", type=Section(Images), required=True, help="The config's section `images`.")
@click.option("--listing", type=FILE, required=True, help="Table of the files, from `fetch`.")
@click.option("--pixels", type=PATH, required=True, help="Image set to write (.npy; without ending: a folder of them).")
@click.option("--index", type=PATH, required=True, help="Its table to write.")
@click.option("--manifest", type=PATH, required=True, help="Listing to write, with what became of each file.")
@click.option("--corrections", type=Section(Corrections), help="The data set's section `corrections`.")
@click.argument("shards", type=PATH, nargs=-1, required=True)
def prepare_pack(
    settings: Images,
    listing: Path,
    pixels: Path,
    index: Path,
    manifest: Path,
    corrections: Corrections | None,
    shards: tuple[Path, ...],
) -> None:
    """Put SHARDS (without their endings, or a folder of them) together to the image set."""
    from sheetlens.prepare.assemble import write_image_set

    write_image_set(settings, listing, pixels, index, manifest, corrections, shards)


@click.command()
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--output", type=PATH, required=True, help="Table of pairs to write.")
def find_duplicates(pixels: Path, index: Path, output: Path) -> None:
    """Find duplicates: the same file, the same pixels, or another photograph of the same sheet."""
    from sheetlens.duplicates.search import write_duplicates

    write_duplicates(pixels, index, output)
