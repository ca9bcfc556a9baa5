"""A data set and where its sheets come from: one section for each module of `sheetlens.fetch.sources`."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sheetlens.config.closed import Closed
from sheetlens.config.licensed import Licensed
from sheetlens.config.phases import Paper
from sheetlens.config.portals import DwcaSource, GbifSource, IdigbioSource, SmithsonianSource
from sheetlens.config.records import Corrections, Records


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
    labels: str | None = Field(
        default=None,
        min_length=1,
        description="Table of labels (image_id, label), such as labels.csv of `sheetlens label`; no sub-folders then.",
    )

    @property
    def here(self) -> tuple[str, ...]:
        """Its table of labels."""
        return (self.labels,) if self.labels else ()


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

    @property
    def here(self) -> tuple[str, ...]:
        """Its table."""
        return (self.table,)


class IiifSource(UrlsSource):
    """A table of IIIF images and labels, which the server sends in the size asked for."""

    size: int = Field(default=1024, ge=256, description="Pixels on the longer side to ask for.")


# What the rules must know of a source. To add one: its settings, a row here and a field of `Dataset`, and the module of
# the same name in sheetlens/fetch/sources (docs/contributing/adding.md).
Kind = Literal[
    "drawn",  # the package makes the files
    "here",  # they are here already
    "archives",  # whole archives are fetched, and kept
    "files",  # single files are fetched, from addresses that somebody lists
    "specimens",  # single files are found by specimen records; citation.json says what to cite
]
SOURCES: dict[str, Kind] = {
    "demo": "drawn",
    "folder": "here",
    "figshare": "archives",
    "urls": "files",
    "iiif": "files",
    "dwca": "specimens",
    "gbif": "specimens",
    "idigbio": "specimens",
    "smithsonian": "specimens",
}


class Dataset(Closed):
    """One data set: where its sheets come from, which network reads them."""

    title: str = Field(min_length=1, description="A name for people, used in figures and the report.")
    source: str = Field(
        json_schema_extra={"enum": list(SOURCES)},
        description="Where the sheets come from; the section of the same name says how.",
    )
    network: str = Field(description="table1 or table2, the paper's networks, or one of the section `networks`.")
    demo: DemoSource | None = Field(default=None, description="Used with `source: demo`.")
    folder: FolderSource | None = Field(default=None, description="Used with `source: folder`.")
    figshare: dict[str, FigshareFile] | None = Field(
        default=None, min_length=2, description="Used with `source: figshare`: one archive per class."
    )
    urls: UrlsSource | None = Field(default=None, description="Used with `source: urls`.")
    iiif: IiifSource | None = Field(default=None, description="Used with `source: iiif`.")
    dwca: DwcaSource | None = Field(default=None, description="Used with `source: dwca`.")
    gbif: GbifSource | None = Field(default=None, description="Used with `source: gbif`.")
    idigbio: IdigbioSource | None = Field(default=None, description="Used with `source: idigbio`.")
    smithsonian: SmithsonianSource | None = Field(default=None, description="Used with `source: smithsonian`.")
    records: Records | None = Field(default=None, description="Specimen records to join to the images.")
    corrections: Corrections | None = Field(default=None, description="Corrected labels, from a review.")
    paper: Paper | None = Field(default=None, description="The paper's values, where there are any.")

    @field_validator("source")
    @classmethod
    def _source_is_known(cls, source: str) -> str:
        if source not in SOURCES:
            raise ValueError(f"the sources are {', '.join(SOURCES)}")
        return source

    @model_validator(mode="after")
    def _source_section_is_there(self) -> Self:
        if getattr(self, self.source) is None:
            raise ValueError(f"source is '{self.source}', but there is no section '{self.source}' beside it")
        return self

    @property
    def labelled(self) -> bool:
        """Whether the source gives the classes; otherwise the specimen records do."""
        return not (self.records and self.records.label)

    @property
    def kind(self) -> Kind:
        """What the rules must know of the source."""
        return SOURCES[self.source]

    @property
    def source_settings(self) -> Any:
        """The section that belongs to the source."""
        return getattr(self, self.source)
