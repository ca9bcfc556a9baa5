"""Take the pictures of docs/how-to/label.md: the labelling page in Chromium, with sheets that the package draws.

`python -m docs.pictures`, in the project's folder. A script labels them by keys as a person would, knowing the truth.
docs/how-to/label.sha256 says what page they show: a test compares it with the code.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import Server, until

from sheetlens.config import DemoSource
from sheetlens.fetch.sources import demo

FOLDER = Path(__file__).parent / "how-to"
PAGE = [Path(__file__).parents[1] / f"workflow/sheetlens/label/label.{ending}" for ending in ("html", "css", "js")]
SHEETS, AT_RANDOM, SUGGESTED = 130, 30, 10  # an accuracy takes 20 random sheets, and some are shown again
CLASSES = ("stained", "unstained")
WIDTH, HEIGHT, QUALITY = 1180, 760, 70
LARGEST = 150_000  # bytes of a picture
PATIENCE = 300  # seconds
SHOWN = "document.getElementById('picture').complete && document.getElementById('picture').naturalWidth > 0"
ALL_READ = "numbers !== null && numbers.read === numbers.sheets"  # the page's own numbers
NAME = "document.getElementById('name').textContent"


def page_hash() -> str:
    """Hash of what the page is made of."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in PAGE)).hexdigest()


def take(page: Page, name: str) -> None:
    """Take one picture, once all is there."""
    page.wait_for_timeout(600)
    path = FOLDER / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY)
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes, more than {LARGEST:,}")


def label(page: Page, truth: dict[str, str], count: int) -> None:
    """Label some sheets by keys, rightly."""
    for _ in range(count):
        until(page, SHOWN, PATIENCE)
        name = page.text_content("#name") or ""
        page.keyboard.press(str(CLASSES.index(truth[name]) + 1))
        until(page, f"{NAME} !== '{name}'", PATIENCE)


def walk(page: Page, address: str, truth: dict[str, str]) -> None:
    """Walk through a labelling and take a picture at each turn."""
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(address)
    until(page, ALL_READ, PATIENCE)
    page.fill("#reviewer", "Ada")
    page.press("#reviewer", "Enter")
    until(page, SHOWN, PATIENCE)
    take(page, "label-first")
    page.keyboard.press("x")
    label(page, truth, AT_RANDOM)
    page.keyboard.press("x")
    label(page, truth, SUGGESTED)
    until(page, f"numbers.decided > {AT_RANDOM}", PATIENCE)  # the page asks for them now and then
    until(page, "document.getElementById('numbers').textContent.includes('Accuracy you can claim')", PATIENCE)
    take(page, "label-numbers")
    page.keyboard.press("w")
    until(page, "document.querySelectorAll('#wall img').length > 20", PATIENCE)
    until(page, "[...document.querySelectorAll('#wall img')].every((one) => one.naturalWidth > 0)", PATIENCE)
    for sheet in page.locator("#wall button").all():
        if truth[sheet.get_attribute("title") or ""] != CLASSES[0]:
            sheet.click()
    take(page, "label-wall")


def draw(folder: Path) -> dict[str, str]:
    """Draw sheets into a folder, unsorted, as photographs lie before anybody labelled them; name -> class."""
    with tempfile.TemporaryDirectory() as name:
        listing = demo.fetch(DemoSource(task="stain", sheets=SHEETS), Path(name), 2)
        folder.mkdir()
        for path in listing["path"]:
            shutil.move(path, folder / Path(path).name)
    return {Path(name).name: label for name, label in zip(listing["image_id"], listing["label"], strict=True)}


def take_all(photographs: Path, truth: dict[str, str], labels: Path) -> None:
    """Serve some photographs and take the pictures."""
    with sync_playwright() as playwright:
        server = Server(photographs, "--classes", ",".join(CLASSES), "--output", labels, command="label")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            server.start()
            walk(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), server.address, truth)
        finally:
            browser.close()
            server.kill()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        photographs = Path(name) / "photographs"
        take_all(photographs, draw(photographs), Path(name) / "labels")
    (FOLDER / "label.sha256").write_text(f"{page_hash()}\n")
