"""What a model answers for a collection: parts that jobs write side by side, and the tables made of them.

A part under way is a journal that only grows, `{stem}.jsonl.part`: a first line that says what it belongs to, then a
line for each row of the list, always a whole batch at a time. A batch is the same rows whatever was killed and however
many parts there are, so that each number comes out the same to the last bit.
"""

import csv
import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.common.barcodes import normalise
from sheetlens.common.errors import UserError
from sheetlens.common.journals import GrowingFile, recover
from sheetlens.common.tables import probability_column, probability_columns, safe_cell
from sheetlens.config import LIMITS, Limits
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.inference import BATCH
from sheetlens.predict.model_package import REVIEW
from sheetlens.prepare.decoding.decoder_processes import Readers, Reading
from sheetlens.prepare.resize import POLICY, SIZE
from sheetlens.prepare.shards import AHEAD, in_order
from sheetlens.statistics.calibration import log_odds
from sheetlens.statistics.comparisons import compare_collections

log = logging.getLogger(__name__)
Row = dict[str, Any]
ROW = {"image_id", "decision", "unlike", "status", "reason"}  # of each line, beside what it may lack
ANEW = "delete it, with what lies beside it of the same name, and run the same command again"
LARGEST = 700.0  # logarithm of the largest number there is, nearly


def write_part(
    model: Classifier,
    listing: Path,
    part: int,
    parts: int,
    stem: Path,
    risk: float,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    limits: Limits = LIMITS,
) -> None:
    """Read part number `part` (from 0) of `parts` of a list (see `collection`) into a journal, in the list's order.

    A finished journal of the same model, list, risk and limits is left as it is; one under way is gone on with; any
    other is begun anew. Raises UserError where another process is writing it.
    """
    start, stop = bounds(files.count_rows(listing), part, parts)
    head = _head(model, files.sha256(listing), risk, limits, start, stop)
    final, growing = stem.with_name(stem.name + ".jsonl"), stem.with_name(stem.name + ".jsonl.part")
    if final.is_file() and _first_line(final) == head:
        return
    with growing_journal(growing, head) as (journal, done):
        rows = files.read_rows(listing, start + done, stop)
        with Readers(workers, model.facts["fit"], limits) as readers, ThreadPoolExecutor(workers) as pool:
            readings = in_order(pool, lambda row: (row, read_row(readers, row)), rows, AHEAD * workers + BATCH)
            progress(done, stop - start)
            while batch := list(islice(readings, BATCH)):
                lines = answer(model, batch, model.threshold(risk)["threshold"])
                journal.append(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
                done += len(batch)
                progress(done, stop - start)
        growing.replace(final)


@contextmanager
def growing_journal(path: Path, head: bytes) -> Iterator[tuple[GrowingFile, int]]:
    """A journal to add lines to, a whole batch at a time, and how many rows it has, held against other processes.

    One under way that begins with the line `head` is gone on with, any other is begun anew. Raises UserError where
    another process is writing it.
    """
    with closing(GrowingFile(path)) as journal:
        yield journal, recover(journal, head, BATCH)


def bounds(rows: int, part: int, parts: int) -> tuple[int, int]:
    """First row of a part, and the one after its last: whole batches, so that parts do not change the batches."""
    batches = -(-rows // BATCH)
    return part * batches // parts * BATCH, min(rows, (part + 1) * batches // parts * BATCH)


def read_row(readers: Readers, row: Row) -> Reading:
    """Read the file of a row of a list, unless the list refuses it."""
    return readers.read(row) if row["status"] == "ok" else Reading({})


def _head(model: Classifier, listing: str, risk: float, limits: Limits, start: int, stop: int) -> bytes:
    """The first line of a journal: what it belongs to."""
    facts = {"model": model.fingerprint, "list": listing, "policy": POLICY, "risk": risk, "limits": limits.costs}
    facts["unguaranteed"] = model.unguaranteed
    if model.checked:
        facts["checked"] = model.checked
    return json.dumps(facts | {"start": start, "stop": stop, "version": __version__}).encode() + b"\n"


def _first_line(journal: Path) -> bytes:
    with journal.open("rb") as lines:
        return lines.readline()


def answer(model: Classifier, batch: list[tuple[Row, Reading]], threshold: float | None) -> list[Row]:
    """What is answered for each row of a batch: the columns of the tables, by name.

    A sheet gets its most probable class as decision if its log-odds are above the threshold, and else "review". One
    that is unlike the training's has neither probabilities nor class: "review", too. A refused file has no decision.
    """
    answers = model.read(full_batch(batch)) if any(reading.pixels for _, reading in batch) else None
    lines = []
    for number, (row, reading) in enumerate(batch):
        line = {
            "image_id": row["image_id"],
            "specimen_id": row["specimen_id"],
            "barcode": normalise(row["specimen_id"]),
        }
        line |= dict.fromkeys(probability_columns(model.facts["classes"])) | {
            "decision": "",
            "distance": None,
            "unlike": None,
        }
        line |= {name: reading.facts.get(name, row[name]) for name in ("status", "reason", "sha256")}
        if answers and reading.pixels:
            line |= _decide(model, answers.probabilities[number], float(answers.distances[number]), threshold)
        lines.append(line)
    return lines


def full_batch(batch: list[tuple[Row, Reading]]) -> np.ndarray:
    """The pixels of a batch, uint8, shape (BATCH, 3, 256, 256): filled up, since its size may change the last bit."""
    pixels = np.zeros((BATCH, 3, SIZE, SIZE), np.uint8)
    for number, (_, reading) in enumerate(batch):
        if reading.pixels:
            pixels[number] = np.frombuffer(reading.pixels, np.uint8).reshape(3, SIZE, SIZE)
    return pixels


def _decide(model: Classifier, probabilities: np.ndarray, distance: float, threshold: float | None) -> Row:
    classes = model.facts["classes"]
    if not distance <= 1:
        return {"decision": REVIEW, "distance": distance, "unlike": True, "reason": unlike(distance)}
    found = {probability_column(name): float(value) for name, value in zip(classes, probabilities, strict=True)}
    found |= {"distance": distance, "unlike": False}
    if threshold is None:
        return found | {"decision": REVIEW, "reason": "the model guarantees no threshold for this error rate"}
    sure = float(log_odds(probabilities[None])[0])
    if sure > threshold:
        return found | {"decision": classes[int(probabilities.argmax())]}
    why = f"odds of {_odds(sure)} to 1, more than {_odds(threshold)} to 1 are needed"
    return found | {"decision": REVIEW, "reason": f"not sure enough: {why}"}


def _odds(logarithm: float) -> str:
    """Odds in four digits, from their logarithm."""
    return f"{math.exp(min(logarithm, LARGEST)):.4g}"


def unlike(distance: float) -> str:
    """Why a sheet gets no class, in words."""
    return f"unlike the sheets of the training: {distance:.2f} times as far from them as their limit"


def merge(
    model: Classifier,
    listing: Path,
    stems: list[Path],
    risk: float,
    table: Path,
    summary: Path,
    limits: Limits = LIMITS,
) -> Row:
    """Put parts together: `table` (.parquet), the same as .csv beside it, and a summary (.json), which is returned.

    One row for each row of the list, in its order. Raises UserError where a part is missing or is another run's.
    """
    rows, digest = files.count_rows(listing), files.sha256(listing)
    heads = [_head(model, digest, risk, limits, *bounds(rows, part, len(stems))) for part in range(len(stems))]
    lines = chain.from_iterable(map(_lines, stems, heads))
    kinds = dict.fromkeys(("image_id", "specimen_id", "barcode"), pa.string())
    kinds |= dict.fromkeys(probability_columns(model.facts["classes"]), pa.float64())
    kinds |= {"decision": pa.string(), "distance": pa.float64(), "unlike": pa.bool_()}
    kinds |= dict.fromkeys(("status", "reason", "sha256"), pa.string())
    decisions, reasons = Counter[str](), Counter[str]()
    sureness = np.zeros(len(model.facts["reference"]) + 1, np.int64)  # sheets between the validation part's quantiles
    with ExitStack() as stack:
        parquet = stack.enter_context(files.whole(table))
        text = stack.enter_context(files.whole(table.with_suffix(".csv")))
        writer = stack.enter_context(pq.ParquetWriter(parquet, schema := pa.schema(list(kinds.items()))))
        to_csv = csv.DictWriter(
            stack.enter_context(text.open("w", encoding="utf-8", newline="")),
            list(kinds),
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC,  # names with line breaks of any kind stay whole
        )
        to_csv.writeheader()
        while some := list(islice(lines, files.ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(some, schema))
            to_csv.writerows({name: safe_cell(value) for name, value in line.items()} for line in some)
            decisions.update(line["decision"] for line in some if not line["unlike"])
            sureness += _between(model.facts, some)
            reasons.update(line["reason"] for line in some if line["status"] != "ok")
    answered = {name: decisions[name] for name in model.facts["classes"]}
    values: Row = {"rows": rows, "answered": answered, "unsure": decisions[REVIEW]}
    values["refused"] = decisions[""]
    values["unlike"] = rows - sum(decisions.values())
    values["reasons"] = dict(reasons.most_common(20))
    values["asked"] = model.threshold(risk) | ({"checked": model.checked} if model.checked else {})
    values["comparison"] = compare_collections(
        sureness, *(model.facts[name] for name in ("reference", "independent", "group_size"))
    )
    facts = ("dataset", "title", "classes", "trained_on", "policy", "fit", "unlike")
    values["model"] = {name: model.facts[name] for name in facts} | {"package_sha256": model.fingerprint}
    values["version"] = __version__
    files.write_json(summary, values)
    return values


def _between(facts: Row, lines: list[Row]) -> np.ndarray:
    """How many sheets have log-odds between the quantiles of the validation part, int, one more than those.

    Those out of distribution have none, and count as the least sure.
    """
    columns = probability_columns(facts["classes"])
    read = np.array([[line[name] for name in columns] for line in lines if line["unlike"] is False])
    places = np.searchsorted(facts["reference"], log_odds(read)) if len(read) else np.empty(0, int)
    counts = np.bincount(places, minlength=len(facts["reference"]) + 1)
    counts[0] += sum(line["unlike"] is True for line in lines)
    return counts


def _lines(stem: Path, head: bytes) -> Iterator[Row]:
    path = stem.with_name(stem.name + ".jsonl")
    if not path.is_file() or _first_line(path) != head:
        raise UserError(f"{path} is missing, or belongs to another model, list or risk: run its part again")
    with path.open("rb") as lines:
        next(lines)
        left = json.loads(head)["stop"] - json.loads(head)["start"]
        for line in lines:
            yield _row(line, path)
            left -= 1
    if left:
        raise UserError(f"{path} has {abs(left):,} rows too {'few' if left > 0 else 'many'}: {ANEW}")


def _row(line: bytes, path: Path) -> Row:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found.keys() >= ROW:
        raise UserError(f"{path} is damaged, a line of it is no row: {ANEW}")
    return found
