"""Draw the demo sheets into a folder, one sub-folder a class, and tell the truth about each file."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

import pandas as pd

from sheetlens.common.files import whole
from sheetlens.demo import defects
from sheetlens.demo.camera import photograph
from sheetlens.demo.collection import AGAIN, CLASSES, barcode, describe, file_name, stream

BOX = ("stain_left", "stain_top", "stain_right", "stain_bottom")
Row = dict[str, object]


def write_sheets(
    folder: Path,
    task: str,
    sheets: int,
    seed: int,
    shortcut: bool,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
    drops: bool = False,
) -> pd.DataFrame:
    """Write `sheets` photographs of invented herbarium sheets as `folder/<label>/<barcode>.jpg`.

    `task` is "stain" (stained, unstained) or "family" (clubmoss, spikemoss); half the files are filed
    under each class. The same task, number of sheets, seed and `shortcut` give the same bytes for any number
    of `workers` (processes). With `shortcut` nine sheets in ten tell their class by how they were
    photographed; without it the imaging set-up is independent of the class. With `drops` every stained
    sheet carries a dried drop as well, whose box is then the stain's. `progress` is told the files
    done and all files after each file.

    Returns one row for each file, sorted by `file` (POSIX path below `folder`): `label` as filed,
    `true_label`, `family`, `stained`, `severity` of the mercury stain (0 without one, up to 1),
    `stain_left`, `stain_top`, `stain_right`, `stain_bottom` in pixels (null without a stain, or where the
    picture is none), `barcode`, `collector`, `collector_number`, `date`, `cabinet`, `setup`,
    `defect` (empty for a sound file) and `defect_of` (the file of the twin of a duplicate, or empty).
    Raises ValueError for an unknown task and OSError when a file cannot be written.
    """
    if task not in CLASSES:
        raise ValueError(f"unknown demo task {task!r}: choose one of {', '.join(CLASSES)}")
    for label in CLASSES[task]:
        (folder / label).mkdir(parents=True, exist_ok=True)
    write = partial(write_file, folder, task, seed, shortcut, drops)
    rows: list[Row] = []
    # A fork of a process with threads (torch, progress bars) can hang, so the workers start afresh.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            for job in as_completed([pool.submit(write, slot) for slot in defects.plan(task, seed, sheets)]):
                rows.append(job.result())
                if progress is not None:
                    progress(len(rows), sheets)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    truth = pd.DataFrame(rows)
    truth[list(BOX)] = truth[list(BOX)].astype("Int64")
    return truth.sort_values("file", ignore_index=True)


def _end_with_parent() -> None:
    """Let a worker end when the process that started it was killed: it would wait for work for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def write_file(folder: Path, task: str, seed: int, shortcut: bool, drops: bool, slot: defects.Slot) -> Row:
    """Write one file, whole or not at all, and return its row of the truth."""
    sheet = describe(task, seed, slot.sheet, shortcut, drops)
    if slot.defect != defects.EXACT:
        sheet = replace(sheet, barcode=barcode(task, seed, slot.number))
    box: tuple[int, ...] | None = None
    if slot.defect == defects.NOT_IMAGE:
        content = defects.ERROR_PAGE
    else:
        shot = photograph(sheet)
        box = shot.stain_box
        if slot.defect == defects.NEAR:
            again = stream(task, seed, AGAIN, slot.number)
            content = defects.encoded(defects.photographed_again(shot.picture, again), shot.quality - 3)
        else:
            content = defects.encoded(shot.picture, shot.quality)
    if slot.defect == defects.TRUNCATED:
        content = content[: len(content) * 2 // 5]
    name = file_name(task, seed, slot.number)
    with whole(folder / name) as part:
        part.write_bytes(content)
    twin = slot.defect in (defects.EXACT, defects.NEAR)
    return {
        "file": name,
        "label": CLASSES[task][slot.number % 2],
        "true_label": sheet.label,
        "family": sheet.family,
        "stained": sheet.stained,
        "severity": sheet.severity if sheet.stained else 0.0,
        **dict(zip(BOX, box or [None] * 4, strict=True)),
        "barcode": barcode(task, seed, slot.number),
        "collector": sheet.collector,
        "collector_number": sheet.collector_number,
        "date": sheet.date,
        "cabinet": sheet.cabinet,
        "setup": sheet.setup,
        "defect": slot.defect,
        "defect_of": file_name(task, seed, slot.sheet) if twin else "",
    }
