"""Features of any photographs as a table, and the sheets of a collection that are most like one."""

import heapq
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import safe_cell
from sheetlens.config import LIMITS, Limits
from sheetlens.predict.collection_predictions import Row, full_batch, read_row
from sheetlens.predict.inference import BATCH
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.prepare.shards import AHEAD, in_order

SIDE, LINE, ACROSS = 256, 18, 5  # of the contact sheet: pixels of a picture and of its caption, pictures in a row
LONGEST_CAPTION = 40
COLUMNS = ("rank", "image_id", "similarity", "path")


# What reads features of sheets, uint8, shape (n, 3, 256, 256): float32, shape (n, d).
Reading = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Nearest:
    """The sheets most like one, nearest first (COLUMNS), and how many were looked through or refused."""

    table: pd.DataFrame
    compared: int
    refused: int


def read_all(
    read: Reading,
    listing: Path,
    fit: str,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    limits: Limits = LIMITS,
) -> Iterator[tuple[Row, NDArray[np.float32] | None]]:
    """Each row of a list (see `input_list`), in its order, with its features; None, with the reason, if refused."""
    total, done = files.count_rows(listing), 0
    with Readers(workers, fit, limits) as readers, ThreadPoolExecutor(workers) as pool:
        rows = files.read_rows(listing)
        readings = in_order(pool, lambda row: (row, read_row(readers, row)), rows, AHEAD * workers + BATCH)
        progress(0, total)
        while batch := list(islice(readings, BATCH)):
            vectors = read(full_batch(batch)) if any(reading.pixels for _, reading in batch) else None
            for number, (row, reading) in enumerate(batch):
                told = {name: reading.facts.get(name, row[name]) for name in ("status", "reason", "sha256")}
                yield row | told, vectors[number] if vectors is not None and reading.pixels else None
            done += len(batch)
            progress(done, total)


def write_embeddings(
    rows: Iterator[tuple[Row, NDArray[np.float32] | None]], model: str, digest: str, output: Path
) -> int:
    """Write a table (.parquet): image_id, status, reason, sha256 of the file, model, model_sha256 and `vector`.

    `model` and `digest` say what made the vectors, which are null for refused files. Returns how many there are.
    """
    text = pa.dictionary(pa.int32(), pa.string())
    kinds = dict.fromkeys(("image_id", "status", "reason", "sha256"), pa.string())
    schema = pa.schema([*kinds.items(), ("model", text), ("model_sha256", text), ("vector", pa.list_(pa.float32()))])
    known = {"model": model, "model_sha256": digest}
    count = 0
    with files.whole(output) as part, pq.ParquetWriter(part, schema) as writer:
        while some := list(islice(rows, BATCH * BATCH)):
            lines = [{name: row[name] for name in kinds} | known | {"vector": vector} for row, vector in some]
            writer.write_table(pa.Table.from_pylist(lines, schema))
            count += sum(vector is not None for _, vector in some)
    return count


def find_nearest(
    sheet: NDArray[np.float32],
    rows: Iterator[tuple[Row, NDArray[np.float32] | None]],
    centre: NDArray[np.float32],
    scale: NDArray[np.float32],
    count: int,
) -> Nearest:
    """The `count` sheets whose features point most in the direction of one's: cosine similarity, -1 to 1.

    Features are those of `rows`, less the `centre` of a model's training part and times `scale`, shape (d,): what all
    sheets have in common says nothing. One batch of them is in memory at a time. Of sheets that are equally near, the
    first of the list.
    """
    wanted = _direction((sheet - centre) * scale)
    best: list[tuple[float, int, Row]] = []
    compared = refused = 0
    for number, (row, vector) in enumerate(rows):
        if vector is None:
            refused += 1
            continue
        compared += 1
        similarity = float(wanted @ _direction((vector - centre) * scale))
        best.append((-similarity, number, row))
        if len(best) > 2 * count + BATCH:
            best = heapq.nsmallest(count, best)
    found = [
        {"rank": rank, "image_id": row["image_id"], "similarity": -less, "path": row["path"]}
        for rank, (less, _, row) in enumerate(heapq.nsmallest(count, best), start=1)
    ]
    return Nearest(pd.DataFrame(found, columns=COLUMNS), compared, refused)


def write_nearest(nearest: Nearest, sheet: Path, output: Path, limits: Limits = LIMITS) -> None:
    """Write `similar.csv` and the contact sheet `similar.jpg`: the sheet itself first, then those most like it."""
    table = nearest.table
    files.write_table(output / "similar.csv", table.map(lambda value: safe_cell(value)))
    shown = [(sheet, "this sheet")]
    captions = zip(table["path"], table["image_id"], table["similarity"], strict=True)
    shown += [(Path(path), f"{value:.3f} {name[-LONGEST_CAPTION:]}") for path, name, value in captions]
    lines = -(-len(shown) // ACROSS)
    contact = Image.new("RGB", (ACROSS * SIDE, lines * (SIDE + LINE)), "white")
    writing = ImageDraw.Draw(contact)
    with Readers(1, "squash", limits) as readers:
        for number, (path, caption) in enumerate(shown):
            left, top = number % ACROSS * SIDE, number // ACROSS * (SIDE + LINE)
            picture = readers.show(path, SIDE)
            contact.paste(picture, (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2))
            writing.text((left + 4, top + SIDE + 2), caption, fill="black")
    with files.whole(output / "similar.jpg") as part:
        contact.save(part, "JPEG", quality=85)


def read_one(read: Reading, sheet: Path, fit: str, limits: Limits = LIMITS) -> NDArray[np.float32]:
    """Features of one photograph, float32, shape (d,); UserError where it is no sheet that can be read."""
    with Readers(1, fit, limits) as readers:
        reading = readers.read({"path": str(sheet), "image_id": sheet.name, "sha256": ""})
    if not reading.pixels:
        raise UserError(f"{sheet} cannot be read ({reading.facts.get('reason')}): give another photograph")
    return read(full_batch([({}, reading)]))[0]


def describe(facts: dict[str, object]) -> str:
    """What made vectors, in one line of JSON: the network, its arithmetic."""
    return json.dumps({key: facts[key] for key in ("definition", "precision")}, sort_keys=True)


def _direction(vector: NDArray[np.float32]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return vector.astype(np.float64) / (length or 1.0)
