"""Cells that a spreadsheet would compute, in tables for people."""

import json
import random
import re
import shutil
import subprocess
import time
import unicodedata

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


# Unicode 16, DerivedCoreProperties.txt: Default_Ignorable_Code_Point; and blanks, marks and quotes beside them.
IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
QUOTES = (
    "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
    "\u2039\u203a\u2032\u2033\u2035\u2036\u301d\u301e\u301f\uff02\uff07\uff40\u02b9\u02ba\u02bb\u02bc\u02bd"
)
UNSEEN = [
    *(chr(code) for first, last in IGNORABLE for code in range(first, last + 1)),
    *QUOTES,
    "\u2800",
    *"\ufff9\ufffa",
]
UNSEEN += [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Zs"]
SIGNS = (
    "=+-@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\u2795\u2796\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
)


def test_no_character_that_is_not_seen_hides_a_formula():
    for unseen in UNSEEN:
        for cell in (f"{unseen}=1", f"{unseen}\u200b{unseen}=1", f"a;{unseen}=1", f"a\n{unseen} =1"):
            safe = safe_cell(cell)
            assert safe != cell and plain_cell(safe) == cell, ascii(cell)
    assert all(safe_cell(f"{sign}1") == f"'{sign}1" for sign in SIGNS)


@pytest.mark.parametrize(
    "cell",
    [
        "\U0001f33f -1",
        "\u0395\u03bb\u03bb\u03ac\u03c2",
        "\u65e5\u672c -1",
        "a\u3164=1",
        "\u00abLycopodium\u00bb -1",
        "\u2019t Zand",
        "1\u20102",
    ],
)
def test_what_is_seen_before_a_sign_makes_it_no_formula(cell):
    assert safe_cell(cell) is cell or safe_cell(cell) == cell


def test_the_review_page_sees_what_is_not_seen_alike(tmp_path):
    """JavaScript reads characters beyond U+FFFF as two: its pattern is asked itself, where Node is there."""
    if not shutil.which("node"):
        pytest.skip("there is no Node to run the page's script")
    script = (ROOT / "workflow/sheetlens/review/review.js").read_text()
    start = script.index("const SIGN = ")
    own = script[start : script.index("async function saveCorrections")]
    cells = [*(f"{unseen}=1" for unseen in UNSEEN), *(f"a;{unseen}{unseen}+1" for unseen in UNSEEN), *PLAIN]
    (tmp_path / "cells.js").write_text(f"{own}\nconsole.log(JSON.stringify({json.dumps(cells)}.map(cell)));")
    said = subprocess.run(["node", tmp_path / "cells.js"], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == ['"' + safe_cell(cell).replace('"', '""') + '"' for cell in cells]


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
