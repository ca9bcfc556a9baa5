"""Perceptual signatures of sheets, and the search for pairs whose signatures are close.

A signature is 127 bits: the signs of the lowest frequencies of the sheet's brightness, after Zauner 2010
("Implementation and benchmarking of perceptual image hash functions"). The search is locality-sensitive
hashing by bit sampling (Indyk & Motwani 1998, STOC: 604-613): sheets that agree in all bits of at least one
of many bands are compared, so the work grows with the number of sheets and not with that of pairs.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.fft import dctn

BITS = 127  # a prime, so that every stride through the bits makes another band
BANDS = BITS - 1  # one for each stride
SHORTEST = 12  # bits in a band; more where there are more sheets, so that few agree by chance
RADIUS = 32  # most bits in which candidates differ; photographs of the same sheet differ in up to 20
NEIGHBOURS = 64  # sheets compared with each one in a band: a thousand near-blank scans stay cheap
COARSE = 32  # pixels on a side, of which the frequencies are taken
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


def make_signatures(coarse: np.ndarray) -> np.ndarray:
    """Signatures of small pictures, brightness, float32, shape (n, COARSE, COARSE): uint64, shape (n, 2)."""
    waves = dctn(coarse, axes=(1, 2), norm="ortho").reshape(len(coarse), -1)[:, _lowest_frequencies()]
    return pack_bits(waves > 0)


def brightness(sheet: np.ndarray) -> np.ndarray:
    """Brightness of a picture, uint8, shape (3, side, side): float32, shape (side, side)."""
    return np.tensordot(LUMA, sheet.astype(np.float32), 1)


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture at a whole fraction of its size: the means of blocks."""
    block = len(picture) // side
    return picture.reshape(side, block, side, block).mean((1, 3))


def _lowest_frequencies() -> np.ndarray:
    """Places of the BITS lowest frequencies in a flat array of COARSE x COARSE, without the mean brightness."""
    down, right = np.indices((COARSE, COARSE))
    return np.argsort((down**2 + right**2).ravel(), kind="stable")[1 : BITS + 1]


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """Pack bool, shape (n, 127), into uint64, shape (n, 2)."""
    padded = np.pad(bits, ((0, 0), (0, 128 - BITS)))
    return np.ascontiguousarray(np.packbits(padded, axis=1, bitorder="little")).view("<u8")


def close_pairs(
    signatures: np.ndarray, radius: int = RADIUS, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows whose signatures differ in at most `radius` bits.

    Returns pairs, int64, shape (m, 2), first row below the second, sorted, and their distances in bits. A pair at
    13 bits is found with a probability of 0.9999 or better among a million sheets, at 19 bits of 0.98 (0.999 among
    100,000). In a band where more than NEIGHBOURS sheets agree each is compared with the next NEIGHBOURS, so that
    such a crowd hangs together but is not paired all with all.
    """
    length = max(SHORTEST, math.ceil(math.log2(max(len(signatures), 2))))
    codes = np.empty(0, np.int64)  # one number for each pair
    for band in range(BANDS):
        places = (band * length + (band + 1) * np.arange(length)) % BITS
        shared = _sharing(_band_keys(signatures, places))
        close = [pairs[distance(signatures, pairs) <= radius] @ [len(signatures), 1] for pairs in shared]
        codes = np.unique(np.concatenate([codes, *close]))
        progress(band + 1, BANDS)
    found = np.stack(np.divmod(codes, max(len(signatures), 1)), axis=1)
    return found, distance(signatures, found)


def distance(signatures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Number of bits in which the signatures of each pair of rows differ."""
    first, second = pairs[:, 0], pairs[:, 1]
    return np.bitwise_count(signatures[first] ^ signatures[second]).sum(axis=1, dtype=np.int64)


def _band_keys(signatures: np.ndarray, places: np.ndarray) -> np.ndarray:
    keys = np.zeros(len(signatures), np.uint64)
    for number, place in enumerate(places.tolist()):
        word, shift = divmod(place, 64)
        keys |= ((signatures[:, word] >> np.uint64(shift)) & np.uint64(1)) << np.uint64(number)
    return keys


def _sharing(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs of rows with the same key, each row with the next NEIGHBOURS of its kind."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    for step in range(1, min(NEIGHBOURS, len(keys) - 1) + 1):
        same = np.flatnonzero(ordered[:-step] == ordered[step:])
        if not len(same):  # no key has more rows than this
            return
        yield np.sort(np.stack([order[same], order[same + step]], axis=1), axis=1)
