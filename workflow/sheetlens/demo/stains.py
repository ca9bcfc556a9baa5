"""Mercury stains, which follow the specimen, and the brown that does not: foxing, tide lines, glue, old patches.

Fields are densities 0..1 on the coarse grid of the paper: 0 is clean, 1 the darkest browning.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sheetlens.demo.paper import Field, blurred, noise, unit_field

MERCURY = np.array([0.40, 0.45, 0.52])  # share of red, green and blue that a full grey-brown stain takes
RUST = np.array([0.22, 0.42, 0.66])  # the same for foxing


def scaled(field: Field, mean: float) -> Field:
    """A density field brought to a mean over the sheet, and kept within 0..0.95."""
    return np.minimum(field * np.float32(mean / max(float(field.mean()), 1e-6)), np.float32(0.95))


def halo(rng: Generator, plant: Field) -> Field:
    """Relative density of a mercury stain around a plant mask (height, width): strong at it, bleeding out."""
    width = plant.shape[1]
    near = np.minimum(blurred(plant, width * rng.uniform(0.015, 0.03)) * 2.4, 1)
    far = np.minimum(blurred(plant, width * rng.uniform(0.06, 0.10)) * 2.4, 1)
    bled = blurred(plant, width * rng.uniform(0.16, 0.26)) * 2
    weight = rng.dirichlet([3.0, 3.0, 1.5])
    field = weight[0] * near + weight[1] * far**1.5 + weight[2] * bled
    uneven = 1 + 0.28 * noise(rng, plant.shape, 3) + 0.10 * noise(rng, plant.shape, 14)
    result: Field = (field * np.clip(uneven, 0.25, 1.8)).astype(np.float32)
    return result


def patches(rng: Generator, plant: Field) -> Field:
    """Relative density of browning that does not follow the plant: blots, toned margins, offsets."""
    height, width = plant.shape
    blots = Image.new("L", (width, height))
    draw = ImageDraw.Draw(blots)
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        across, down = rng.uniform(0.06, 0.24, 2) * width
        draw.ellipse((x - across, y - down, x + across, y + down), fill=int(rng.integers(120, 255)))
    blot = unit_field(blots.filter(ImageFilter.GaussianBlur(width * rng.uniform(0.02, 0.07))))
    rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shift = rng.normal(0, 0.15, 2)
    margin = np.maximum(np.abs(rows + shift[0]), np.abs(columns + shift[1])) ** rng.uniform(3, 7)
    # The print of another sheet that once lay on this one: a plant's halo, in the wrong place.
    turned = plant[:: int(rng.choice([-1, 1])), ::-1]
    rolled = np.roll(turned, tuple((rng.uniform(-0.4, 0.4, 2) * plant.shape).astype(int)), (0, 1))
    weight = rng.dirichlet([1.2, 0.8, 0.8])
    field = weight[0] * blot + weight[1] * np.minimum(margin, 1.2) + weight[2] * halo(rng, rolled)
    uneven = 1 + 0.28 * noise(rng, plant.shape, 3) + 0.10 * noise(rng, plant.shape, 14)
    result: Field = (field * np.clip(uneven, 0.25, 1.8)).astype(np.float32)
    return result


def foxing(rng: Generator, shape: tuple[int, int]) -> Field:
    """Density of rusty spots, on few sheets many and on many few."""
    picture = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.gamma(0.6, 22))):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        radius = rng.gamma(2.0, 0.7) + 0.4
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.integers(40, 190)))
    return unit_field(picture.filter(ImageFilter.GaussianBlur(1.0)))


def tide_lines(rng: Generator, shape: tuple[int, int]) -> Field:
    """Density of water stains: a pale inside and a dark wavy rim, at an edge or anywhere."""
    field = np.zeros(shape, dtype=np.float32)
    rows, columns = np.ogrid[0 : shape[0], 0 : shape[1]]
    for _ in range(int(rng.poisson(0.7))):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        radius = rng.uniform(0.08, 0.32) * shape[1]
        away = np.hypot(rows - y, (columns - x) * rng.uniform(0.6, 1.6)) + radius * 0.16 * noise(rng, shape, 7)
        rim = np.exp(-(((away - radius) / 2.2) ** 2)) * 0.30 + 0.09 * (away < radius)
        field = np.maximum(field, rim.astype(np.float32) * np.float32(rng.uniform(0.5, 1.2)))
    return field


def glue(rng: Generator, shape: tuple[int, int]) -> Field:
    """Density of old glue: short yellowed strokes anywhere on the sheet."""
    picture = Image.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.poisson(2.0))):
        x, y, turn = rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), rng.uniform(0, 2 * np.pi)
        length = rng.uniform(0.03, 0.12) * shape[1]
        end = (x + length * np.cos(turn), y + length * np.sin(turn))
        draw.line([(x, y), end], fill=int(rng.integers(40, 110)), width=int(rng.integers(3, 9)))
    return unit_field(picture.filter(ImageFilter.GaussianBlur(1.5)))


def dried_drop(picture: Image.Image, rng: Generator, width: int) -> tuple[int, int, int, int]:
    """Let a drop dry on the sheet, near the left edge above the middle; returns its box in pixels.

    Not anywhere: the paper's networks have a weight for every place, and would need many more sheets.
    """
    across = int(width * rng.uniform(0.12, 0.17))
    left = int(rng.uniform(0.08, 0.2) * picture.width)
    top = int(rng.uniform(0.28, 0.38) * picture.height)
    mask = Image.new("L", (across, across))
    draw = ImageDraw.Draw(mask)
    rim = max(2, across // 9)
    draw.ellipse((rim, rim, across - rim, across - rim), fill=215, outline=255, width=rim)
    stain = mask.filter(ImageFilter.GaussianBlur(rim / 2))
    picture.paste((58, 40, 44), (left, top), stain)
    return left, top, left + across, top + across


def redistributed(density: Field, pattern: Field, bare: NDArray[np.bool_]) -> Field:
    """The values of `density` laid out as in `pattern`: the same histogram over `bare` paper, in other places."""
    grid = np.linspace(0, 1, 65)
    ordered, values = np.sort(pattern[bare]), np.sort(density[bare])
    pick = (grid * (len(ordered) - 1)).astype(int)
    return np.interp(pattern, ordered[pick], values[pick]).astype(np.float32)


def stained_paper(
    rng: Generator, paper: Field, plant: Field, stained: bool, severity: float
) -> tuple[Field, tuple[int, int, int, int] | None]:
    """Brown a field of paper colours (height, width, 3) around or apart from a plant mask (height, width).

    Returns the colours and the box (left, top, right, bottom) of the mercury stain in coarse pixels, None
    without one. A sheet that is not stained is browned in other places by as much and in the same shades,
    so that colours alone say nothing; `severity` 0..1 sets the amount in both cases.
    """
    amount = 0.09 + 0.21 * severity
    stain = scaled(halo(rng, plant), amount)
    density, box = stain, None
    if stained:
        rows, columns = np.nonzero(stain > 0.4 * stain.max())
        box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    else:
        density = redistributed(stain, patches(rng, plant), plant < 0.5)
    density = density + scaled(patches(rng, plant), rng.uniform(0.0, 0.08))
    hue = MERCURY * rng.uniform(0.9, 1.1) + np.array([-0.05, 0.0, 0.06]) * rng.uniform(-0.6, 1.4)
    yellow = glue(rng, plant.shape) + tide_lines(rng, plant.shape)
    keep = 1 - np.minimum(density, 0.95)[..., None] * hue
    keep = keep * (1 - foxing(rng, plant.shape)[..., None] * RUST) * (1 - yellow[..., None] * RUST)
    return (paper * keep).astype(np.float32), box
