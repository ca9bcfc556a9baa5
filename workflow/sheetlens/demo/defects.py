"""What is wrong with a few demo files, on purpose: twins, wrong labels, files that do not open."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sheetlens.demo.collection import DEFECTS, stream

EXACT, NEAR, WRONG, TRUNCATED, NOT_IMAGE = (
    "exact duplicate", "near duplicate", "wrong label", "truncated", "not an image",
)  # fmt: skip
ROOM = 12  # the fewest sheets among which one defect of each kind leaves enough sound ones
ERROR_PAGE = b"""<!DOCTYPE html>
<html><head><title>503 Service Unavailable</title></head>
<body><h1>Service Unavailable</h1><p>The image server is down for maintenance. Try again later.</p></body></html>
"""


@dataclass(frozen=True)
class Slot:
    """One file to write: which sheet it shows and what is wrong with it."""

    number: int  # 0-based place among the files, which gives the file its barcode and class
    sheet: int  # number of the sheet it shows; another than its own only in twins and wrong labels
    defect: str = ""


def plan(task: str, seed: int, sheets: int) -> list[Slot]:
    """Say what each of `sheets` files shows: classes alternate, defects fall on files drawn at random.

    A wrong label shows a sheet of the other class that has no file of its own. Every second exact
    duplicate is filed under the other class than its twin. Fewer than ROOM sheets have no defects.
    """
    slots = [Slot(number, number) for number in range(sheets)]
    if sheets < ROOM:
        return slots
    order = stream(task, seed, DEFECTS, sheets).permutation(sheets)
    sound = [order[order % 2 == side].tolist() for side in (0, 1)]

    def spoil(side: int, defect: str, sheet: int | None = None) -> None:
        number = sound[side].pop()
        slots[number] = Slot(number, number if sheet is None else sheet, defect)

    spoil(0, TRUNCATED)
    spoil(1, NOT_IMAGE)
    pairs = 1 if sheets < 50 else max(2, round(sheets / 250))
    for index in range(pairs):
        # Twins come from the front of the lists and defects from the end, so no sheet plays two parts.
        one, other = index % 2, 1 - index % 2
        spoil(one, EXACT, sound[0][index])
        spoil(other, NEAR, sound[other][pairs + index])
    spare = sheets + sheets % 2
    for index in range(1 if sheets < 50 else max(2, round(sheets / 100))):
        spoil(index % 2, WRONG, spare + 2 * index + 1 - index % 2)
    return slots


def photographed_again(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same sheet on another day: a little turned, shifted, brighter or darker."""
    edge = picture.getpixel((2, picture.height // 2))
    shift = (int(rng.integers(-9, 10)), int(rng.integers(-9, 10)))
    turned = picture.rotate(rng.uniform(-1.2, 1.2), Image.Resampling.BICUBIC, translate=shift, fillcolor=edge)
    gain = 1 + rng.choice([-1, 1]) * rng.uniform(0.03, 0.07)
    return turned.point(np.clip(np.tile(np.arange(256) * gain, 3), 0, 255).astype(int).tolist())


def encoded(picture: Image.Image, quality: int) -> bytes:
    """The picture as JPEG bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
