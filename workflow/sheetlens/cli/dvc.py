"""Commands that share a finished study through DVC."""

import sys

import click

STUDY = click.argument("study", type=click.Choice(["paper", "demo"]), default="paper")


@click.command()
@STUDY
def pull(study: str) -> None:
    """Fetch the stored products of STUDY, check them, and make Snakemake take them as done."""
    from sheetlens.workflow import dvc

    dvc.pull(study)


@click.command()
@STUDY
def push(study: str) -> None:
    """Store the products of STUDY at DVC's default remote."""
    from sheetlens.workflow import dvc

    dvc.push(study)


@click.command()
@STUDY
def stale(study: str) -> None:
    """Say whether the stored products of STUDY are behind the code; exit status 1 if they are."""
    from sheetlens.workflow import dvc

    if dvc.stale(study):
        sys.exit(f"the lock of the {study} is behind the code or the config: 'dvc repro' makes a new one")
    click.echo(f"the lock of the {study} belongs to this code and config")
