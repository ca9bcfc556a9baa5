"""Sources that know their pictures by specimen records: archives, GBIF, iDigBio, the Smithsonian."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sheetlens.config.closed import Closed
from sheetlens.config.licensed import Licensed

CATALOGUE_OF_LIFE = "7ddf754f-d193-4cc9-b351-99906754a03b"  # Catalogue of Life XR at GBIF


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Sample(Licensed):
    """What all these sources share: which pictures of those they know are taken."""

    seed: int = Field(default=1, ge=0, description="Same seed, same sample, in whatever order the records come.")


class RecordClass(Closed):
    """One class: the specimens whose record says so."""

    where: dict[str, Words] = Field(
        min_length=1, description="Darwin Core terms with the value, or values, that records of this class have."
    )
    images: int | None = Field(default=None, ge=1, description="Images to sample; none: all.")


class DwcaSource(Sample):
    """Pictures that Darwin Core Archives name."""

    archives: Annotated[Words, Field(min_length=1)] = Field(
        description="Archives: files or folders here, or web addresses."
    )
    classes: dict[str, RecordClass] = Field(min_length=2, description="The classes, by name.")
    size: Literal["web", "original"] = Field(
        default="web", description="Size asked for first: the portal's reduced picture or the original."
    )

    @property
    def here(self) -> tuple[str, ...]:
        """Its archives."""
        return self.archives


class GbifClass(Closed):
    """One class: the specimens of a taxon."""

    name: str = Field(min_length=1, description="Scientific name, of whatever rank.")
    rank: str = Field(default="FAMILY", description="Its rank, to tell homonyms apart.")
    images: int | None = Field(default=None, ge=1, description="Images to sample; none: all.")


class GbifSource(Sample):
    """Pictures of preserved specimens that GBIF knows."""

    classes: dict[str, GbifClass] = Field(min_length=2, description="The classes, by name.")
    institution: str = Field(default="", description="Institution code (Index Herbariorum); empty: all.")
    checklist: str = Field(default=CATALOGUE_OF_LIFE, description="Key of the checklist in which names are looked up.")
    method: Literal["auto", "search", "download"] = Field(
        default="auto",
        description="search: page by page; download: one archive for each class, with a DOI; auto: by the number.",
    )
    cache: int | None = Field(
        default=None,
        ge=64,
        le=1200,
        description="Longer side in pixels of the copies in GBIF's image cache; none: the publisher's own files.",
    )


class IdigbioClass(Closed):
    """One class: the specimens that a query finds."""

    query: dict[str, Words] = Field(
        min_length=1, description="iDigBio's index terms with the value, or values, wanted."
    )
    images: int | None = Field(default=None, ge=1, description="Images to sample; none: all.")


class IdigbioSource(Sample):
    """Pictures of specimens that iDigBio keeps."""

    classes: dict[str, IdigbioClass] = Field(min_length=2, description="The classes, by name.")
    size: Literal["webview", "fullsize"] = Field(default="webview", description="Size asked for.")


class SmithsonianClass(Closed):
    """One class: the specimens whose record says so, or those of a list of barcodes."""

    where: dict[str, Words] = Field(
        default={}, description="Darwin Core terms with the value, or values, that records of this class have."
    )
    barcodes: str = Field(default="", description="Table (CSV, TSV, Parquet) with a column `barcode`: take these.")
    images: int | None = Field(default=None, ge=1, description="Images to sample; none: all.")

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if bool(self.where) == bool(self.barcodes):
            raise ValueError("a class is given by `where` or by `barcodes`, and not by both")
        return self


class SmithsonianSource(Sample):
    """Pictures of the Smithsonian's Open Access."""

    classes: dict[str, SmithsonianClass] = Field(min_length=2, description="The classes, by name.")
    metadata: str = Field(
        default="api",
        description="Where the records come from: api, or the metadata's shards (a folder here or a web address).",
    )
    unit: str = Field(default="NMNHBOTANY", description="Unit of the Smithsonian.")
    size: int = Field(default=1024, ge=64, le=10_000, description="Longer side of the pictures asked for, in pixels.")
    server: Literal["iiif", "delivery"] = Field(default="iiif", description="Image service that scales the pictures.")

    @property
    def here(self) -> tuple[str, ...]:
        """Its lists of barcodes."""
        return tuple(chosen.barcodes for chosen in self.classes.values() if chosen.barcodes)

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.metadata == "api" and any(chosen.barcodes for chosen in self.classes.values()):
            raise ValueError("the API cannot look up barcodes: give `metadata` as shards of the Open Access metadata")
        return self
