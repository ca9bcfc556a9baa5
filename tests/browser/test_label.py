"""The labelling page in Chromium: keys, wall, kills, accessibility."""

import csv

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw

from sheetlens.review.decisions import NAME, read_entries
from tests.browser.conftest import until

DELIVERED = "!Object.keys(localStorage).some((name) => name.startsWith('sheetlens-label:'))"
COUNT = 60


@pytest.fixture
def photographs(tmp_path):
    """60 pictures, half of them with a dark disc; the name says which."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(COUNT):
        kind = ("plain", "disc")[number % 2]
        picture = Image.fromarray(random.integers(150, 255, (400, 300, 3), dtype=np.uint8))
        if kind == "disc":
            ImageDraw.Draw(picture).ellipse((80, 100, 220, 240 + number), fill=(30, 30, 30))
        picture.save(folder / f"{kind}{number:02}.jpg")
    return folder


@pytest.fixture
def labelled(tmp_path, photographs, serve):
    return serve(photographs, "--classes", "plain,disc", "--output", tmp_path / "labels", command="label")


def label(page, count: int) -> None:
    for _ in range(count):
        until(page, "document.getElementById('name').textContent !== ''")
        name = page.text_content("#name")
        page.keyboard.press("1" if name.startswith("plain") else "2")
        until(page, f"document.getElementById('name').textContent !== '{name}'")


def open_wall(page) -> None:
    page.wait_for_timeout(200)
    for _ in range(100):  # until the head knows enough
        page.keyboard.press("w")
        page.wait_for_timeout(300)
        if page.locator("#wall button").count():
            return
        page.keyboard.press("w")


def read(path) -> dict[str, str]:
    with path.open(newline="") as file:
        return {row["image_id"]: row["label"] for row in csv.DictReader(file)}


def test_labels_by_keys_are_right_and_outlive_a_kill(tmp_path, labelled, reviewer):
    page = reviewer_of(reviewer, labelled)
    label(page, 12)
    labelled.kill()
    page.keyboard.press("z")
    until(page, "document.getElementById('trouble').textContent.includes('kept in this browser')")
    labelled.start()
    until(page, DELIVERED, 40)
    entries = read_entries(tmp_path / "labels" / NAME)
    assert len(entries) == 13 and entries[-1]["decision"] == "undo"
    labels = read(tmp_path / "labels/labels.csv")
    assert len(labels) == 11 and all(name.startswith(given) for name, given in labels.items())


def test_a_wall_labels_all_but_the_marked(tmp_path, labelled, reviewer):
    page = reviewer_of(reviewer, labelled)
    label(page, 16)
    open_wall(page)
    found = page.locator("#wall button")
    assert 0 < found.count() <= 24
    wrong = found.first.get_attribute("title")
    found.first.click()
    before = found.count()
    page.locator("#why").click()
    page.keyboard.press("Enter")
    until(page, DELIVERED)
    labels = read(tmp_path / "labels/labels.csv")
    assert wrong not in labels and len(labels) >= 12 + before - 1


def test_a_wall_is_taken_back_as_a_whole(tmp_path, labelled, reviewer):
    page = reviewer_of(reviewer, labelled)
    label(page, 16)
    open_wall(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    assert page.locator("#wall button").nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Enter")
    until(page, "document.getElementById('last').textContent.includes('z takes all of them back')")
    until(page, DELIVERED)
    accepted = len(read(tmp_path / "labels/labels.csv"))
    page.keyboard.press("z")
    until(page, "document.getElementById('last').textContent.includes('of the wall are taken back')")
    until(page, DELIVERED)
    left = read(tmp_path / "labels/labels.csv")
    assert len(left) < accepted and len(left) <= 16, "the sixteen of before, but for those shown again"


def test_a_sheet_can_be_looked_at_closely_or_later(labelled, reviewer):
    page = reviewer_of(reviewer, labelled)
    until(page, "document.getElementById('picture').naturalWidth > 0")
    first = page.text_content("#name")
    page.keyboard.press("+")
    assert page.get_attribute("#picture", "src").endswith("?large")
    assert (
        page.evaluate("document.getElementById('picture').clientWidth / document.getElementById('sheet').clientWidth")
        > 1.4
    )
    page.keyboard.press("s")
    shown = set()
    for _ in range(COUNT - 1):
        until(page, "queue.length > 0")
        shown.add(page.text_content("#name"))
        page.keyboard.press("s")
    assert first not in shown and len(shown) == COUNT - 1
    until(page, f"document.getElementById('name').textContent === '{first}'")


def test_decisions_of_another_labelling_are_not_taken_and_are_said(tmp_path, labelled, photographs, reviewer):
    page = reviewer_of(reviewer, labelled)
    until(page, "queue.length > 0")
    labelled.kill()
    page.keyboard.press("1")
    until(page, "document.getElementById('trouble').textContent.includes('1 decision is kept in this browser')")
    labelled.arguments[labelled.arguments.index(tmp_path / "labels")] = tmp_path / "others"
    labelled.start()
    until(page, "document.getElementById('trouble').textContent.includes('another run is served here now: others')", 40)
    page.reload()
    until(
        page, "document.getElementById('elsewhere').textContent.startsWith('1 decision in this browser did not reach')"
    )
    assert "“labels”" in page.text_content("#elsewhere") and not read_entries(tmp_path / "others" / NAME)


def test_a_new_class_gets_a_key_and_axe_finds_nothing_serious(tmp_path, labelled, reviewer):
    page = reviewer_of(reviewer, labelled)
    page.fill("#new-class", "torn")
    page.press("#new-class", "Enter")
    until(page, "document.getElementById('choices').textContent.includes('torn')")
    page.keyboard.press("3")
    until(page, DELIVERED)
    assert list(read(tmp_path / "labels/labels.csv").values()) == ["torn"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        serious = [
            found for found in Axe().run(page).response["violations"] if found["impact"] in ("serious", "critical")
        ]
        assert not serious, serious


def test_before_the_page_has_started_no_control_can_be_used(labelled, reviewer):
    """A class sent early would be a form that the page's policy blocks: the name would be gone without a word."""
    page = reviewer(labelled, "Ada", waits=False, held="start.json")
    names = ("mode", "blind", "to-wall", "new-class")
    assert all(page.is_disabled(f"#{name}") for name in names)
    page.held.pop().continue_()
    page.fill("#new-class", "torn")
    page.press("#new-class", "Enter")
    until(page, "document.getElementById('choices').textContent.includes('torn')")
    assert not any(page.is_disabled(f"#{name}") for name in names)


def reviewer_of(open_page, server):
    """The page with a name in it; there is no picture before."""
    return open_page(server, "Ada", waits=False)
