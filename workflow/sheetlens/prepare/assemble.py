"""Put shards together to the image set: one array on disk (or several), with a table beside it."""

import hashlib
import heapq
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens.common.errors import UserError
from sheetlens.common.files import ROW_GROUP, count_rows, read_rows, whole
from sheetlens.common.progress import reporter
from sheetlens.common.refusals import Reason, refused, tally
from sheetlens.config import Corrections, Images
from sheetlens.prepare.corrections import CORRECTED, Corrector
from sheetlens.prepare.decoding.decoder_processes import ROW
from sheetlens.prepare.mask import covered
from sheetlens.prepare.resize import POLICY, SIZE
from sheetlens.prepare.shards import finished_shards, read_journal

log = logging.getLogger(__name__)

REPEATED = 10  # so many files with the same bytes are one picture that stands for missing ones
REASON = ("status", "reason", "reason_code")
FACTS = {"width": "Int64", "height": "Int64", "format": "str", "mode": "str", "notes": "str"}  # also of refused files
TEXTS = ["jpeg_tables", "subsampling", "exif_make", "exif_model", "exif_datetime", "exif_software", "icc"]
NUMBERS = ["jpeg_quality", "border_red", "border_green", "border_blue", "sharpness", "balance_red", "balance_blue"]
CARRIED = ["recordedBy", "recordNumber", "eventDate", "family", "institutionCode", "catalogNumber"]
INDEX = {  # column of the index -> its type
    **{"row": "int64", "image_id": "str", "specimen_id": "str", "label": "str", "sha256": "str"},
    **{"pixels_sha256": "str", "bytes": "int64", **FACTS},
    **dict.fromkeys(["box_left", "box_top", "box_right", "box_bottom"], "int64"),
    **dict.fromkeys(TEXTS, "str"),
    **dict.fromkeys(NUMBERS, "float64"),
    **dict.fromkeys([*CARRIED, "fit", "policy"], "str"),
}


def assemble(
    listing: Path,
    shards: Sequence[Path],
    fit: str,
    pixels: Path,
    index: Path,
    manifest: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    corrector: Corrector | None = None,
    mask: Sequence[str] = (),
) -> Counter[str]:
    """Put shards together in the listing's order and return how often each reason for refusal occurred.

    `pixels` becomes a .npy file, uint8, shape (N, 3, 256, 256), one row per accepted sheet (without the ending
    .npy: a folder of such files of 8,192 rows each); `index` its table; `manifest` the listing with what was
    found, a status ("ok" or "refused") and the reason; with a `corrector` labels are corrected on the way, and the
    manifest says what they were, who corrected them and when; the regions of `mask` (see `prepare.mask`) are covered,
    and the index says which. Nothing depends on how many shards there are.
    Raises UserError when fewer than two classes have a usable sheet, or a shard lacks an original or is spoilt.
    """
    if corrector:
        corrector.check(read_rows(listing))
    repeated, accepted = _survey(listing, shards, corrector)
    total, reasons, row = count_rows(listing), Counter[str](), 0
    with ExitStack() as stack:
        rows = [stack.enter_context(shard.with_name(shard.name + ".pixels").open("rb")) for shard in shards]
        to_pixels = stack.enter_context(_Pixels(pixels, accepted))
        masked = {"mask": ",".join(mask)} if mask else {}
        to_index = stack.enter_context(_Table(index, pd.DataFrame(_typed(INDEX | dict.fromkeys(masked, "str")))))
        added = _typed(FACTS | dict.fromkeys(CORRECTED if corrector else (), "str"))
        like = pq.read_schema(listing).empty_table().to_pandas().assign(**added)
        to_manifest = stack.enter_context(_Table(manifest, like))
        for done, (record, facts) in enumerate(_joined(listing, shards, corrector, repeated), start=1):
            to_manifest.add(
                record | {name: facts.get(name, None if name in ("width", "height") else "") for name in FACTS}
            )
            if record["status"] == "ok":
                sheet = _read_row(rows[facts["shard"]], facts)
                if mask:
                    sheet = covered(np.frombuffer(sheet, np.uint8).reshape(3, SIZE, SIZE), mask).tobytes()
                    facts |= {"pixels_sha256": hashlib.sha256(sheet).hexdigest()} | masked
                to_pixels.add(sheet)
                to_index.add(dict.fromkeys(CARRIED, "") | record | facts | {"row": row, "fit": fit, "policy": POLICY})
                row += 1
            else:
                reasons[record["reason"]] += 1
            progress(done, total)
    return reasons


def _joined(
    listing: Path, shards: Sequence[Path], corrector: Corrector | None, repeated: frozenset[int] = frozenset()
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row of the listing with what became of it, and the facts from its shard."""

    def numbered(number: int, shard: Path) -> Iterator[dict[str, Any]]:
        return (facts | {"shard": number} for facts in read_journal(shard))

    merged = heapq.merge(*starmap(numbered, enumerate(shards)), key=lambda facts: facts["image_id"])
    facts, before = next(merged, None), ""
    rows = read_rows(listing)
    for record in corrector.apply(rows) if corrector else rows:
        if record["image_id"] <= before:
            raise UserError(f"{listing} is not sorted by image_id, or names '{before}' twice: fetch again")
        before = record["image_id"]
        found: dict[str, Any] = {}
        while facts and facts["image_id"] <= before:
            found, facts = (facts if facts["image_id"] == before else {}), next(merged, None)
        if record["status"] == "ok":
            if found.get("sha256") != record["sha256"]:
                raise UserError(f"no shard holds the sheet '{before}' as {listing} has it: run again")
            record |= {name: found.get(name, "") for name in REASON}
            if record["status"] == "ok" and _short(record["sha256"]) in repeated:
                record |= refused(Reason("placeholder", count=REPEATED))
        yield record, found


def _survey(listing: Path, shards: Sequence[Path], corrector: Corrector | None) -> tuple[frozenset[int], int]:
    """Find pictures that stand for missing ones, and count what will be accepted."""
    digests, labels, names, reasons = array("Q"), array("L"), dict[str, int](), Counter[str]()
    for record, _ in _joined(listing, shards, corrector):
        label = names.setdefault(record["label"], len(names))
        if record["status"] == "ok":
            digests.append(_short(record["sha256"]))
            labels.append(label)
        else:
            reasons[record["reason"]] += 1
    _, places, counts = np.unique(np.frombuffer(digests, np.uint64), return_inverse=True, return_counts=True)
    placeholder = counts[places] >= REPEATED
    usable = np.bincount(np.frombuffer(labels, np.uint64)[~placeholder].astype(int), minlength=len(names))
    if (usable > 0).sum() < 2:
        found = ", ".join(f"{label}: {usable[names[label]]}" for label in sorted(set(names) - {""}))
        why = f" Most files were refused because: {reasons.most_common(1)[0][0]}." if reasons else ""
        raise UserError(f"two classes with usable sheets are needed, found {found or 'none'}.{why}")
    return frozenset(np.frombuffer(digests, np.uint64)[placeholder].tolist()), int(usable.sum())


def _short(digest: str) -> int:
    """The first 64 bits of a digest: enough to count files by, and a quarter of the memory."""
    return int(digest[:16], 16)


def _read_row(pixels: BinaryIO, facts: dict[str, Any]) -> bytes:
    pixels.seek(facts["row"] * ROW)
    row = pixels.read(ROW)
    if hashlib.sha256(row).hexdigest() != facts["pixels_sha256"]:
        raise UserError(f"the pixels of '{facts['image_id']}' in {pixels.name} are spoilt: delete the file, run again")
    return row


class _Pixels:
    """Writes rows into one .npy file, or into a folder of them."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._left, self._room = path, rows, 0
        self._single = path.suffix == ".npy"
        self._stack, self._file, self._number = ExitStack(), cast(BinaryIO, None), 0

    def add(self, row: bytes) -> None:
        if not self._room:
            self._stack.close()
            path = self._path if self._single else self._path / f"{self._number:05}.npy"
            self._room = self._left if self._single else min(ROW_GROUP, self._left)
            self._file = self._stack.enter_context(_new_array(path, self._room))
            self._number += 1
        self._file.write(row)
        self._room -= 1
        self._left -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.__exit__(*fault)


@contextmanager
def _new_array(path: Path, rows: int) -> Iterator[BinaryIO]:
    with whole(path) as part, part.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 3, SIZE, SIZE)}
        np.lib.format.write_array_header_1_0(file, header)
        yield file


class _Table:
    """Writes rows into a Parquet table with the types of an empty one."""

    def __init__(self, path: Path, like: pd.DataFrame) -> None:
        self._schema = pa.Schema.from_pandas(like, preserve_index=False)
        self._rows: list[dict[str, Any]] = []
        self._stack, self._path = ExitStack(), path

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def __enter__(self) -> Self:
        part = self._stack.enter_context(whole(self._path))
        self._writer = self._stack.enter_context(pq.ParquetWriter(part, self._schema))
        return self

    def __exit__(self, *fault: Any) -> None:
        if fault[0] is None:
            self._flush()
        self._stack.__exit__(*fault)


def _typed(kinds: dict[str, str]) -> dict[str, pd.Series]:
    return {name: pd.Series(dtype=kind) for name, kind in kinds.items()}


def write_image_set(
    settings: Images,
    listing: Path,
    pixels: Path,
    index: Path,
    manifest: Path,
    corrections: Corrections | None,
    shards: Sequence[Path],
) -> None:
    """Put shards (without their endings, or a folder of them) together to the image set, and say what was refused."""
    corrector = Corrector(Path(corrections.path), corrections.leave_out_unsure) if corrections else None
    stems = [stem for shard in shards for stem in (finished_shards(shard) if shard.is_dir() else [shard])]
    told = reporter("sheets packed")
    assemble(listing, stems, settings.fit, pixels, index, manifest, told, corrector, settings.mask)
    for line in tally(read_rows(manifest)).lines():
        log.info("%s", line)
