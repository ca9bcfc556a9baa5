"""What a person knows of the sheets beside their source: specimen records and corrected labels."""

from pydantic import Field

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
