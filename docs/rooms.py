"""Draw docs/contributing/rooms.svg from the code: the rooms in their order, what each is for, which others it uses.

Part of `make schema`. The order is that of the import contract in pyproject.toml, the sentences are the docstrings
of the rooms, the dots are the imports.
"""

import ast
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
LINE, NAME, SENTENCE, CELL = 24, 100, 620, 17  # pixels: height of a row, widths of the columns
HEAD = 92  # pixels above the first row, for the names that stand upright
INK, PALE, DOT = "#222222", "#eef2f5", "#0072B2"


def rooms() -> list[str]:
    """The rooms from the top down."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    return list(next(contract["layers"] for contract in contracts if contract["type"] == "layers"))


def sentence(room: str) -> str:
    """What a room is for: the first sentence of its docstring."""
    module = ROOT / "workflow/sheetlens" / room / "__init__.py"
    return (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "").split("\n")[0]


def imports() -> set[tuple[str, str]]:
    """The pairs of rooms of which a module of the first imports from the second."""
    graph = grimp.build_graph("sheetlens", cache_dir=None)
    return {
        (module.split(".")[1], other.split(".")[1])
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
        if "." in module and "." in other
    }


def draw() -> str:
    """The picture as SVG; the same code gives the same bytes."""
    names, pairs = rooms(), imports()
    left = NAME + SENTENCE
    width, height = left + CELL * len(names) + 20, HEAD + LINE * len(names) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        "<title>The rooms of Sheetlens: each imports only from those below it</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, name in enumerate(names):
        x, y = left + CELL * place + CELL / 2, HEAD + LINE * place
        if place % 2 == 0:
            parts.append(f'<rect x="0" y="{y}" width="{width}" height="{LINE}" fill="{PALE}"/>')
        parts.append(_text(10, y + 16, name, "bold"))
        parts.append(_text(NAME, y + 16, sentence(name)))
        parts.append(f'<g transform="translate({x + 4} {HEAD - 8}) rotate(-90)">{_text(0, 0, name)}</g>')
        parts.append(f'<rect x="{x - 5}" y="{y + 7}" width="10" height="10" fill="{INK}" opacity="0.25"/>')
    for one, two in sorted(pairs):
        if one in names and two in names and one != two:
            x, y = left + CELL * names.index(two) + CELL / 2, HEAD + LINE * names.index(one) + LINE / 2
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{DOT}"><title>{one} uses {two}</title></circle>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" fill="{INK}" font-weight="{weight}">{escape(text)}</text>'


if __name__ == "__main__":
    (ROOT / "docs/contributing/rooms.svg").write_text(draw(), encoding="utf-8")
