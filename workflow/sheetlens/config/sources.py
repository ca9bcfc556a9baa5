"""Where sheets come from: one section for each module of `sheetlens.fetch`."""

from typing import Literal

from pydantic import Field

from sheetlens.config.closed import Closed


class DemoSource(Closed):
    """Sheets that the package draws itself."""

    task: Literal["stain", "family"] = Field(description="What the two classes differ in.")
    sheets: int = Field(ge=8, description="Number of sheets to draw, both classes together.")
    seed: int = Field(default=1, ge=0, description="Same seed, same sheets.")
    shortcut: bool = Field(
        default=False, description="Plant an imaging set-up that goes with the class, for the audits to find."
    )


class FolderSource(Closed):
    """Photographs in a folder of yours, one sub-folder per class."""

    path: str = Field(
        min_length=1,
        description="The folder. Its sub-folders are the classes; what lies deeper belongs to its class.",
    )


class FigshareFile(Closed):
    """One archive on figshare: the images of one class."""

    article: int = Field(description="Number of the figshare article.")
    file: int = Field(description="Number of the file in the article.")
    images: int = Field(ge=1, description="Images expected in the archive.")
