"""Mounting paper: tone, mottling, light and fibres."""

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Field = NDArray[np.float32]

COARSE = 4  # sheet pixels per pixel of a tone or stain field: smooth things need no more
TILE = (1240, 1840)  # pixels, wider and higher than any sheet
GRAINS = (0.6, 1.0, 1.4, 1.8)  # strengths of grain: rougher paper, more sensor noise, larger files
FIBRE_SEED = 1846  # the grain is the same for every demo; each sheet shows another part of it


def noise(rng: Generator, shape: tuple[int, int], cells: int) -> Field:
    """Smooth noise (height, width) of mean about 0 and deviation about 1, `cells` bumps across the width."""
    rows = max(2, round(cells * shape[0] / shape[1]))
    grid = Image.fromarray(rng.standard_normal((rows + 2, cells + 2)).astype(np.float32))
    return np.asarray(grid.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def unit_field(picture: Image.Image) -> Field:
    """A grey picture as a field 0..1."""
    field: Field = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return field


def blurred(field: Field, radius: float) -> Field:
    """A field (height, width) blurred by `radius` coarse pixels, through a smaller size where that is enough."""
    image = Image.fromarray(np.clip(field * 255, 0, 255).astype(np.uint8))
    shrink = max(1, int(radius // 4))
    small = image.reduce(shrink).filter(ImageFilter.GaussianBlur(radius / shrink))
    return unit_field(small.resize(image.size, Image.Resampling.BICUBIC))


def paper_field(rng: Generator, shape: tuple[int, int]) -> Field:
    """Colours 0..255 of bare paper (height, width, 3): white to cream to browned, mottled, lit from one side."""
    age = rng.beta(1.4, 1.8)
    tone = np.array([241, 236, 222]) * (1 - age) + np.array([217, 201, 168]) * age + rng.normal(0, 2.5, 3)
    mottle = 0.010 * noise(rng, shape, 4) + 0.006 * noise(rng, shape, 22)
    rows, columns = np.ogrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
    slope = rng.normal(0, 0.035, 2)
    light = 1 + slope[0] * rows + slope[1] * columns - rng.uniform(0, 0.12) * (rows**2 + columns**2)
    warmth = np.array([0.6, 1.0, 1.7])  # mottling of paper is yellow, so blue varies most
    field: Field = (tone * (light[..., None] + mottle[..., None] * warmth)).astype(np.float32)
    return field


@lru_cache(maxsize=len(GRAINS))
def fibres(grain: float) -> Image.Image:
    """Fibres and `grain` (a strength) as a grey RGB picture around 128, drawn once in each process."""
    rng = np.random.default_rng(FIBRE_SEED)
    width, height = TILE
    fine = grain * (rng.normal(0, 4.2, (height, width, 1)) + rng.normal(0, 1.6, (height, width, 3)))
    picture = Image.fromarray(np.clip(128 + fine, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    starts, turns = rng.uniform(0, TILE, (5000, 2)), rng.uniform(0, 2 * np.pi, 5000)
    reach, tones = rng.uniform(5, 26, 5000), rng.normal(124, 6, 5000).astype(int)
    for (x, y), turn, length, tone in zip(starts, turns, reach, tones.tolist(), strict=True):
        bend = turn + rng.normal(0, 0.5)
        middle = (x + length * np.cos(turn), y + length * np.sin(turn))
        end = (middle[0] + length * np.cos(bend), middle[1] + length * np.sin(bend))
        draw.line([(x, y), middle, end], fill=(tone, tone - 1, tone - 3))
    return picture.filter(ImageFilter.Kernel((3, 3), [1, 2, 1, 2, 8, 2, 1, 2, 1]))


def textured(rng: Generator, field: Field, size: tuple[int, int]) -> Image.Image:
    """A coarse field of colours 0..255 enlarged to `size` pixels, with the grain of paper and sensor."""
    picture = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    left, top = int(rng.integers(0, TILE[0] - size[0] + 1)), int(rng.integers(0, TILE[1] - size[1] + 1))
    grain = fibres(float(rng.choice(GRAINS))).crop((left, top, left + size[0], top + size[1]))
    return ImageChops.add(picture, grain, 1, -128)
