"""Hostile files: none may take the run down, stall it, or make it lose another file."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.config import Limits
from sheetlens.prepare.decoding import decoder_processes
from sheetlens.prepare.decoding.decoder_processes import Readers
from tests.unit.prepare.test_resize import encode, sheet


def record(path, data=None):
    digest = "" if data is None else hashlib.sha256(data).hexdigest()
    return {"image_id": str(path), "path": str(path), "sha256": digest}


def read(path, data=None, limits=Limits()):  # noqa: B008
    with Readers(1, "squash", limits) as pool:
        return pool.read(record(path), data).facts


GOOD = encode(sheet(300, 400), "JPEG")


def test_good_bytes_and_good_files_are_read_alike(tmp_path):
    name = tmp_path / "with\nnewline \u00e9.jpg"
    name.write_bytes(GOOD)
    with Readers(1, "squash", Limits()) as pool:
        from_file, from_bytes = pool.read(record(name)), pool.read(record(name), GOOD)
    assert from_file == from_bytes
    assert from_file.facts["status"] == "ok"
    assert hashlib.sha256(from_file.pixels).hexdigest() == from_file.facts["pixels_sha256"]


def test_a_name_that_is_not_utf8(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"\xff.jpg")
    with open(name, "wb") as file:
        file.write(GOOD)
    assert read(os.fsdecode(name))["status"] == "ok"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "not a file but a folder, pipe or device"),
        (lambda path: os.mkfifo(path), "not a file but a folder, pipe or device"),
        (lambda path: path.symlink_to("/dev/zero"), "not a file but a folder, pipe or device"),
        (lambda path: path.write_bytes(b"\xff\xd8"), "the file has only 2 bytes"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, make, reason):
    make(tmp_path / "x.jpg")
    assert read(tmp_path / "x.jpg")["reason"] == reason


def test_a_file_that_changes_is_refused(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(GOOD + b"more")
    with Readers(1, "squash", Limits()) as pool:
        assert pool.read(record(path, GOOD)).facts["reason"] == "the file changed after it was listed: run again"


def test_a_file_that_changes_while_it_is_read_is_never_half_taken(tmp_path):
    path, other = tmp_path / "x.jpg", encode(sheet(310, 400), "JPEG")
    path.write_bytes(GOOD)
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            for data in (other, GOOD[: len(GOOD) // 2], GOOD):
                path.write_bytes(data)

    writer = threading.Thread(target=rewrite)
    writer.start()
    with Readers(1, "squash", Limits()) as pool:
        found = [pool.read(record(path, GOOD)).facts for _ in range(40)]
        expected = pool.read(record("", None), GOOD).facts["pixels_sha256"]
    stop.set()
    writer.join()
    for facts in found:
        assert facts["status"] == "ok" or "changed after it was listed" in facts["reason"]
        assert facts.get("pixels_sha256", expected) == expected


def peak(pool):
    return max(psutil.Process(reader.pid).memory_info().rss for reader in pool._all) / 2**20


def test_a_bomb_is_stopped_at_its_header(tmp_path):
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    with Readers(1, "squash", Limits()) as pool:
        facts = pool.read(record(tmp_path / "bomb.png")).facts
        assert peak(pool) < 150
    assert facts["reason"] == "too large: 30000x30000 pixels, more than 180 megapixels"


def test_a_tiff_of_200_megabytes_is_read_or_refused_within_the_memory(tmp_path):
    tile = np.asarray(sheet(1000, 1000))
    Image.fromarray(np.tile(tile, (10, 7, 1))).save(tmp_path / "large.tif")
    assert (tmp_path / "large.tif").stat().st_size > 200 * 10**6
    facts = read(tmp_path / "large.tif")
    assert (facts["status"], facts["width"], facts["height"]) == ("ok", 7000, 10_000)
    facts = read(tmp_path / "large.tif", limits=Limits(megabytes=300))
    assert facts["reason"] == "needs more memory than one file may take"


def test_a_file_that_takes_too_long_is_given_up(tmp_path):
    """A progressive JPEG with hundreds of scans over a large picture: small to send, long to decode."""
    data = encode(sheet(500, 700).resize((5000, 7000)), "JPEG", progressive=True, quality=30)
    end = data.rfind(b"\xff\xda")
    slow = data[:end] + data[end:-2] * 400 + data[-2:]
    with Readers(1, "squash", Limits(seconds=1)) as pool:
        start = time.monotonic()
        facts = pool.read(record("slow.jpg"), slow).facts
        assert facts["reason"] == "takes more than 1 seconds to decode"
        assert time.monotonic() - start < 40
        assert pool.read(record("good.jpg"), GOOD).facts["status"] == "ok"


def test_a_decoder_that_sleeps_is_given_up(monkeypatch):
    monkeypatch.setattr(decoder_processes, "PATIENCE", 1)
    with Readers(1, "squash", Limits(seconds=1)) as pool:
        assert pool.read(record("good.jpg"), GOOD).facts["status"] == "ok"
        for reader in list(pool._all):
            psutil.Process(reader.pid).suspend()
        facts = pool.read(record("x.jpg"), GOOD).facts
        assert facts["reason"] == "its decoder hung: no answer in 1 seconds"
        assert pool.read(record("good.jpg"), GOOD).facts["status"] == "ok"


def test_a_reader_that_somebody_kills_costs_no_sheet():
    with Readers(2, "squash", Limits()) as pool, ThreadPoolExecutor(2) as threads:
        results = threads.map(lambda n: pool.read(record(f"{n}.jpg"), GOOD).facts["status"], range(60))
        time.sleep(0.8)
        for reader in list(pool._all):
            reader.kill()
        assert set(results) == {"ok"}


def test_a_sheet_whose_readers_are_killed_again_and_again_is_read(tmp_path):
    with Readers(0, "squash", Limits()) as pool:
        lives = tmp_path / "lives"
        killed = f"open({str(lives)!r}, 'a').write('.')\n"
        killed += (
            f"if len(open({str(lives)!r}).read()) < 6: sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        pool._command = [
            sys.executable, "-c", f"import os, signal, sys\n{killed}os.execv({pool._command[0]!r}, {pool._command!r})"
        ]  # fmt: skip
        pool._idle.put(None)
        assert pool.read(record("x.jpg"), GOOD).facts["status"] == "ok"
        assert len(lives.read_text()) == 6


def test_a_decoder_that_crashes_costs_only_its_file(monkeypatch):
    crash = "import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.SIGSEGV)"
    with Readers(0, "squash", Limits()) as pool:
        pool._command = [sys.executable, "-c", crash]
        pool._idle.put(pool._start())
        assert pool.read(record("x.jpg"), GOOD).facts["reason"] == "its decoder crashed (SIGSEGV)"


def test_an_unknown_fit_is_one_error_before_any_process():
    with pytest.raises(UserError, match="cannot be fitted by 'stretch': use one of squash, letterbox, crop_sheet"):
        Readers(1, "stretch", Limits())


def test_readers_end_with_the_job(tmp_path):
    script = (
        "from sheetlens.prepare.decoding.decoder_processes import *; from sheetlens.config import Limits; import time\n"
    )
    script += "pool = Readers(2, 'squash', Limits()); row = {'image_id': '', 'path': '/', 'sha256': ''}\n"
    script += "pool.read(row); pool.read(row); print(*[r.pid for r in pool._all], flush=True); time.sleep(60)"
    job = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    processes = [psutil.Process(int(pid)) for pid in job.stdout.readline().split()]
    job.kill()
    job.wait()
    assert not psutil.wait_procs(processes, timeout=10)[1]


def test_memory_stays_flat():
    with Readers(1, "squash", Limits()) as pool:
        large = encode(sheet(1000, 1500).resize((4000, 6000)), "JPEG")
        for number in range(12):
            assert pool.read(record(f"{number}.jpg"), large).facts["status"] == "ok"
        assert peak(pool) < 100


def test_facts_travel_as_text(tmp_path):
    """What a reading process says is never executed: JSON, not pickle."""
    facts = read(tmp_path / "x.png", encode(sheet(300, 400)))
    assert json.loads(json.dumps(facts))["exif_make"] == ""
