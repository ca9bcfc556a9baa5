"""Seconds and milliseconds that a person waits for the labelling page, with 50,000 sheets.

Real Chromium, a new profile for each round, the server already running: from the request for the page to a decoded
first picture; from a key to the next picture, while the head is fitted again after every label; from a key to a wall
of 24 decoded thumbnails. Medians, with the longest. The keys come at the pace of somebody quick, and with no pause at
all, which is reported and has no limit.

To read 50,000 photographs takes an hour on two cores, so the features are not read here: the labelling finds a store
of them (`label/store.py`) as an earlier session would have left it, with random vectors of the real length, shifted a
little by class. The photographs are files of their own with one of 24 small pictures. Run in the project's folder:
`python -m benchmarks.label_page`. The last line is a JSON object; `ratio` is the worst of measured over limit.
"""

import io
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.conftest import Server

from sheetlens.common.files import read_table
from sheetlens.label.session import WALL
from sheetlens.label.sheets import BACKBONE
from sheetlens.label.store import Kept, Store
from sheetlens.predict.input_list import write_list

ROWS, PICTURES, ROUNDS, KEYS = 50_000, 24, 5, 40
SIZE, SMALL, FEATURES, SHIFT = (300, 420), (256, 256), 2944, 0.1
PACE = 0.4  # seconds from a picture to a key
LIMITS = {"first picture": 1.0, "key to the next picture": 0.15, f"wall of {WALL}": 1.0}
CLASSES = ("stained", "unstained")
SHOWN = "document.getElementById('picture').complete && document.getElementById('picture').naturalWidth > 0"
NAME = "document.getElementById('name').textContent"
ALL_THERE = f"""[...document.querySelectorAll('#wall img')].filter((one) => one.complete && one.naturalWidth > 0).length
    === {WALL} && !document.getElementById('wall').hidden"""


def write_photographs(folder: Path) -> None:
    """Write ROWS files; every other one is stained, and its name says so."""
    random, pictures = np.random.default_rng(0), []
    for _ in range(PICTURES):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(150, 255, (42, 30, 3), np.uint8)).resize(SIZE).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    for number in range(ROWS):
        path = folder / f"{number // 1000:03}" / f"{CLASSES[number % 2]}-{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[number % PICTURES])


def write_store(photographs: Path, output: Path) -> None:
    """Write the store that a session which has read all photographs leaves."""
    write_list(photographs, output / "list.parquet")
    table, random = read_table(output / "list.parquet"), np.random.default_rng(1)
    buffer, store = io.BytesIO(), Store(output / "sheets.sqlite", BACKBONE)
    Image.fromarray(random.integers(150, 255, (32, 32, 3), np.uint8)).resize(SMALL).save(buffer, "JPEG")
    stamps = table["size"] + "|" + table["changed"]
    for start in range(0, len(table), 2000):
        names = table["image_id"][start : start + 2000]
        vectors = random.standard_normal((len(names), FEATURES)).astype(np.float16)
        vectors += np.array([SHIFT * ("unstained" in name) for name in names], np.float16)[:, None]
        rows = zip(names, stamps[start : start + 2000], vectors, strict=True)
        store.add([Kept(name, stamp, "", buffer.getvalue(), vector) for name, stamp, vector in rows])
    store.close()


def wait(page: Page, expression: str, seconds: float = 60) -> None:
    """Wait until an expression is true."""
    end = time.perf_counter() + seconds
    while not page.evaluate(expression):
        if time.perf_counter() > end:
            raise TimeoutError(f"{expression}; the page says: {page.text_content('footer')}")
        time.sleep(0.005)


def open_page(browser: Browser) -> Page:
    """A page in a profile of its own that knows the reviewer's name."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script("localStorage.setItem('sheetlens-reviewer', 'Ada')")
    return context.new_page()


def first_picture(browser: Browser, address: str) -> float:
    """Seconds from the request for the page to the first picture."""
    page = open_page(browser)
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    wait(page, f"document.getElementById('picture') !== null && {SHOWN}")
    taken = time.perf_counter() - start
    page.context.close()
    return taken


def keys(page: Page, pace: float, count: int = KEYS) -> list[float]:
    """Seconds from each key, which is right, to the next picture."""
    found = []
    for _ in range(count):
        wait(page, SHOWN)
        time.sleep(pace)
        name = page.text_content("#name") or ""
        start = time.perf_counter()
        page.keyboard.press("2" if "unstained" in name else "1")
        wait(page, f"{NAME} !== {json.dumps(name)} && {SHOWN}")
        found.append(time.perf_counter() - start)
    return found


def wall(page: Page) -> float:
    """Seconds from the key to all thumbnails of a wall, which is then closed."""
    start = time.perf_counter()
    page.keyboard.press("w")
    wait(page, ALL_THERE)
    taken = time.perf_counter() - start
    page.keyboard.press("w")
    wait(page, "document.getElementById('wall').hidden")
    time.sleep(PACE)
    return taken


def measure(browser: Browser, address: str) -> dict[str, list[float]]:
    """All that is measured, in seconds, in the order in which a person meets it."""
    found = {"first picture": [first_picture(browser, address) for _ in range(ROUNDS)]}
    page = open_page(browser)
    page.goto(address)
    found["key to the next picture"] = keys(page, PACE)
    found["the same without a pause"] = keys(page, 0)
    time.sleep(5)  # a wall needs a head that was fitted
    found[f"wall of {WALL}"] = [wall(page) for _ in range(ROUNDS)]
    return found


def main() -> None:
    """Measure, print a table and the JSON object."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        write_photographs(folder / "photographs")
        write_store(folder / "photographs", folder / "labels")
        options = ("--classes", ",".join(CLASSES), "--output", folder / "labels")
        server = Server(folder / "photographs", *options, command="label")
        start = time.perf_counter()
        server.start()
        started = time.perf_counter() - start
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            found = measure(browser, server.address)
        finally:
            browser.close()
            server.kill()
    print(f"{platform.platform()}, {os.cpu_count()} cores; {ROWS:,} sheets; the server starts in {started:.1f} s")
    ratios = {}
    for what, seconds in found.items():
        limit, median = LIMITS.get(what), statistics.median(seconds)
        ratios |= {what: median / limit} if limit else {}
        told = f", limit {1000 * limit:,.0f}" if limit else ""
        print(f"{what:26} median {1000 * median:6,.0f} ms, longest {1000 * max(seconds):6,.0f}{told}")
    facts = {"benchmark": "label_page", "ratio": round(max(ratios.values()), 3), "rows": ROWS}
    for name, what in zip(("first_s", "key_s", "wall_s"), LIMITS, strict=True):
        facts[name] = round(statistics.median(found[what]), 3)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
