"""Decode JPEG 2000 at a fraction of its size."""

from sheetlens.prepare.decoding.formats.decoded import Decoded, Original

CODING_STYLE = b"\xff\x52"  # ISO 15444-1, A.6.1


def decode_jpeg2000(original: Original, least: tuple[int, int]) -> Decoded:
    """Decode 1/2, 1/4, ... of the size by leaving wavelet levels out."""
    image = original.image
    width, height = image.size
    levels = 0
    while levels < wavelet_levels(original.data) and min(width // least[0], height // least[1]) >= 2 ** (levels + 1):
        levels += 1
    if levels:
        # OpenJPEG rounds the reduced size up, Pillow to the nearest: told a multiple, both have the same.
        step = 1 << levels
        image._size = (-(-width // step) * step, -(-height // step) * step)
        image.reduce = levels  # type: ignore[method-assign,assignment]
    image.load()
    # The low band samples at pixels 0, 2^n, ...: its grid begins half a pixel before the picture's.
    shift, (right, bottom) = (1 - 0.5**levels) / 2, image.size
    box = (shift, shift, min(width / 2**levels + shift, right), min(height / 2**levels + shift, bottom))
    return Decoded(image, box)


def wavelet_levels(data: bytes) -> int:
    """Levels in the first coding style of a JPEG 2000 codestream."""
    start = data.find(CODING_STYLE)
    return min(data[start + 9], 32) if 0 <= start < len(data) - 9 else 0
