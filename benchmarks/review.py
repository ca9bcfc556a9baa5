"""Seconds until the first picture of a review shows, and until a key's answer shows, with 50,000 sheets.

Real Chromium, a new profile for each round, the server already running: from the request for the page to a decoded
photograph of 1,500 x 2,100 pixels, and from a key to the next picture decoded. Medians; the limit is 1 s for the
first picture. Run in the project's folder: `python -m benchmarks.review`. The last line is a JSON object.
"""

import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import Server
from tests.browser.runs import write_run

ROWS, ROUNDS, KEYS, LIMIT = 50_000, 7, 50, 1.0
SHOWN = "document.getElementById('picture').complete && document.getElementById('picture').naturalWidth > 0"
PLACE = "document.getElementById('progress').textContent"


def wait(page: Page, expression: str) -> None:
    """Wait until an expression is true."""
    while not page.evaluate(expression):
        time.sleep(0.005)


def main() -> None:
    """Measure, print a table and the JSON object."""
    first, keys = [], []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        server = Server(write_run(Path(name) / "run", ROWS, size=(1500, 2100)))
        server.start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            for _ in range(ROUNDS):
                page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
                start = time.perf_counter()
                page.goto(server.address, wait_until="commit")
                wait(page, f"document.getElementById('picture') !== null && {SHOWN}")
                first.append(time.perf_counter() - start)
            page.fill("#reviewer", "Ada")
            page.press("#reviewer", "Enter")
            for number in range(KEYS):
                start = time.perf_counter()
                page.keyboard.press("1")
                wait(page, f"{PLACE}.startsWith('sheet {number + 2} of') && {SHOWN}")
                keys.append(time.perf_counter() - start)
        finally:
            browser.close()
            server.kill()
    print(f"{platform.platform()}, {os.cpu_count()} cores; {ROWS:,} sheets")
    print(f"first picture {statistics.median(first):.2f} s (longest {max(first):.2f}), limit {LIMIT:g} s")
    print(f"key to the next picture {1000 * statistics.median(keys):.0f} ms (longest {1000 * max(keys):.0f})")
    facts = {"benchmark": "review", "ratio": round(LIMIT / statistics.median(first), 2), "rows": ROWS}
    print(
        json.dumps(facts | {"first_s": round(statistics.median(first), 3), "key_s": round(statistics.median(keys), 3)})
    )


if __name__ == "__main__":
    main()
