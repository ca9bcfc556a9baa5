"""Other ways to bring a photograph to 256x256, one process each: `python peers.py NAME`, files on standard input.

Prints "ready", waits for a line, does all files, and prints its seconds of processor time and peak memory in MB.
Runs in any Python that has what the peer needs.
"""

import io
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def floor_gray() -> Callable[[bytes], Any]:
    """Decode 1/8 of the size in gray with libjpeg-turbo: entropy decoding and next to nothing else."""
    import simplejpeg

    return lambda data: _reduced(simplejpeg, data, "GRAY")


def floor() -> Callable[[bytes], Any]:
    """Decode 1/8 of the size in colour with libjpeg-turbo, no resize."""
    import simplejpeg

    return lambda data: _reduced(simplejpeg, data, "RGB")


def _reduced(simplejpeg: Any, data: bytes, colours: str) -> Any:
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return simplejpeg.decode_jpeg(data, colours, min_height=-(-height // 8), min_width=-(-width // 8), min_factor=8)


def pillow() -> Callable[[bytes], Any]:
    """Pillow as most people write it: open, convert, one bicubic resize."""
    from PIL import Image

    return lambda data: (
        Image.open(io.BytesIO(data)).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC).tobytes()
    )


def libvips() -> Callable[[bytes], Any]:
    """libvips' own way to small pictures: it shrinks while it loads where the format can."""
    import pyvips  # type: ignore[import-not-found]

    pyvips.voperation.cache_set_max(0)
    return lambda data: pyvips.Image.thumbnail_buffer(data, 256, height=256, size="force").write_to_memory()


def img2dataset() -> Callable[[bytes], Any]:
    """The package's own resizer with its defaults (area, JPEG 95), its whole call."""
    from img2dataset.resizer import Resizer  # type: ignore[import-not-found]

    resizer = Resizer(256, "border", False)

    def resize(data: bytes) -> bytes:
        picture, *_, error = resizer(io.BytesIO(data))
        assert not error, error  # noqa: S101
        return picture

    return resize


if __name__ == "__main__":
    peers = {"floor": floor, "floor_gray": floor_gray, "pillow": pillow, "img2dataset": img2dataset, "libvips": libvips}
    work = peers[sys.argv[1]]()
    names = sys.stdin.readline().rstrip("\n").split("\t")
    work(Path(names[0]).read_bytes())
    print("ready", flush=True)
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for name in names:
        work(Path(name).read_bytes())
    after = resource.getrusage(resource.RUSAGE_SELF)
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # ru_maxrss begins with the parent's
    print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, int(peak) / 1024, flush=True)
