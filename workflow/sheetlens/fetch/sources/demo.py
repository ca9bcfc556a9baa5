"""Source `demo`: sheets that the package draws itself."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sheetlens import demo
from sheetlens.common import files
from sheetlens.config import DemoSource
from sheetlens.fetch.listing import listing


def fetch(
    settings: DemoSource,
    originals: Path,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Draw the sheets into `originals`, with `truth.parquet` beside them, and return their listing."""
    truth = demo.write_sheets(
        originals,
        settings.task,
        settings.sheets,
        settings.seed,
        settings.shortcut,
        workers,
        progress,
        settings.drops,
    )
    files.write_table(originals / "truth.parquet", truth)
    return listing(
        {
            "image_id": sheet["file"],
            "specimen_id": sheet["barcode"],
            "label": sheet["label"],
            "recordedBy": sheet["collector"],
            "recordNumber": str(sheet["collector_number"]),
            "eventDate": sheet["date"],
            "family": sheet["family"],
            "path": (originals / sheet["file"]).as_posix(),
            "route": "demo",
            "licence": "CC0-1.0",
            "licence_asserted": True,
            "rights_holder": "drawn by Sheetlens",
            "bytes": (originals / sheet["file"]).stat().st_size,
            "sha256": files.sha256(originals / sheet["file"]),
        }
        for sheet in truth.to_dict("records")
    )
