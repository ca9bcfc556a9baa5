"""One sheet from nothing to photograph: mount it, light it, take its picture."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageChops, ImageFilter

from sheetlens.demo import furniture
from sheetlens.demo.collection import DROP, PICTURE, Sheet, stream
from sheetlens.demo.paper import COARSE, paper_field, textured, unit_field
from sheetlens.demo.plants import draw_specimen
from sheetlens.demo.stains import dried_drop, stained_paper

Box = tuple[int, int, int, int]


@dataclass
class Photograph:
    """A picture, the box of its mercury stain in pixels (None without one) and its JPEG quality 1..100."""

    picture: Image.Image
    stain_box: Box | None
    quality: int


@dataclass(frozen=True)
class Setup:
    """How an imaging set-up photographs: grey of the table, border in pixels, white balance, aspect, quality."""

    table: tuple[int, int]
    border: tuple[int, int]
    balance: tuple[float, float, float]
    aspect: tuple[float, float]
    quality: tuple[int, int]


SETUPS = {
    "light box": Setup((205, 244), (8, 26), (1.015, 1.01, 1.02), (1.36, 1.54), (88, 93)),
    "conveyor": Setup((30, 140), (18, 44), (1.0, 0.98, 0.945), (1.42, 1.60), (85, 90)),
}


def photograph(sheet: Sheet) -> Photograph:
    """Draw a sheet as its imaging set-up sees it, about 1,000 x 1,500 pixels."""
    rng = stream(sheet.task, sheet.seed, PICTURE, sheet.number)
    setup = SETUPS[sheet.setup]
    width = int(rng.integers(930, 1090))
    height = int(width * rng.uniform(*setup.aspect))
    border = [int(edge) for edge in rng.integers(*setup.border, 4)]  # left, top, right, bottom
    bar = int(width * 0.05)
    border[1 if rng.random() < 0.5 else 3] += bar  # the scale lies beside the sheet
    size = (width - border[0] - border[2], height - border[1] - border[3])
    mounted, box = mount(rng, sheet, size)

    picture = Image.new("RGB", (width, height), (int(rng.integers(*setup.table)),) * 3)
    picture.paste(mounted, (border[0], border[1]))
    scale = furniture.ruler if rng.random() < 0.5 else furniture.colour_bar
    top = 4 if border[1] > border[3] else height - border[3] + 6
    left = int(rng.uniform(0.05, 0.4) * width)
    picture.paste(scale(int(width * 0.5), bar - 6), (left, top))
    gain = np.array(setup.balance) * rng.uniform(0.86, 1.05) * rng.normal(1.0, 0.012, 3)
    response = 255 * (np.arange(256) / 255) ** rng.uniform(0.88, 1.15)
    curve = np.clip(response * gain[:, None], 0, 255).astype(np.uint8)
    picture = picture.point(curve.ravel().tolist())
    if box is not None:
        box = (box[0] + border[0], box[1] + border[1], box[2] + border[0], box[3] + border[1])
    return Photograph(picture, box, int(rng.integers(*setup.quality)))


def mount(rng: Generator, sheet: Sheet, size: tuple[int, int]) -> tuple[Image.Image, Box | None]:
    """Lay plants, labels and tape on paper of `size` pixels; returns the sheet and the box of its stain.

    Where a drop has dried, the box is that of the drop.
    """
    width, height = size
    plant = draw_specimen(rng, size, sheet.family)
    mask = plant.getchannel("A")
    coarse = (-(-width // COARSE), -(-height // COARSE))
    cover = unit_field(mask.reduce(COARSE))
    shape = (coarse[1], coarse[0])
    colours, coarse_box = stained_paper(rng, paper_field(rng, shape), cover, sheet.stained, sheet.severity)
    picture = textured(rng, colours, size)

    furniture.stamp(picture, rng, (int(width * rng.uniform(0.1, 0.9)), int(height * 0.07)), int(width * 0.055))
    slip = furniture.label(rng, sheet, int(width * rng.uniform(0.34, 0.44)))
    gap = int(width * rng.uniform(0.01, 0.05))
    left, top, _, _ = furniture.glued(picture, slip, (width - slip.width - gap, height - slip.height - gap))
    if rng.random() < 0.4:
        extra = furniture.determination(rng, sheet, int(width * rng.uniform(0.2, 0.3)))
        furniture.glued(picture, extra, (max(gap, left - extra.width - gap), height - extra.height - gap))
    code = furniture.barcode(sheet, int(width * 0.2))
    corner = (gap, gap) if rng.random() < 0.4 else (width - code.width - gap, top - code.height - gap)
    furniture.glued(picture, code, corner)

    shadow = mask.reduce(2).filter(ImageFilter.BoxBlur(2)).resize(size, Image.Resampling.BILINEAR)
    fall = (int(rng.integers(2, 7)), int(rng.integers(2, 7)))
    picture.paste((66, 54, 40), (0, 0), ImageChops.offset(shadow, *fall).point(shadow_strength))
    picture.paste(plant, (0, 0), mask)
    rows, columns = np.nonzero(cover > 0.5)
    for spot in rng.integers(0, len(rows), int(rng.integers(2, 7))):
        centre = (int(columns[spot]) * COARSE, int(rows[spot]) * COARSE)
        furniture.tape(picture, rng, centre, (int(rng.integers(46, 92)), int(rng.integers(12, 20))))
    if sheet.drop:
        return picture, dried_drop(picture, stream(sheet.task, sheet.seed, DROP, sheet.number), width)
    if coarse_box is None:
        return picture, None
    right, bottom = min(coarse_box[2] * COARSE, width), min(coarse_box[3] * COARSE, height)
    return picture, (coarse_box[0] * COARSE, coarse_box[1] * COARSE, right, bottom)


def shadow_strength(level: float) -> float:
    """The strength of a cast shadow for a mask value 0..255."""
    return level * 0.45
