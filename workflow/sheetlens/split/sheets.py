"""The sheets of an image set with all that is known of them."""

from pathlib import Path

import pandas as pd

from sheetlens.common import files


def read_sheets(index: Path, manifest: Path) -> pd.DataFrame:
    """The sheets of an image set, by image_id, with all columns of its index and of the manifest."""
    sheets, more = files.read_table(index), files.read_table(manifest)
    new = more[["image_id", *more.columns.difference(sheets.columns)]]
    return sheets.merge(new, on="image_id", validate="one_to_one").sort_values("image_id", ignore_index=True)
