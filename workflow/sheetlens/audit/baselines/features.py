"""What a shortcut could live on: each baseline's view of the sheets, with the plant left out."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# How the photograph was taken and stored, as far as it does not depend on what the sheet shows.
SETUP = ("width", "height", "format", "mode", "jpeg_quality", "jpeg_tables", "subsampling")
EXIF = ("exif_make", "exif_model", "exif_datetime", "exif_software", "icc")
# Depends on the sheet, too: a mottled sheet makes a larger file, browned paper another balance.
CONTENT = ("bytes", "sharpness", "balance_red", "balance_blue")
RECORD = ("recordedBy", "eventDate")
STRIP = 2  # pixels of the 256: the outermost ring, where a photograph shows the table and not yet the paper
BARCODE = r"([A-Za-z]*)(\d+)"
CORNER = (0.72, 0.52)  # the label's corner begins at this share of height and width (lower right)
Table = pd.DataFrame


def setup_features(sheets: Table, pixels: NDArray[np.uint8]) -> Table:
    """Size, shape, format, JPEG tables, EXIF: numbers, and texts as categories."""
    table = _columns(sheets, (*SETUP, *EXIF))
    if {"width", "height"} <= set(table):
        table["aspect"] = table["height"] / table["width"]
    if "exif_datetime" in table:  # "2016:03:21 10:11:12": the day tells the campaign
        day = table["exif_datetime"].fillna("").str.replace(":", "").str[:8]
        table["exif_datetime"] = pd.to_numeric(day, errors="coerce")
    return table


def record_features(sheets: Table, pixels: NDArray[np.uint8]) -> Table:
    """Collector and year."""
    table = _columns(sheets, RECORD)
    if "eventDate" in table:
        year = sheets["eventDate"].fillna("").astype(str).str.extract(r"^(\d{4})")[0]
        table["year"] = pd.to_numeric(year)
        table = table.drop(columns="eventDate")
    return table


def metadata_features(sheets: Table, pixels: NDArray[np.uint8]) -> Table:
    """All that is known without looking at the picture, the content-dependent file size included."""
    parts = [setup_features(sheets, pixels), record_features(sheets, pixels), _columns(sheets, CONTENT)]
    return pd.concat(parts, axis=1)


def colour_features(sheets: Table, pixels: NDArray[np.uint8]) -> Table:
    """Histogram of each channel of the sheet at 32x32 pixels, 8 bins: shares of the pixels."""
    edges = np.linspace(0, 256, 9)
    rows = []
    for sheet in pixels:
        small = sheet.reshape(3, 32, 8, 32, 8).mean(axis=(2, 4))
        rows.append(np.concatenate([np.histogram(channel, edges)[0] for channel in small]) / 1024)
    return pd.DataFrame(np.array(rows), index=sheets.index)


def border_features(sheets: Table, pixels: NDArray[np.uint8]) -> Table:
    """Mean and deviation of each channel along each edge, and the border colours of the original."""
    rows = []
    for sheet in pixels:
        values = sheet.astype(np.float32)
        edges = (values[:, :STRIP], values[:, -STRIP:], values[:, :, :STRIP], values[:, :, -STRIP:])
        rows.append([fact(edge, axis=(1, 2)) for edge in edges for fact in (np.mean, np.std)])
    table = pd.DataFrame(np.array(rows).reshape(len(rows), -1), index=sheets.index)
    return pd.concat([table, _columns(sheets, ("border_red", "border_green", "border_blue"))], axis=1)


def corner_features(sheets: Table, pixels: NDArray[np.uint8]) -> Table:
    """The lower right corner, where the label is glued, as 8x12 colours."""
    top, left = (int(share * pixels.shape[-1]) for share in CORNER)
    rows = []
    for sheet in pixels:
        corner = sheet[:, top:, left:].astype(np.float32)
        down, across = corner.shape[1] // 8, corner.shape[2] // 12
        tiles = corner[:, : 8 * down, : 12 * across].reshape(3, 8, down, 12, across)
        rows.append(tiles.mean(axis=(2, 4)).ravel())
    return pd.DataFrame(np.array(rows) / 255, index=sheets.index)


FEATURES: dict[str, Callable[[Table, NDArray[np.uint8]], Table]] = {
    "imaging set-up": setup_features,
    "border strip": border_features,
    "collector and year": record_features,
    "metadata": metadata_features,
    "colour histogram": colour_features,
    "label corner": corner_features,
}
NEIGHBOUR = ("collector and year", "metadata")  # these also see the classes of the nearest barcodes
PICTURES = ("border strip", "colour histogram", "label corner")


def neighbour_shares(specimens: pd.Series, labels: pd.Series, train: NDArray[np.bool_], nearest: int = 4) -> Table:
    """Share of each class among the training sheets with the nearest barcodes; a sheet is no neighbour of itself.

    `specimens` and `labels` are texts and `train` says which labels may be used, all of shape (n,). A barcode is
    the first number in the text with the letters right before it: a file name may begin with the class. Barcodes
    of another herbarium (other letters) are no neighbours; NaN where there is none.
    """
    parts = specimens.str.extract(BARCODE)
    herbarium, number = parts[0], parts[1].str[:15].astype(float)
    classes = sorted(labels.unique())
    shares = np.full((len(labels), len(classes)), np.nan)
    codes = pd.Categorical(labels, categories=classes).codes
    usable = number.notna().to_numpy()
    for name in herbarium[usable].unique():
        group = np.flatnonzero((herbarium == name).to_numpy() & usable)
        known = group[train[group]]
        known = known[np.argsort(number.to_numpy()[known], kind="stable")]
        places = np.searchsorted(number.to_numpy()[known], number.to_numpy()[group])
        for row, place in zip(group, places, strict=True):
            window = [other for other in known[max(0, place - nearest) : place + nearest + 1] if other != row]
            window.sort(key=lambda other: abs(number.iloc[other] - number.iloc[row]))
            if window:
                shares[row] = np.bincount(codes[window[:nearest]], minlength=len(classes)) / len(window[:nearest])
    return pd.DataFrame(shares, index=labels.index, columns=[f"neighbours {name}" for name in classes])


def _columns(sheets: Table, names: tuple[str, ...]) -> Table:
    """The columns that are there and say something: one value throughout tells nothing."""
    return sheets[[name for name in names if name in sheets and sheets[name].nunique(dropna=False) > 1]].copy()
