"""What a person knows of the sheets beside their source: specimen records and corrected labels."""

from typing import Annotated

from pydantic import Field, RootModel

from sheetlens.config.closed import Closed


class Records(Closed):
    """Specimen records of your own, joined to the images by barcode."""

    path: str = Field(
        min_length=1, description="Table (CSV, TSV, Parquet), Darwin Core Archive, or folder of Smithsonian shards."
    )
    barcode: str = Field(default="catalogNumber", description="Its column with the barcode.")
    columns: dict[str, str] = Field(
        default={}, description="Columns of the listing (Darwin Core terms) that have another name in the table."
    )
    label: str = Field(default="", description="Column that gives the class where the source has none.")


class Corrections(Closed):
    """Labels that reviewers corrected (`sheetlens review`), applied when the image set is made."""

    path: str = Field(min_length=1, description="Table of corrections (.csv), from `sheetlens review --export`.")
    leave_out_unsure: bool = Field(
        default=False, description="Leave out the sheets whose class the reviewers could not tell."
    )


class Method(Closed):
    """How often a method of testing for mercury errs."""

    sensitivity: float = Field(gt=0.5, lt=1, description="Share of treated sheets or cabinets it finds (0 to 1).")
    specificity: float = Field(gt=0.5, lt=1, description="Share of the others it leaves alone (0 to 1).")


METHODS = {  # assumed, not measured: cautious values, to be replaced by those of one's own instrument
    "XRF": Method(sensitivity=0.95, specificity=0.98),
    "vapour": Method(sensitivity=0.9, specificity=0.9),
    "spot test": Method(sensitivity=0.9, specificity=0.95),
    "UV": Method(sensitivity=0.7, specificity=0.9),
}


class Methods(RootModel[dict[Annotated[str, Field(min_length=1)], Method]]):
    """Methods of testing, by name, beside METHODS or in place of one of them."""
