"""Two lycophytes that look alike from afar: forking needle-leaved shoots and flat two-ranked sprays.

A plant is a list of axes that grew together. Each axis is drawn as a few comb-shaped polygons, which
costs a hundredth of drawing its leaves one by one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float64]
Colour = tuple[int, int, int]
STEPS = 12  # points along each axis


@dataclass
class Axes:
    """Axes of one order: `points` (m, STEPS, 2) in pixels, `leaf` (m,) leaf length and `stem` width in pixels."""

    points: Floats
    leaf: Floats
    stem: float
    kind: str  # "shoot", "cone", "stalk" or "root"


def grow(rng: Generator, starts: Floats, angles: Floats, lengths: Floats, bend: float, wobble: float) -> Floats:
    """Let m axes grow from `starts` (m, 2) towards `angles` (m,), radians; returns points (m, STEPS, 2).

    `bend` is the standard deviation of the turn over a whole axis, `wobble` that of each step, radians.
    """
    count = len(starts)
    turn = rng.normal(0, bend, (count, 1)) * np.linspace(0, 1, STEPS - 1)
    heading = angles[:, None] + turn + np.cumsum(rng.normal(0, wobble, (count, STEPS - 1)), axis=1)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=2) * (lengths / (STEPS - 1))[:, None, None]
    return np.concatenate([starts[:, None], starts[:, None] + np.cumsum(steps, axis=1)], axis=1)


def end_angles(points: Floats) -> Floats:
    """Heading of each axis at its tip, radians."""
    step = points[:, -1] - points[:, -3]
    return np.arctan2(step[:, 1], step[:, 0])


def along(points: Floats, fractions: Floats) -> tuple[Floats, Floats]:
    """Places (m, k, 2) and headings (m, k) at `fractions` (k,) or (m, k) of the way along m axes."""
    position = np.broadcast_to(fractions, (len(points), fractions.shape[-1])) * (STEPS - 1)
    first = np.clip(position.astype(int), 0, STEPS - 2)
    rows = np.arange(len(points))[:, None]
    start, step = points[rows, first], points[rows, first + 1] - points[rows, first]
    return start + step * (position - first)[..., None], np.arctan2(step[..., 1], step[..., 0])


def rooted(rng: Generator, stem: Floats, share: float, leaf: float) -> Axes:
    """A few roots from the lowest `share` 0..1 of one stem (1, STEPS, 2), thin beside leaves of `leaf` pixels."""
    fibres = int(rng.integers(3, 8))
    places, headings = along(stem, rng.uniform(0, share, (1, fibres)))
    angles = headings[0] + rng.choice([-1.0, 1.0], fibres) * rng.uniform(0.8, 1.6, fibres)
    reach = np.linalg.norm(stem[0, -1] - stem[0, 0]) * rng.uniform(0.06, 0.16, fibres)
    return Axes(grow(rng, places[0], angles, reach, 0.8, 0.2), np.zeros(fibres), max(1.5, leaf * 0.12), "root")


def clubmoss(rng: Generator, base: Floats, reach: float, upward: float, leaf: float, cones: bool) -> list[Axes]:
    """A creeping stem whose shoots fork in two, again and again, over `reach` pixels from `base`."""
    order = grow(rng, base[None], np.array([upward]), np.array([reach * 0.8]), 0.5, 0.10)
    plant = [Axes(order, np.full(1, leaf * 0.7), leaf * 0.35, "shoot")]
    plant.append(rooted(rng, order, 0.7, leaf))

    count = int(rng.integers(5, 9))
    fractions = (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count * 0.95
    places, headings = along(order, fractions[None])
    side = np.where(np.arange(count) % 2, 1.0, -1.0) * rng.uniform(0.35, 0.9, count)
    starts, angles = (
        np.append(places[0], order[:, -1], axis=0),
        np.append(headings[0] + side, end_angles(order)),
    )
    lengths = rng.uniform(0.16, 0.27, count + 1) * reach
    levels = int(rng.integers(2, 4))
    for level in range(levels + 1):
        order = grow(rng, starts, angles, lengths, 0.35, 0.06)
        plant.append(Axes(order, leaf * rng.uniform(0.85, 1.1, len(order)), leaf * 0.3, "shoot"))
        if level < levels:
            forks = rng.random(len(order)) < (1.0 if level == 0 else 0.72)
            tips, headings = order[forks, -1], end_angles(order[forks])
            gape = rng.uniform(0.25, 0.6, len(tips))
            starts = np.concatenate([tips, tips])
            angles = np.concatenate([headings - gape, headings + gape * rng.uniform(0.6, 1.2, len(tips))])
            lengths = np.tile(lengths[forks], 2) * rng.uniform(0.55, 0.95, len(starts))
    fertile = order[rng.random(len(order)) < 0.5 * cones]
    lengths = leaf * rng.uniform(0.5, 3.5, len(fertile))
    stalks = grow(rng, fertile[:, -1], end_angles(fertile), lengths, 0.1, 0.03)
    plant.append(Axes(stalks, np.full(len(stalks), leaf * 0.2), leaf * 0.16, "stalk"))
    lengths = leaf * rng.uniform(2.5, 4.5, len(fertile))
    spikes = grow(rng, stalks[:, -1], end_angles(stalks), lengths, 0.15, 0.02)
    plant.append(Axes(spikes, np.full(len(spikes), leaf * 0.42), leaf * 0.5, "cone"))
    return plant


def spikemoss(rng: Generator, base: Floats, reach: float, upward: float, leaf: float, cones: bool) -> list[Axes]:
    """A flat spray: an axis with alternate side axes, each with its own, over `reach` pixels from `base`."""
    order = grow(rng, base[None], np.array([upward]), np.array([reach]), 0.5, 0.05)
    plant = [Axes(order, np.full(1, leaf), leaf * 0.3, "shoot")]
    plant.append(rooted(rng, order, 0.3, leaf))
    lengths = np.array([reach])
    for level, (pitch, share) in enumerate(((leaf * rng.uniform(5.0, 6.5), 0.45), (leaf * 3.2, 0.42))):
        children = max(2, int(lengths.mean() / pitch))
        fractions = np.linspace(0.12 if level == 0 else 0.2, 0.96, children)
        places, headings = along(order, fractions)
        side = np.where(np.arange(children) % 2, 1.0, -1.0) * rng.uniform(0.65, 0.95, (len(order), 1))
        profile = share * (1.0 - 0.8 * fractions) * np.minimum(1, fractions * 4 + 0.4)
        angles = headings + side + rng.normal(0, 0.06, places.shape[:2])
        lengths = lengths[:, None] * profile * rng.uniform(0.85, 1.15, places.shape[:2])
        keep = lengths > leaf * 1.2
        lengths = lengths[keep]
        if not len(lengths):
            return plant
        order = grow(rng, places[keep], angles[keep], lengths, 0.15, 0.04)
        plant.append(Axes(order, np.full(len(order), leaf * (0.92 - 0.07 * level)), leaf * 0.18, "shoot"))
    fertile = order[rng.random(len(order)) < 0.4 * cones]
    lengths = leaf * rng.uniform(1.5, 3.0, len(fertile))
    spikes = grow(rng, fertile[:, -1], end_angles(fertile), lengths, 0.1, 0.02)
    plant.append(Axes(spikes, np.full(len(spikes), leaf * 0.3), leaf * 0.3, "cone"))
    return plant


def leaf_places(rng: Generator, axes: Axes, pitch: float, jitter: float, side: float) -> tuple[Floats, Floats, Floats]:
    """Where leaves sit on one side (-1 or 1): places (m, k, 2), headings (m, k) and fractions (m, k).

    Every axis gets a leaf each `pitch` pixels. All rows are as long as that of the longest axis; a leaf
    that does not exist has a fraction of 1 or more.
    """
    length = np.linalg.norm(np.diff(axes.points, axis=1), axis=2).sum(1)
    count = np.maximum(3, np.rint(length / pitch))
    shift = 0.25 + 0.25 * side + jitter * rng.uniform(-0.5, 0.5, (len(length), int(count.max())))
    fractions = (np.arange(int(count.max())) + shift) / count[:, None]
    places, headings = along(axes.points, np.clip(fractions, 0.0, 1.0))
    return places, headings, fractions


def unit(angle: Floats) -> Floats:
    """Unit vectors (..., 2) of angles in radians."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def needles(rng: Generator, axes: Axes, spread: float, pitch: float, side: float) -> Floats:
    """Comb (m, k, 2) of narrow leaves on one side (-1 or 1) from base to tip; `spread` radians off the axis."""
    base, heading, fractions = leaf_places(rng, axes, pitch, 1.0, side)
    lean = heading + side * spread * rng.uniform(0.55, 1.25, fractions.shape)
    size = axes.leaf[:, None] * rng.uniform(0.7, 1.1, fractions.shape) * (fractions < 1)
    half = unit(heading) * np.minimum(size * 0.13, pitch * 0.5)[..., None]
    comb = np.stack([base - half, base + unit(lean) * size[..., None], base + half], axis=2)
    return comb.reshape(len(base), -1, 2)


def scales(rng: Generator, axes: Axes, spread: float, pitch: float, side: float) -> Floats:
    """Comb (m, k, 2) of one rank of broad, evenly spaced leaves on one side (-1 or 1) from base to tip."""
    base, heading, fractions = leaf_places(rng, axes, pitch, 0.0, side)
    out = unit(heading + side * spread * rng.uniform(0.9, 1.1, fractions.shape))
    across = side * np.stack([-out[..., 1], out[..., 0]], axis=-1)
    taper = np.minimum(1, (1 - fractions) * 3 + 0.45) * (fractions < 1)
    size = (axes.leaf[:, None] * taper * rng.uniform(0.9, 1.08, fractions.shape))[..., None]
    width = np.minimum(size * 0.36, pitch * 0.48)
    leaf = [
        base + across * width * 0.6,
        base + out * size * 0.5 + across * width,
        base + out * size,
        base + out * size * 0.6 - across * width,
        base - across * width * 0.6,
    ]
    return np.stack(leaf, axis=2).reshape(len(base), -1, 2)


def shade(colour: Floats, light: float) -> Colour:
    """A colour scaled by `light`, as whole numbers 0..255."""
    red, green, blue = np.clip(colour * light, 0, 255).astype(int).tolist()
    return red, green, blue


def draw_axes(
    draw: ImageDraw.ImageDraw,
    rng: Generator,
    axes: Axes,
    family: str,
    colour: Floats,
    age: float,
    ambiguity: float,
) -> None:
    """Draw axes with their leaves; `age` 0..1 browns old parts, `ambiguity` 0..1 makes the families alike."""
    brown = np.array([118.0, 88.0, 52.0])
    stems = [path.ravel().tolist() for path in axes.points]
    if not stems:
        return
    if axes.kind in ("root", "stalk"):
        for path in stems:
            draw.line(path, fill=shade(brown, rng.uniform(0.6, 0.95)), width=max(1, round(axes.stem)))
        return
    mixed = rng.beta(1.0, 2.5, len(stems)) * age
    tones = colour * (1 - mixed[:, None]) + brown * mixed[:, None]
    if axes.kind == "cone":
        tones = 0.4 * tones + 0.6 * np.array([165.0, 135.0, 80.0])
    length = float(axes.leaf.mean())
    if family == "clubmoss":
        leaves, spread, pitch = needles, 1.0 - 0.3 * ambiguity, length * 0.34
        # How far the leaves of each layer open, the light on them, their length.
        layers = [(1.15, 0.7, 1.0), (0.75, 1.0, 1.0), (0.35, 1.2, 0.75)]
    else:
        leaves, spread, pitch = scales, 1.05 - 0.1 * ambiguity, length * (0.8 - 0.25 * ambiguity)
        layers = [(1.0, 0.72, 1.0), (0.35, 1.0, 0.5)]
    light = rng.normal(1, 0.1, len(stems))
    combs = []
    for opening, brightness, size in layers:
        part = Axes(axes.points, axes.leaf * size, axes.stem, axes.kind)
        left, right = (leaves(rng, part, spread * opening, pitch, side) for side in (-1.0, 1.0))
        both = np.concatenate([left, right[:, ::-1]], axis=1).reshape(len(stems), -1)
        combs.append((both.tolist(), brightness))
    width = max(1, round(axes.stem))
    for index, path in enumerate(stems):
        draw.line(path, fill=shade(tones[index], 0.7 * light[index]), width=width, joint="curve")
        for outlines, brightness in combs:
            draw.polygon(outlines[index], fill=shade(tones[index], brightness * light[index]))


def fitted(rng: Generator, plants: list[Axes], width: int, height: int) -> list[Axes]:
    """Scale and shift plants together so that they fill a box drawn at random inside the sheet."""
    points = np.concatenate([axes.points.reshape(-1, 2) for axes in plants])
    low, high = points.min(0), points.max(0)
    room = np.array([width * 0.9, height * 0.82])
    fit = room * rng.uniform(0.9, 1.0, 2) / (high - low)
    stretch = np.minimum(fit, 1.2 * fit.min())  # a plant a fifth wider or slimmer is still in character
    scale = float(np.sqrt(stretch.prod()))
    shift = np.array([width, height]) * 0.05 + (room - (high - low) * stretch) * rng.beta(2, 2, 2)
    size = min(scale, 1.0) ** 0.5
    return [Axes((a.points - low) * stretch + shift, a.leaf * size, a.stem * size, a.kind) for a in plants]


def draw_specimen(rng: Generator, size: tuple[int, int], family: str) -> Image.Image:
    """Draw the mounted plants of one family on a transparent RGBA layer of `size` pixels.

    Greens, browns, leaf sizes and coverage come from the same distributions in both families, so that
    only the habit tells them apart.
    """
    width, height = size
    freshness = rng.beta(1.6, 1.6)
    colour = np.array([122.0, 98.0, 56.0]) * (1 - freshness) + np.array([88.0, 104.0, 58.0]) * freshness
    colour = colour * rng.uniform(0.7, 1.08) + rng.normal(0, 4, 3)
    age, ambiguity = rng.uniform(0.2, 0.9), rng.beta(0.7, 3.6)
    red, green, blue = shade(colour, 0.85)
    layer = Image.new("RGBA", size, (red, green, blue, 0))
    draw = ImageDraw.Draw(layer)
    cones = bool(rng.random() < 0.45)
    plants = int(rng.choice([1, 2, 3, 4], p=[0.08, 0.27, 0.35, 0.3]))
    leaf = 27 - 10 * ambiguity if family == "clubmoss" else 6.5 + 7 * ambiguity
    leaf *= rng.uniform(0.88, 1.14) * width / 950
    grow_plant = clubmoss if family == "clubmoss" else spikemoss
    grown: list[Axes] = []
    for slot in ((rng.permutation(plants) + 0.5) / plants).tolist():
        base = np.array([width * (0.12 + 0.76 * slot + rng.normal(0, 0.04)), height * rng.uniform(0.6, 0.86)])
        upward = -np.pi / 2 + (0.5 - slot) * rng.uniform(0, 0.9) + rng.normal(0, 0.2)
        reach = height * rng.uniform(0.45, 0.72) * (1.0 if plants < 3 else 0.85)
        grown += grow_plant(rng, base, reach, upward, leaf * rng.uniform(0.95, 1.1), cones)
    for axes in fitted(rng, grown, width, height):
        draw_axes(draw, rng, axes, family, colour, age, ambiguity)
    alpha = layer.getchannel("A").filter(ImageFilter.SMOOTH)
    layer.putalpha(alpha)
    return layer
