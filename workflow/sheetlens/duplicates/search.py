"""Find the same sheet twice: the same file, the same pixels, or another photograph of the same sheet."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sheetlens.common import files
from sheetlens.common.progress import reporter
from sheetlens.duplicates.alignment import similarity
from sheetlens.duplicates.signatures import close_pairs, make_signatures
from sheetlens.duplicates.views import View, find_views, look
from sheetlens.prepare.image_set import open_image_set

log = logging.getLogger(__name__)

EXACT_FILE, EXACT_PIXELS, NEAR = "exact file", "exact pixels", "near"
COLUMNS = ("first", "second", "kind", "distance", "similarity", "labels_differ")
SAME = 0.7  # least similarity: photographs of one sheet have 0.8 and more, of two sheets less than 0.65
Reporter = Callable[[str], Callable[[int, int], None]]  # see progress.reporter


def find_duplicates(
    pixels: Path, index: Path, progress: Reporter = lambda what: lambda done, total: None
) -> pd.DataFrame:
    """Pairs of sheets of an image set that are the same, within and across classes.

    One row per pair, sorted: first and second (image_ids, first < second), kind ("exact file": same bytes,
    "exact pixels": same picture in another file, "near": the same sheet photographed or saved again), distance
    (bits of 127 in which the signatures differ), similarity (correlation of detail after alignment, at most 1),
    labels_differ (bool).
    Sheets that are exactly the same are each paired with the first of them only, and that one stands for
    them in the search for near ones; so the rows grow with the sheets, and connected sheets stay connected.
    `progress` makes a function to report with from the name of a step.
    """
    sheets = files.read_table(index).sort_values("image_id", ignore_index=True)
    pack = open_image_set(pixels)
    files_alike = _with_first(sheets, "sha256", EXACT_FILE)
    distinct = sheets.drop_duplicates("sha256")
    pixels_alike = _with_first(distinct, "pixels_sha256", EXACT_PIXELS)
    distinct = distinct.drop_duplicates("pixels_sha256")
    near = _near(pack, distinct, progress)
    pairs = pd.concat([files_alike, pixels_alike, near], ignore_index=True)
    label = sheets.set_index("image_id")["label"]
    differ = label[pairs["first"]].to_numpy() != label[pairs["second"]].to_numpy()
    pairs = pairs.assign(labels_differ=differ)[list(COLUMNS)]
    return pairs.sort_values(["first", "second"], ignore_index=True)


def _with_first(sheets: pd.DataFrame, column: str, kind: str) -> pd.DataFrame:
    """Pair every sheet with the first of those that have the same value in a column."""
    first = sheets.groupby(column)["image_id"].transform("first")
    later = sheets["image_id"] != first
    return pd.DataFrame(
        {"first": first[later], "second": sheets.loc[later, "image_id"], "kind": kind, "distance": 0, "similarity": 1.0}
    )


def _near(pack: np.ndarray, sheets: pd.DataFrame, progress: Reporter) -> pd.DataFrame:
    """Candidates by the signatures of any of their views, each confirmed on the pixels."""
    rows = sheets["row"].to_numpy()
    names = sheets["image_id"].to_numpy()
    signatures, owners, views = _see(pack, rows, progress("signatures"))
    candidates, distances = close_pairs(signatures, progress=progress("bands searched"))
    closest = _closest(owners[candidates], distances)
    report = progress("pairs compared")
    similarities = np.zeros(len(closest))
    for number, pair in enumerate(candidates[closest]):
        first, second = (look(pack[rows[owners[place]]], views[place]) for place in pair)
        similarities[number] = similarity(first, second)
        report(number + 1, len(closest))
    same = similarities >= SAME
    pairs = np.sort(owners[candidates[closest[same]]], axis=1)
    return pd.DataFrame(
        {
            "first": names[pairs[:, 0]],
            "second": names[pairs[:, 1]],
            "kind": NEAR,
            "distance": distances[closest[same]],
            "similarity": similarities[same].round(4),
        }
    )


def _see(
    pack: np.ndarray, rows: np.ndarray, report: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray, list[View]]:
    """Signatures of all views of the given rows, the number of the sheet of each, and the views."""
    signatures, owners, views = [np.empty((0, 2), np.uint64)], [], []
    for number, row in enumerate(rows):
        found, small = find_views(pack[row])
        signatures.append(make_signatures(small))
        owners += [number] * len(found)
        views += found
        report(number + 1, len(rows))
    return np.concatenate(signatures), np.array(owners, int), views


def _closest(owners: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Rows of the pairs of views, the closest one for each pair of different sheets; `owners` has shape (m, 2)."""
    table = pd.DataFrame(np.sort(owners, axis=1), columns=["first", "second"]).assign(distance=distances)
    table = table[table["first"] != table["second"]].sort_values("distance", kind="stable")
    return np.sort(table.drop_duplicates(["first", "second"]).index.to_numpy(int))


def write_duplicates(pixels: Path, index: Path, output: Path) -> None:
    """Write the pairs of sheets that are there twice, exactly or nearly."""
    pairs = find_duplicates(pixels, index, reporter)
    files.write_table(output, pairs)
    counts = pairs["kind"].value_counts()
    found = ", ".join(f"{kind} {count}" for kind, count in counts.items()) or "none"
    log.info("pairs of duplicates: %s; under different labels: %d", found, pairs["labels_differ"].sum())
