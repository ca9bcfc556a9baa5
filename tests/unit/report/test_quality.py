import re

import numpy as np
import pandas as pd
import pytest

from sheetlens.common import files
from sheetlens.fetch.listing import listing
from sheetlens.pages.render import PAGES
from sheetlens.pages.thumbnails import embed_refused
from sheetlens.report.quality import SAMPLE, write_quality
from tests.unit.prepare.test_image_set import make_listing, packed
from tests.unit.prepare.test_resize import encode, sheet


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of 60 sheets: one class at quality 75, the other at 95; some files refused."""
    folder = tmp_path_factory.mktemp("quality")
    sheets = {f"fern/{n:02}.jpg": encode(sheet(300 + n, 400), "JPEG", quality=75) for n in range(30)}
    sheets |= {f"moss/{n:02}.jpg": encode(sheet(300 + n, 400), "JPEG", quality=95) for n in range(30)}
    sheets["fern/torn<b>.jpg"] = sheets["fern/07.jpg"][:-3000]
    sheets["moss/page.jpg"] = b"<html>Request Rejected</html>"
    path = make_listing(folder, sheets)
    table = files.read_table(path)
    years = np.where(table["label"] == "fern", "1898-05-01/1898-06-01", "")
    files.write_table(path, listing(table.assign(eventDate=years).to_dict("records")))
    pixels, index, manifest = packed(path, folder, workers=2)
    write_quality("Ferns & mosses", pixels, index, manifest, folder / "quality.html")
    again = folder / "again.html"
    write_quality("Ferns & mosses", pixels, index, manifest, again)
    assert (folder / "quality.html").read_bytes() == again.read_bytes()
    return again.read_text()


def test_the_counts_are_the_manifests(page):
    assert "Files found: 62. Used: 60. Refused: 2." in page
    assert "Ferns &amp; mosses" in page


def test_what_was_refused_stands_with_its_reason_and_picture(page):
    refused = page.split("What was refused</h2>")[1].split("Sheets at random</h2>")[0]
    assert "truncated: 1" in refused
    assert "torn&lt;b&gt;.jpg" in refused
    assert "but a web page" in refused
    assert len(re.findall("<img", refused)) == 1


def test_classes_photographed_in_different_ways_are_pointed_out(page):
    assert re.search(r"JPEG quality <span class=\"wrong\">differs between the classes", page)
    assert re.search(r"Collected in <span class=\"wrong\">differs between the classes", page)
    assert "more than their plants:</strong> jpeg quality, collected in." in page
    assert "All files are alike in this: megapixels: under 0.5; format and colours: JPEG, RGB; border" in page
    assert "No file says anything about: camera;" in page


def test_a_sample_of_each_class_is_shown(page):
    assert page.count('alt="fern/') == page.count('alt="moss/') == SAMPLE


def test_the_page_needs_nothing_from_outside(page):
    assert not re.search(r"src=[\"'](?!data:)", page)
    pages = {f"{name}.html" for name in PAGES} | {"../report.html"}
    assert set(re.findall(r'href="([^"#]+)', page)) == pages - {"quality.html"}
    assert "<script" not in page


def test_pictures_that_are_too_costly_to_decode_are_not_tried(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encode(sheet(300, 400)))
    assert embed_refused(path, "too_small", 96).startswith("data:image/jpeg")
    for code in ("slow", "crashed", "too_large"):
        assert embed_refused(path, code, 96) == ""
    assert embed_refused(tmp_path / "gone.png", "truncated", 96) == ""


def test_small_differences_are_left_to_chance():
    from sheetlens.report.quality import describe_property

    labels = pd.Series(["a"] * 29 + ["b"] * 29)
    values = pd.Series(["old"] * 16 + ["new"] * 13 + ["old"] * 7 + ["new"] * 22)
    assert not describe_property("Age", values, labels)["apart"]
    assert describe_property("Age", *(pd.concat([one] * 4, ignore_index=True) for one in (values, labels)))["apart"]


def test_years_are_read_from_any_date():
    from sheetlens.report.quality import years

    assert years(pd.Series(["1898", "1901-02", "", "s.d."])).fillna(0).tolist() == [1898, 1901, 0, 0]
