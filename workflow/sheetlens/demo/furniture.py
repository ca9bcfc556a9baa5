"""What a herbarium puts on a sheet besides the plant: labels, barcode, stamp, scale, colour bar, tape."""

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from sheetlens.demo.collection import HERBARIUM, Sheet

Box = tuple[int, int, int, int]
INK = (48, 44, 46)
PATCHES = ("#735244", "#c29682", "#627a9d", "#576c43", "#8580b1", "#67bdaa", "#d67e2c", "#c15a63")
GREYS = ("#f3f3f2", "#c8c8c8", "#a0a0a0", "#7a7a79", "#555555", "#343434")


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface at `size` pixels."""
    return ImageFont.load_default(size)


def scribble(draw: ImageDraw.ImageDraw, rng: Generator, left: float, line: float, width: float, size: float) -> None:
    """Handwriting: loops of a pen along a line `width` pixels long, letters `size` pixels high."""
    letters = width / size * 1.7
    count = int(letters * 9)
    turn = np.linspace(0, letters * 2 * np.pi, count)
    tall = np.repeat(rng.choice([0.5, 0.55, 1.05], int(letters) + 1, p=[0.5, 0.3, 0.2]), 9)[:count]
    x = left + np.linspace(0, width, count) + size * 0.16 * np.cos(turn)
    y = line - size * tall * (0.5 + 0.5 * np.sin(turn)) * rng.uniform(0.8, 1.1, count)
    pen = (int(rng.integers(30, 75)), int(rng.integers(30, 60)), int(rng.integers(40, 95)))
    path = [tuple(point) for point in np.stack([x, y], axis=1).tolist()]
    word = 0
    while word < count - 9:
        end = word + 9 * int(rng.integers(2, 9))
        draw.line(path[word:end], fill=pen, width=1 + int(size > 17), joint="curve")
        word = end + 9


def glued(sheet_picture: Image.Image, slip: Image.Image, corner: tuple[int, int]) -> Box:
    """Paste a slip of paper with a thin shadow; returns the box it covers."""
    left, top = corner
    box = (left, top, left + slip.width, top + slip.height)
    shadow = Image.new("L", (slip.width + 12, slip.height + 12))
    shadow.paste(90, (5, 5, slip.width + 7, slip.height + 7))
    sheet_picture.paste((70, 58, 44), (left - 4, top - 4), shadow.filter(ImageFilter.BoxBlur(3)))
    sheet_picture.paste(slip, corner)
    return box


def paper_slip(rng: Generator, size: tuple[int, int], age: float) -> Image.Image:
    """An empty slip, white (`age` 0) to buff (`age` 1)."""
    tone = np.array([244, 241, 232]) * (1 - age) + np.array([222, 205, 168]) * age + rng.normal(0, 2, 3)
    red, green, blue = np.clip(tone, 0, 255).astype(int).tolist()
    return Image.new("RGB", size, (red, green, blue))


def label(rng: Generator, sheet: Sheet, width: int) -> Image.Image:
    """The collector's label: a printed head, then typed or written lines."""
    typed = rng.random() < 0.55
    size = max(12, width // 22)
    lines = [
        sheet.name,
        sheet.place,
        sheet.habitat,
        f"Coll. {sheet.collector}",
        f"No. {sheet.collector_number}",
    ]
    slip = paper_slip(rng, (width, int(size * rng.uniform(9.5, 12.5))), rng.uniform(0.0, 0.8))
    draw = ImageDraw.Draw(slip)
    draw.text((width / 2, size * 1.1), HERBARIUM, fill=INK, font=font(size), anchor="mm")
    draw.line((width * 0.12, size * 2.0, width * 0.88, size * 2.0), fill=INK)
    for row, text in enumerate(lines):
        base = size * (3.4 + 1.45 * row)
        if typed or row == 4:
            draw.text((size, base), text, fill=INK, font=font(int(size * 0.9)), anchor="ls")
        else:
            scribble(draw, rng, size, base, min(width - 2.5 * size, len(text) * size * 0.52), size)
    draw.text((width - size, size * 9.2), sheet.date, fill=INK, font=font(int(size * 0.9)), anchor="rs")
    if rng.random() < 0.4:
        draw.rectangle((3, 3, width - 4, slip.height - 4), outline=(96, 84, 72))
    return slip


def determination(rng: Generator, sheet: Sheet, width: int) -> Image.Image:
    """A small slip of a later hand."""
    size = max(11, width // 15)
    slip = paper_slip(rng, (width, size * 5), rng.uniform(0, 0.6))
    draw = ImageDraw.Draw(slip)
    draw.text((size, size * 1.6), sheet.name, fill=INK, font=font(size), anchor="ls")
    scribble(draw, rng, size, size * 3.6, width * 0.6, size)
    return slip


def barcode(sheet: Sheet, width: int) -> Image.Image:
    """The barcode label with its eight digits: two bars for each digit, 1 to 3 units wide."""
    unit = max(1, width // 90)
    slip = Image.new("RGB", (width, int(width * 0.42)), (247, 247, 245))
    draw = ImageDraw.Draw(slip)
    size = max(10, width // 13)
    draw.text((width / 2, size * 0.8), HERBARIUM, fill=INK, font=font(max(8, int(size * 0.62))), anchor="mm")
    x = (width - unit * 80) // 2
    for digit in sheet.barcode:
        for wide, gap in (divmod(int(digit), 4), divmod(9 - int(digit), 4)):
            bar = unit * (1 + wide)
            draw.rectangle((x, int(size * 1.5), x + bar - 1, slip.height - int(size * 1.5)), fill=(22, 22, 24))
            x += bar + unit * (1 + gap) // 2 + unit
    draw.text((width / 2, slip.height - size * 0.75), sheet.barcode, fill=INK, font=font(size), anchor="mm")
    return slip


def stamp(picture: Image.Image, rng: Generator, centre: tuple[int, int], radius: int) -> None:
    """An oval ownership stamp in violet, blue, red or black ink, worn in places."""
    ink = [(88, 62, 120), (52, 70, 128), (150, 62, 58), (64, 60, 62)][int(rng.integers(0, 4))]
    mask = Image.new("L", (radius * 2, radius * 2))
    draw = ImageDraw.Draw(mask)
    squeeze = rng.uniform(0.55, 1.0)
    for inset in (0, radius // 6):
        middle, half = radius, int((radius - inset - 2) * squeeze)
        draw.ellipse((inset, middle - half, radius * 2 - inset - 1, middle + half), outline=190, width=2)
    draw.text((radius, radius * 0.86), "LENS", fill=190, font=font(max(9, radius // 3)), anchor="mm")
    draw.text((radius, radius * 1.2), "MUSEUM", fill=190, font=font(max(8, radius // 4)), anchor="mm")
    mask = mask.rotate(rng.normal(0, 12), Image.Resampling.BILINEAR)
    picture.paste(ink, (centre[0] - radius, centre[1] - radius), mask)


def ruler(length: int, thickness: int) -> Image.Image:
    """A horizontal centimetre scale `length` x `thickness` pixels."""
    slip = Image.new("RGB", (length, thickness), (240, 240, 238))
    draw = ImageDraw.Draw(slip)
    step = length / 102
    for tick in range(1, 101):
        x, reach = step * tick, (0.55 if tick % 10 == 0 else 0.4 if tick % 5 == 0 else 0.25) * thickness
        draw.line((x, 0, x, reach), fill=(25, 25, 25))
    for centimetre in range(1, 10):
        place = (step * centimetre * 10, thickness * 0.78)
        draw.text(place, str(centimetre), fill=(25, 25, 25), font=font(max(9, int(thickness * 0.36))), anchor="mm")
    return slip


def colour_bar(length: int, thickness: int) -> Image.Image:
    """A horizontal bar of colour and grey patches `length` x `thickness` pixels."""
    slip = Image.new("RGB", (length, thickness), (18, 18, 18))
    draw = ImageDraw.Draw(slip)
    step = length / (len(PATCHES) + len(GREYS))
    for index, colour in enumerate(PATCHES + GREYS):
        draw.rectangle((index * step + 2, 3, (index + 1) * step - 2, thickness - 4), fill=colour)
    return slip


def tape(picture: Image.Image, rng: Generator, centre: tuple[int, int], size: tuple[int, int]) -> None:
    """A strip of linen tape across the plant at a random slant."""
    length, thickness = size
    strip = Image.new("RGBA", (length + 8, thickness + 8))
    tone = int(rng.integers(214, 242))
    draw = ImageDraw.Draw(strip)
    draw.rectangle((5, 5, length + 5, thickness + 5), fill=(60, 50, 38, 90))
    draw.rectangle((3, 3, length + 2, thickness + 2), fill=(tone, tone - 5, tone - 20, 255))
    for x in range(5, length + 2, 4):
        draw.line((x, 4, x, thickness + 1), fill=(tone - 14, tone - 20, tone - 36, 255))
    strip = strip.rotate(rng.uniform(-70, 70), Image.Resampling.BILINEAR, expand=True)
    picture.paste(strip, (centre[0] - strip.width // 2, centre[1] - strip.height // 2), strip)
