"""The features of an image set as a product: an array on disk and the facts of how it was made.

`{name}.npy` is float32, shape (N, d), a row for each row of the image set; `{name}.json` says which network in which
arithmetic, from which index. It is computed in parts, each a plain file that grows batch by batch: a killed job goes on
where it was, and the parts put together are the same bytes however many there are.
"""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.prepare.image_set import open_image_set

if TYPE_CHECKING:  # the class needs torch, which takes seconds to import
    from sheetlens.features.extraction import FeatureReader

BATCH = 32  # sheets that are read together; another number gives other last bits
CHUNK = 2048  # rows that are copied at a time
TYPE = np.dtype("<f4")
log = logging.getLogger(__name__)


def rows_of_part(count: int, part: int, parts: int) -> range:
    """The rows of one part (from 0) of `parts`, whole batches but for the last, so that their bits are the same."""
    batches = -(-count // BATCH)
    first, last = (batches * number // parts * BATCH for number in (part, part + 1))
    return range(min(first, count), min(last, count))


def compute_part(
    reader: "FeatureReader",
    pixels: Path,
    index: Path,
    part: int,
    parts: int,
    output: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Compute the features of one part of an image set into `output`, float32 after float32; go on after a kill."""
    pack = open_image_set(pixels)
    rows = rows_of_part(len(pack), part, parts)
    facts = reader.facts | {"index_sha256": files.sha256(index), "rows": [rows.start, rows.stop]}
    growing, note = output.with_name(output.name + ".part"), output.with_name(output.name + ".json")
    if not (growing.is_file() and note.is_file() and files.read_json(note) == facts):
        growing.unlink(missing_ok=True)
        files.write_json(note, facts)  # beside the part, for `join_parts`, and for the job that goes on
    size = BATCH * reader.size * TYPE.itemsize
    with growing.open("ab") as file:
        done = file.tell() // size * BATCH  # what a kill cut off within a batch is computed again
        file.truncate(done // BATCH * size)
        progress(done, len(rows))
        for start in range(rows.start + done, rows.stop, BATCH):
            batch = pack[start : min(start + BATCH, rows.stop)]
            file.write(reader.read(batch).astype(TYPE).tobytes())
            file.flush()
            progress(start + len(batch) - rows.start, len(rows))
    growing.replace(output)


def join_parts(parts: Sequence[Path], index: Path, output: Path) -> None:
    """Put parts together, in their order, as `output` (.npy) and its facts beside it (.json).

    Raises UserError for parts of other sheets or of another network.
    """
    notes = [files.read_json(path.with_name(path.name + ".json")) for path in parts]
    facts = {key: value for key, value in notes[0].items() if key != "rows"}
    if any({key: value for key, value in note.items() if key != "rows"} != facts for note in notes):
        raise UserError(
            "the parts of the features were made with different networks or arithmetics: let all jobs run on the same"
            " kind of machine, or set train.device and train.precision, and delete the features"
        )
    if facts["index_sha256"] != files.sha256(index):
        raise UserError(f"the features are not those of {index}: run the same command again")
    count = sum(stop - start for start, stop in (note["rows"] for note in notes))
    row = facts["size"] * np.dtype(TYPE).itemsize
    for path, note in zip(parts, notes, strict=True):  # each for itself: what is too much in one would shift the next
        held, told = path.stat().st_size, note["rows"][1] - note["rows"][0]
        if held != told * row:
            raise UserError(f"{path} holds {held / row:g} sheets and not {told}: delete the features, run again")
    head = {"descr": np.dtype(TYPE).str, "fortran_order": False, "shape": (count, facts["size"])}
    with files.whole(output) as made, made.open("wb") as joined:  # a memory map of a full disk kills (SIGBUS)
        np.lib.format.write_array_header_1_0(joined, head)
        for path in parts:
            with path.open("rb") as part:
                shutil.copyfileobj(part, joined)
    files.write_json(output.with_suffix(".json"), facts | {"sheets": count, "version": __version__})


def open_features(path: Path) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Features (.npy) without reading them, a memory map of the shape (N, d), and the facts beside them."""
    facts = files.read_object(path.with_suffix(".json"), ("index_sha256",))
    with files.reading(path):
        return np.load(path, mmap_mode="r"), facts
