"""A rule depends on all that its module imports."""

import ast
from pathlib import Path

from sheetlens.workflow.sources import PACKAGE, _imported


def parsed(path: Path) -> set[str]:
    """What a module imports from the package, as Python's own parser reads it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("sheetlens."):
            inside = str(node.module).removeprefix("sheetlens").lstrip(".")
            names |= {inside, *(f"{inside}.{alias.name}".lstrip(".") for alias in node.names)}
        assert not isinstance(node, ast.Import) or not any(alias.name.startswith("sheetlens") for alias in node.names)
        assert not isinstance(node, ast.ImportFrom) or not node.level, "no relative imports"
    return names


def test_the_pattern_finds_every_import_of_the_package():
    paths = sorted(PACKAGE.rglob("*.py"))
    assert len(paths) > 200 and {path: set(_imported(path)) for path in paths} == {path: parsed(path) for path in paths}
