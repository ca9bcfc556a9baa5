"""The image set: all sheets of a data set in one array on disk, with a table beside it."""

import functools
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.errors import UserError
from sheetlens.files import whole, write_table
from sheetlens.images import POLICY, SIZE, RefusedImageError, read_sheet

FACTS = ["width", "height", "format", "mode", "notes"]  # of every file in the manifest, as far as known
CARRIED = ["recordedBy", "recordNumber", "eventDate", "family", "institutionCode", "catalogNumber"]
INDEX = [  # columns of the index beside row, fit and policy; the features are those of `sheetlens.features`
    *("image_id", "specimen_id", "label", "sha256", "pixels_sha256", "bytes", *FACTS),
    *("box_left", "box_top", "box_right", "box_bottom"),
    *("jpeg_quality", "jpeg_tables", "subsampling", "exif_make", "exif_model", "exif_datetime", "exif_software"),
    *("icc", "border_red", "border_green", "border_blue", "sharpness", "balance_red", "balance_blue", *CARRIED),
]
WINDOW = 64  # sheets in flight: memory stays flat however many there are


def pack(
    listing: pd.DataFrame,
    pixels: Path,
    index: Path,
    manifest: Path,
    fit: str = "squash",
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Read every original of a listing and write the image set; return the manifest.

    `pixels` becomes a .npy file, uint8, shape (N, 3, 256, 256), one row per accepted sheet in the order of
    the listing; `index` its table (row, image_id, specimen_id, label, hashes); `manifest` the listing with
    what was found, a status ("ok" or "refused") and the reason. The bytes do not depend on `workers`:
    threads, because Pillow lets go of the interpreter while it decodes and resizes.
    Raises UserError when fewer than two classes have a usable sheet.
    """
    rows: list[dict[str, Any]] = []
    originals = listing.to_dict("records")
    read = functools.partial(_read_original, fit=fit)
    with whole(pixels) as part, part.open("wb") as file, ThreadPoolExecutor(workers) as pool:
        _write_header(file, 0)
        for start in range(0, len(originals), WINDOW):
            for original, outcome in pool.map(read, originals[start : start + WINDOW]):
                sheet = outcome.pop("pixels", None)
                if sheet is not None:
                    file.write(sheet)
                    outcome["pixels_sha256"] = hashlib.sha256(sheet).hexdigest()
                rows.append(original | outcome)
            progress(len(rows), len(originals))
        table = pd.DataFrame(rows).astype({"width": "Int64", "height": "Int64"})
        accepted = table[table["status"] == "ok"]
        _check_classes(table, accepted)
        file.seek(0)
        _write_header(file, len(accepted))
    kept = accepted.reindex(columns=INDEX, fill_value="").reset_index(drop=True)
    kept.insert(0, "row", range(len(kept)))
    write_table(index, kept.assign(fit=fit, policy=POLICY))
    manifest_table = table[[*listing.columns, *FACTS]]
    write_table(manifest, manifest_table)
    return manifest_table


def _read_original(original: dict[str, Any], fit: str) -> tuple[dict[str, Any], dict[str, Any]]:
    nothing = dict.fromkeys(["width", "height"]) | dict.fromkeys(["format", "mode", "notes", "pixels_sha256"], "")
    if original["status"] != "ok":
        return original, nothing
    try:
        data = Path(original["path"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != original["sha256"]:
            raise RefusedImageError("the file changed after it was listed: run again")
        sheet = read_sheet(data, fit, original["path"])
    except (RefusedImageError, OSError) as error:
        reason = str(error) if isinstance(error, RefusedImageError) else f"cannot be read: {error.strerror}"
        return original, nothing | {"status": "refused", "reason": reason}
    facts = {"width": sheet.width, "height": sheet.height, "format": sheet.format, "mode": sheet.mode}
    box = dict(zip(("box_left", "box_top", "box_right", "box_bottom"), sheet.box, strict=True))
    return original, facts | {"notes": sheet.notes, "pixels": sheet.pixels.tobytes()} | box | sheet.features


def _write_header(file: Any, rows: int) -> None:
    # NumPy pads the header for a growing first axis, so that it can be written again when N is known.
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 3, SIZE, SIZE)}
    np.lib.format.write_array_header_1_0(file, header)


def _check_classes(table: pd.DataFrame, accepted: pd.DataFrame) -> None:
    counts = accepted["label"].value_counts().reindex(sorted(set(table["label"]) - {""}), fill_value=0)
    if (counts > 0).sum() < 2:
        found = ", ".join(f"{label}: {count}" for label, count in counts.items())
        reasons = table.loc[table["status"] == "refused", "reason"].value_counts()
        why = f" Most files were refused because: {reasons.index[0]}." if len(reasons) else ""
        raise UserError(f"two classes with usable sheets are needed, found {found or 'none'}.{why}")


def open_pack(path: Path) -> np.ndarray:
    """Open an image set without reading it: a memory map, uint8, shape (N, 3, 256, 256).

    Copy on write, so that torch takes it without a copy while nothing can reach the file.
    """
    return np.load(path, mmap_mode="c")
