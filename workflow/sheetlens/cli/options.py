"""Kinds of options that the commands share."""

from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from sheetlens.config import Limits

PATH = click.Path(path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Section(click.ParamType):
    """An option that holds a section of the config as JSON."""

    name = "json"

    def __init__(self, section: type[BaseModel]) -> None:
        """Take the section's class."""
        self.section = section

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse and check; a fault is a usage error."""
        try:
            return self.section.model_validate_json(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


limits_option = click.option(
    "--limits",
    type=Section(Limits),
    default="{}",
    envvar="SHEETLENS_LIMITS",
    help="The config's section `images.limits`, as JSON, or in the variable SHEETLENS_LIMITS.",
)
