"""Draw docs/reference/rules.svg: the rules of the paper's study in their order, and which makes what another reads.

Part of `make schema`. The edges are Snakemake's, without those that follow from others; a rule stands below all that
it waits for.
"""

import re
import subprocess
import sys
import tempfile
from html import escape
from itertools import pairwise
from pathlib import Path

import networkx

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, ACROSS, DOWN = 128, 24, 144, 62  # pixels: of a box, and from one to the next
MOST = 5  # boxes in a row
SWEEPS = 12  # times that each row is put into the order of its neighbours
INK, LINE = "#222222", "#7a8a94"
COLOURS = {  # of the phases, by the first word of a rule's name
    "fetch": "#cfe3f1", "prepare": "#cfe3f1", "duplicates": "#e0ecd8", "split": "#e0ecd8", "features": "#fbe3c0",
    "train": "#fbe3c0", "evaluate": "#f3d3e2", "audit": "#f6d5c6", "figure": "#e3e3ee", "report": "#ececec",
    "document": "#ececec",
}  # fmt: skip


def edges() -> list[tuple[str, str]]:
    """The pairs of rules of which the second reads what the first makes, as Snakemake says, but for `all`."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "snakemake",
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--rulegraph",
            "mermaid-js",
            "--directory",
            folder,
        ]
        command = [sys.executable, "-m", *words]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    lines = [line.strip() for line in told[told.index("flowchart") :].splitlines()]
    names = dict(match.groups() for line in lines if (match := re.fullmatch(r"(id\d+)\[(\w+)\]", line)))
    pairs = [match.groups() for line in lines if (match := re.fullmatch(r"(id\d+) --> (id\d+)", line))]
    return sorted((names[one], names[two]) for one, two in pairs if names[two] != "all")


def draw(pairs: list[tuple[str, str]]) -> str:
    """The graph as SVG; the same edges give the same bytes."""
    graph = networkx.DiGraph(sorted(networkx.transitive_reduction(networkx.DiGraph(pairs)).edges))
    depth = {rule: number for number, rules in enumerate(_rows(graph)) for rule in rules}
    # A long edge gets a place in each row that it crosses, so that it runs beside the boxes.
    paths = {
        (one, two): [one, *((one, two, row) for row in range(depth[one] + 1, depth[two])), two]
        for one, two in graph.edges
    }
    rows: list[list] = [[] for _ in range(max(depth.values()) + 1)]
    for rule in sorted(depth):
        rows[depth[rule]].append(rule)
    for path in paths.values():
        for number, place in enumerate(path[1:-1], depth[path[0]] + 1):
            rows[number].append(place)
    _untangle(rows, list(paths.values()))
    at = _places(rows)
    width, height = max(x for x, _ in at.values()) + WIDTH / 2 + 12, DOWN * len(rows) - DOWN + HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}"'
        ' font-family="sans-serif" font-size="12">',
        "<title>The rules of the paper's study: each waits for those above it that it is joined to</title>",
        f'<rect width="{width:g}" height="{height}" fill="white"/>',
    ]
    parts += [_curve([at[place] for place in path]) for path in paths.values()]
    for rule in sorted(depth):
        x, y = at[rule]
        colour = COLOURS.get(rule.split("_")[0], "#ffffff")
        parts.append(
            f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="4"'
            f' fill="{colour}" stroke="{LINE}"/>'
            f'<text x="{x:g}" y="{y + 4:g}" fill="{INK}" text-anchor="middle">{escape(rule)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(graph: networkx.DiGraph) -> list[list[str]]:
    """The rules in rows, each below those that it waits for; a wide row becomes several."""
    rows = []
    for rules in map(sorted, networkx.topological_generations(graph)):
        parts = -(-len(rules) // MOST)
        rows += [rules[part::parts] for part in range(parts)]
    return rows


def _untangle(rows: list[list], paths: list[list]) -> None:
    """Put each row into the order of its neighbours, downwards and upwards in turn (the barycentre method)."""
    beside: dict = {}
    for path in paths:
        for one, two in pairwise(path):
            beside.setdefault((two, True), []).append(one)
            beside.setdefault((one, False), []).append(two)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        order = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for number in order:
            other = {place: at for at, place in enumerate(rows[number - 1 if down else number + 1])}
            own = {place: at for at, place in enumerate(rows[number])}

            def middle(place: object, other: dict = other, own: dict = own, down: bool = down) -> tuple[float, int]:
                near = [other[one] for one in beside.get((place, down), [])]
                return (sum(near) / len(near) if near else own[place], own[place])

            rows[number].sort(key=middle)


def _places(rows: list[list]) -> dict:
    """Middle of each box and crossing, in pixels; a crossing takes a sixth of the room."""
    found: dict = {}
    rooms = [[ACROSS if isinstance(place, str) else ACROSS / 6 for place in row] for row in rows]
    widest = max(map(sum, rooms))
    for number, (row, room) in enumerate(zip(rows, rooms, strict=True)):
        x = 12 + (widest - sum(room)) / 2
        for place, wide in zip(row, room, strict=True):
            found[place] = (x + wide / 2, 12 + HEIGHT / 2 + DOWN * number)
            x += wide
    return found


def _curve(points: list[tuple[float, float]]) -> str:
    """A line from the lower edge of the first box to the upper edge of the last."""
    (x, y), half = points[0], (DOWN - HEIGHT) / 2
    parts = [f"M{x:.1f} {y + HEIGHT / 2:.1f}"]
    y += HEIGHT / 2
    for number, (to_x, to_y) in enumerate(points[1:], 2):
        above = to_y - HEIGHT / 2
        parts.append(f"C{x:.1f} {y + half:.1f} {to_x:.1f} {above - half:.1f} {to_x:.1f} {above:.1f}")
        x, y = to_x, above
        if number < len(points):  # through a row of boxes
            y = to_y + HEIGHT / 2
            parts.append(f"L{x:.1f} {y:.1f}")
    return f'<path d="{" ".join(parts)}" fill="none" stroke="{LINE}" stroke-width="1.1"/>'


if __name__ == "__main__":
    (ROOT / "docs/reference/rules.svg").write_text(draw(edges()), encoding="utf-8")
