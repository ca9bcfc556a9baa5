"""Where sheets come from: one section for each module of `sheetlens.fetch.listing`."""

from typing import Literal

from pydantic import Field, field_validator

from sheetlens.common.licences import known
from sheetlens.config.closed import Closed


class Licensed(Closed):
    """A source that says of each picture what may be done with it."""

    licences: tuple[str, ...] = Field(
        default=(),
        description="Licences that will do: SPDX ids, or kinds for any version (CC0, CC-BY); empty: any or none.",
    )

    @field_validator("licences")
    @classmethod
    def _can_be_met(cls, licences: tuple[str, ...]) -> tuple[str, ...]:
        for licence in licences:
            if not known(licence):
                raise ValueError(
                    f"'{licence}' is no SPDX id or kind of a Creative Commons licence, such as CC0 or CC-BY-4.0"
                )
        return licences


class DemoSource(Closed):
    """Sheets that the package draws itself."""

    task: Literal["stain", "family"] = Field(description="What the two classes differ in.")
    sheets: int = Field(ge=8, description="Number of sheets to draw, both classes together.")
    seed: int = Field(default=1, ge=0, description="Same seed, same sheets.")
    shortcut: bool = Field(
        default=False, description="Plant an imaging set-up that goes with the class, for the audits to find."
    )
    drops: bool = Field(
        default=False,
        description="Plant a dried drop on every stained sheet, for the saliency audit to point at.",
    )


class FolderSource(Closed):
    """Photographs in a folder of yours, one sub-folder per class."""

    path: str = Field(
        min_length=1,
        description="The folder. Its sub-folders are the classes; what lies deeper belongs to its class.",
    )


class FigshareFile(Closed):
    """What figshare has of one class: an archive, or all files of an article."""

    article: int | str = Field(description="Number or DOI of the figshare article.")
    version: int | None = Field(default=None, ge=1, description="Version of the article; none: the latest.")
    file: int | None = Field(default=None, description="Number of the file in the article; none: all its files.")
    images: int | None = Field(default=None, ge=1, description="Images expected; another number stops the run.")
    bytes: int | None = Field(default=None, ge=1, description="Size of the file in bytes, where it is known before.")
    md5: str | None = Field(
        default=None, pattern="^[0-9a-f]{32}$", description="MD5 of the file, where it is known before."
    )
    service: str = Field(
        default="https://api.figshare.com/v2/articles",
        pattern="^https?://",
        description="Address of figshare's articles; version 3 of its interface calls them items.",
    )


class UrlsSource(Licensed):
    """A table of addresses and labels."""

    table: str = Field(min_length=1, description="The table (.csv, .tsv or .parquet), one row per image.")
    columns: dict[str, str] = Field(
        default={}, description="Names of the table's columns where they differ from ours: {ours: the table's}."
    )


class IiifSource(UrlsSource):
    """A table of IIIF images and labels, which the server sends in the size asked for."""

    size: int = Field(default=1024, ge=256, description="Pixels on the longer side to ask for.")
