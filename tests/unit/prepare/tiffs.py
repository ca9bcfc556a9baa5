"""Small TIFFs of odd kinds, written byte by byte: no library here writes them."""

import struct

import numpy as np

FORMS = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 10: "ii"}  # TIFF's types -> struct's
Page = tuple[dict[int, tuple], list[bytes]]


def write_tiff(*pages: Page, inner: dict[int, int] | None = None, order: str = "<") -> bytes:
    """A TIFF of pages: tags as {number: (type, *values)}, and strips.

    `inner` places pages in the SubIFDs of others: {page: the page it stands below}.
    """
    inner = inner or {}
    directories = [dict(tags) | {273: (4, *[0] * len(strips)), 279: (4, *map(len, strips))} for tags, strips in pages]
    for number in range(len(pages)):
        if below := [child for child, above in inner.items() if above == number]:
            directories[number][330] = (4, *[0] * len(below))
    places, at = [], 8
    for tags, (_, strips) in zip(directories, pages, strict=True):
        values = at + 6 + 12 * len(tags)
        data = values + sum(len(_packed(tag, order)) for tag in tags.values() if len(_packed(tag, order)) > 4)
        places.append((at, values, data))
        at = data + sum(map(len, strips))
    outer = [number for number in range(len(pages)) if number not in inner]
    written = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", places[outer[0]][0])
    for number, (tags, (_, strips)) in enumerate(zip(directories, pages, strict=True)):
        _, place, data = places[number]
        tags[273] = (4, *(data + sum(map(len, strips[:n])) for n in range(len(strips))))
        if 330 in tags:
            tags[330] = (4, *(places[child][0] for child, above in inner.items() if above == number))
        table = long = b""
        for name, tag in sorted(tags.items()):
            value = _packed(tag, order)
            table += struct.pack(order + "HHI", name, tag[0], len(tag[1]) + 1 if tag[0] == 2 else len(tag) - 1)
            table += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", place + len(long))
            long += value if len(value) > 4 else b""
        following = outer[outer.index(number) + 1 :] if number in outer else []
        end = struct.pack(order + "I", places[following[0]][0] if following else 0)
        written += struct.pack(order + "H", len(tags)) + table + end + long + b"".join(strips)
    return written


def _packed(tag: tuple, order: str) -> bytes:
    kind, *values = tag
    if kind == 2:
        data = values[0] + b"\0"
    else:
        data = b"".join(
            struct.pack(order + FORMS[kind], *(one if isinstance(one, tuple) else (one,))) for one in values
        )
    return data + b"\0" * (len(data) % 2 if len(data) > 4 else 0)


def page(pixels: np.ndarray, photometric: int, order: str = "<", planar: bool = False, **more: tuple) -> Page:
    """An uncompressed page of pixels, shape (height, width) or (height, width, samples); tags as _254=(4, 1)."""
    height, width, samples = (*pixels.shape, 1)[:3]
    tags = {
        256: (4, width), 257: (4, height), 258: (3, *[8 * pixels.dtype.itemsize] * samples), 259: (3, 1),
        262: (3, photometric), 277: (3, samples), 278: (4, height), 284: (3, 2 if planar else 1),
    }  # fmt: skip
    pixels = pixels.astype(pixels.dtype.newbyteorder(order))
    strips = [pixels[:, :, n].tobytes() for n in range(samples)] if planar else [pixels.tobytes()]
    return tags | {int(name[1:]): value for name, value in more.items()}, strips


def camera_raw(width: int = 200, height: int = 300, flip: int = 1) -> bytes:
    """A DNG of a sensor with a Bayer filter, as LibRaw reads it: dark in its upper left corner."""
    y, x = np.mgrid[0:height, 0:width]
    light = np.stack([x / width, y / height, (x + y) / (width + height)], axis=-1) * 3000 + 500
    light += np.random.default_rng(0).normal(0, 60, (height, width, 1))
    light[: height // 3, : width // 3] = 100
    red, blue = (y % 2 == 0) & (x % 2 == 0), (y % 2 == 1) & (x % 2 == 1)
    sensor = np.where(red, light[..., 0], np.where(blue, light[..., 2], light[..., 1]))
    unit = ((1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1))
    return write_tiff(
        page(
            sensor.clip(0, 4095).astype(np.uint16), 32803, _254=(4, 0), _271=(2, b"Sheetlens"), _272=(2, b"Test"),
            _274=(3, flip), _33421=(3, 2, 2), _33422=(1, 0, 1, 1, 2), _50706=(1, 1, 4, 0, 0), _50707=(1, 1, 1, 0, 0),
            _50708=(2, b"Sheetlens Test"), _50714=(3, 0), _50717=(4, 4095), _50721=(10, *unit),
            _50728=(5, (1, 1), (1, 1), (1, 1)), _50778=(3, 21),
        )
    )  # fmt: skip
