"""Count what deflated data hold, without keeping it: they may swell a thousandfold."""

import math
import zlib

STEP = 2**14  # bytes that are inflated at a time, to 17 MB at most


def inflated(data: bytes, most: float = math.inf) -> int:
    """How many bytes deflated data hold, counted no further than `most`; zlib.error for damaged ones."""
    inflater, found = zlib.decompressobj(), 0
    for start in range(0, len(data), STEP):
        found += len(inflater.decompress(data[start : start + STEP]))
        if inflater.eof or found >= most:
            break
    return found
