"""Cells that a spreadsheet would compute, in tables for people."""

import json
import random
import re
import time

import pytest

from sheetlens.common import tables
from sheetlens.common.tables import plain_cell, safe_cell
from tests.conftest import ROOT

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\x00=1", " =1", "\ufeff=1", "\u200b=1", '"=1', "'=1",
    "''=1",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201", "\ufe661", "\u22121", "a\n=1", "a\r\n=1", "a;=1", "a; =1", "a\t=1",
    "a\x0b=1", "a\u2028=1", "a;\uff1d1", "\nx", "\x00x",
]  # fmt: skip
PLAIN = ["", "a", "a=1", "Lycopodium clavatum L.", "12.5,-3.4", "a, -b", "O'Neill", "a;b", "a\nb", "1-2", "a@b.org"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_gets_an_apostrophe_wherever_a_cell_may_begin(cell):
    safe = safe_cell(cell)
    for part in re.split(r"[\t\n\v\f\r;\x85\u2028\u2029]", safe):
        seen = re.sub(r"^[\x00-\x20\x7f-\xa0\xad\u200b\ufeff\"]*", "", part)
        assert not re.match(r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\u2212]", seen), safe
    assert safe != cell and plain_cell(safe) == cell


@pytest.mark.parametrize("cell", [*PLAIN, 1, 2.5, None, True])
def test_other_cells_stay_as_they_are(cell):
    assert safe_cell(cell) is cell


def test_any_cell_comes_back_as_it_was():
    chance = random.Random(1)
    for _ in range(20_000):
        cell = "".join(chance.choice("=a';\n\t\x00 \uff1d\"-,\v") for _ in range(chance.randrange(9)))
        assert plain_cell(safe_cell(cell)) == cell


def test_a_long_cell_of_line_breaks_takes_no_square_of_its_length():
    start = time.monotonic()
    for character in "\n ;'\t":
        safe_cell(character * 300_000)
    assert time.monotonic() - start < 20  # seconds; squared it would be hours


def test_the_review_page_guards_the_same_cells():
    script = (ROOT / "workflow/sheetlens/review/review.js").read_text()
    found = {name: json.loads(re.search(rf'^const {name} = (".*");$', script, re.MULTILINE)[1]) for name in PARTS}
    assert found == PARTS
    whole = re.search(r"^const FORMULA = new RegExp\(`(.*)`, \"g\"\);$", script, re.MULTILINE)[1]
    for name, part in PARTS.items():
        whole = whole.replace(f"${{{name}}}", part)
    assert whole.replace("\\\\", "\\") == tables.FORMULA.pattern.replace('\\"', '"')


PARTS = {"SIGN": tables._SIGN, "BREAK": tables._BREAK, "UNSEEN": tables._UNSEEN.replace('\\"', '"')}
