"""Commands of the phase train."""

from pathlib import Path

import click

from sheetlens.cli.options import FILE, FOLDER, PATH, Section
from sheetlens.config import Network, Train


@click.command()
@click.option("--settings", type=Section(Train), required=True, help="The config's section `train`.")
@click.option("--network", required=True, help="Name of the network.")
@click.option("--definition", type=Section(Network), help="What it is, from the config's section `networks`.")
@click.option("--seed", type=int, required=True, help="Same seed, same weights (CPU).")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split to train on.")
@click.option("--folder", type=PATH, required=True, help="Model folder to write.")
def train(
    settings: Train,
    network: str,
    definition: Network | None,
    seed: int,
    pixels: Path,
    index: Path,
    split_file: Path,
    folder: Path,
) -> None:
    """Train a network; after a kill, the same command continues."""
    from sheetlens.train.distributed import end_process
    from sheetlens.train.training import train_network

    train_network(pixels, index, split_file, network, seed, settings, folder, definition)
    end_process()


@click.command()
@click.option("--model", type=FOLDER, required=True, help="Model folder.")
@click.option("--pixels", type=FILE, required=True, help="Image set.")
@click.option("--index", type=FILE, required=True, help="Its table.")
@click.option("--split", "split_file", type=FILE, required=True, help="Split the model was trained on.")
@click.option("--groups", type=FILE, help="Table of sheets that belong together.")
@click.option("--features", type=FILE, help="Features (.npy) that its head was trained on.")
@click.option("--output", type=PATH, required=True, help="Table to write.")
@click.option("--typical", type=PATH, required=True, help="What the training part looks like to it, to write.")
def train_predict(
    model: Path,
    pixels: Path,
    index: Path,
    split_file: Path,
    groups: Path | None,
    features: Path | None,
    output: Path,
    typical: Path,
) -> None:
    """Predict every sheet of the data set a model was trained on."""
    from sheetlens.predict.inference import predict_sheets

    predict_sheets(model, pixels, index, split_file, output, typical, groups, features)
