"""The page on the rooms says what the code says."""

import ast
import re
import runpy

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/contributing/architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "workflow/sheetlens"
ROWS = re.findall(r"^\| (\d+) ([^|]+) \| ([^|]+) \| `([^|`]+)` \|$", PAGE, re.MULTILINE)
LARGEST, MOST = 300, 12  # lines of a module; modules of a folder, beside its __init__


def places(text: str) -> list:
    """The files named in a cell or a sentence, in the package or beside it."""
    named = re.findall(r"`([\w./-]+\.(?:py|js|smk|yaml))`", text)
    return [next(path for path in (PACKAGE / name, ROOT / name) if path.is_file()) for name in named]


def test_the_picture_is_drawn_from_these_imports():
    draw = runpy.run_path(str(ROOT / "docs/rooms.py"))["draw"]
    assert (ROOT / "docs/contributing/rooms.svg").read_text(encoding="utf-8") == draw(), "run: make schema"


def test_every_rule_file_has_its_room():
    rooms = runpy.run_path(str(ROOT / "docs/rooms.py"))["rooms"]()
    files = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")} - {"common"}
    assert files <= set(rooms)
    included = re.findall(r'^include: "workflow/rules/(\w+)\.smk"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert sorted(included) == sorted([*files, "common"])


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_an_answer_is_where_the_page_says(row):
    *_, place, words = row
    found = places(place)
    assert found
    assert any(words in path.read_text(encoding="utf-8") for path in found)


def test_all_twenty_questions_are_answered_and_every_file_named_is_there():
    assert {int(number) for number, *_ in ROWS} == set(range(1, 21))
    assert len(places(PAGE)) > 30


def test_no_room_and_no_module_is_too_large():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    for folder in folders:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        limit = 1 if folder == PACKAGE else MOST  # at the root stands `__main__` alone
        assert len(modules) <= limit, f"{folder.relative_to(ROOT)}: {len(modules)} modules"
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))), (
            f"{folder} says nothing of itself"
        )
        for path in modules:
            lines = len(path.read_text("utf-8").splitlines())
            assert lines <= LARGEST, f"{path.relative_to(ROOT)} has {lines} lines"
