"""The limits hold wherever a picture is decoded, and hold all that is decoded together."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from PIL import Image

from sheetlens.config import Limits
from sheetlens.fetch.content_checks import BrokenImageError, check_image
from sheetlens.fetch.errors import RefusedError
from sheetlens.prepare.decoding.decoder_processes import Readers, Room, shared_readers
from sheetlens.prepare.decoding.decoder_worker import megabytes_needed
from sheetlens.prepare.resize import RefusedImageError
from tests.unit.prepare.test_resize import encode, sheet

TIGHT = Limits(megapixels=40, seconds=1)


def scan_bomb(scans: int = 600) -> bytes:
    """A progressive JPEG with one scan said over and over: small to send, long to decode."""
    data = encode(sheet(500, 700).resize((3000, 4500)), "JPEG", progressive=True, quality=30)
    end = data.rfind(b"\xff\xda")
    return data[:end] + data[end:-2] * scans + data[-2:]


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "scans.jpg").write_bytes(scan_bomb())
    Image.new("1", (20_000, 20_000)).save(folder / "pixels.png")
    return folder


def test_a_check_of_what_was_fetched_is_within_the_limits(bombs):
    for name, code in (("scans.jpg", "slow"), ("pixels.png", "too_large")):
        start = time.monotonic()
        with pytest.raises(RefusedError) as refused:
            check_image(bombs / name, TIGHT)
        assert refused.value.reason.code == code
        assert time.monotonic() - start < 60


def test_showing_a_picture_is_within_the_limits(bombs):
    readers = shared_readers(TIGHT)
    for name, codes in (("scans.jpg", ("slow",)), ("pixels.png", ("too_large",))):
        for torn in (False, True):
            with pytest.raises(RefusedImageError) as refused:
                readers.show(bombs / name, 100, torn)
            assert refused.value.reason.code in codes
    assert max(psutil.Process(reader.pid).memory_info().rss for reader in readers._all) < 400 * 2**20


def test_a_check_keeps_what_is_whole_and_names_what_is_not(tmp_path):
    (tmp_path / "small.jpg").write_bytes(encode(sheet(60, 60), "JPEG"))
    check_image(tmp_path / "small.jpg")  # too small for an image set, and yet the file that was fetched
    (tmp_path / "cut.jpg").write_bytes(encode(sheet(300, 300), "JPEG")[:-900])
    with pytest.raises(BrokenImageError, match="broken image"):
        check_image(tmp_path / "cut.jpg")
    (tmp_path / "page.jpg").write_bytes(b"<html><body>no</body></html>")
    with pytest.raises(BrokenImageError, match="but a web page"):
        check_image(tmp_path / "page.jpg")


def test_a_picture_is_shown_upright_and_small(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(encode(sheet(900, 1300), "JPEG", exif=exif))
    assert shared_readers(Limits()).show(tmp_path / "a.jpg", 200).size == (200, 138)
    (tmp_path / "torn.png").write_bytes(encode(sheet(400, 600))[:-40_000])
    assert shared_readers(Limits()).show(tmp_path / "torn.png", 300, torn=True).size == (200, 300)


def test_who_needs_more_than_is_left_waits():
    room, inside, most = Room(1000), 0, 0
    lock = threading.Lock()

    def work(megabytes):
        nonlocal inside, most
        with room.hold(megabytes):
            with lock:
                inside += min(megabytes, 1000)
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= min(megabytes, 1000)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, [400, 900, 5000, 100] * 10))
    assert 400 < most <= 1000


def test_what_a_file_needs_is_told_from_its_header(tmp_path):
    def needed(data, size=None):
        return megabytes_needed(io.BytesIO(data), size or len(data))

    large = Image.new("1", (10_000, 15_000))
    for kind, options in (("PNG", {}), ("TIFF", {"compression": "tiff_deflate"})):  # a TIFF's stands at its end
        assert needed(encode(large, kind, **options)) == 600
    assert needed(encode(sheet(300, 400), "JPEG"), 60 * 10**6) == 60
    colours = sheet(3000, 4000)
    assert needed(encode(colours, "JPEG"), 10**6) == 1
    assert needed(encode(colours, "JPEG", progressive=True), 10**6) == 6 * 12 + 1
    assert needed(encode(colours, "JPEG2000", num_resolutions=6), 10**6) == 4 * 12 + 1
    assert needed(encode(colours, "JPEG2000", num_resolutions=1), 10**6) == 16 * 12 + 1
    assert needed(encode(Image.new("I;16", (3000, 4000)), "PNG"), 10**6) == 12 * 12 + 1
    assert needed(b"FUJIFILMCCD-RAW" + bytes(100), 50 * 10**6) == 250


def test_large_masters_wait_for_each_other(tmp_path):
    """Six readers, room for two: never more than two of them hold a TIFF of 60 megapixels."""
    data = io.BytesIO()
    Image.new("RGB", (6000, 9000), (200, 190, 180)).save(data, "TIFF", compression="tiff_deflate")
    (tmp_path / "a.tif").write_bytes(data.getvalue())
    data.seek(0)
    alone = megabytes_needed(data, len(data.getvalue()))
    assert alone > 200
    record, most, done = {"image_id": "a", "path": str(tmp_path / "a.tif"), "sha256": ""}, 0, threading.Event()
    with Readers(4, "squash", Limits(megabytes_together=2 * alone + 50)) as readers:

        def watch():
            nonlocal most
            while not done.wait(0.02):
                sizes = [psutil.Process(one.pid).memory_info().rss for one in list(readers._all) if one.poll() is None]
                most = max(most, sum(size > 150 * 2**20 for size in sizes))

        watcher = threading.Thread(target=watch)
        watcher.start()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: readers.read(record).facts["reason_code"], range(4)))
        done.set()
        watcher.join()
    assert set(found) == {"blank"}
    assert 1 <= most <= 2


def test_a_large_jpeg2000_is_checked_within_the_memory_of_a_reader(tmp_path):
    """100 megapixels of 16 bytes each would be refused as broken."""
    Image.new("RGB", (10_000, 10_000), (90, 120, 40)).save(tmp_path / "a.jp2", num_resolutions=6)
    with Readers(1, "squash", Limits()) as readers:
        readers.check(tmp_path / "a.jp2")
        (tmp_path / "a.jp2").write_bytes((tmp_path / "a.jp2").read_bytes()[:200])
        with pytest.raises(RefusedImageError):
            readers.check(tmp_path / "a.jp2")
