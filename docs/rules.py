"""Write the graph of the rules into docs/dvc.md, as Snakemake draws it: python docs/rules.py."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).with_name("dvc.md")
GRAPH = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


def graph() -> str:
    """The rules of the paper's study and which makes what another reads, in Mermaid's language."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["snakemake", "--snakefile", PAGE.parents[1] / "Snakefile", "--rulegraph", "mermaid-js"]
        words = [sys.executable, "-m", *map(str, command), "--directory", folder]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout  # noqa: S603
    lines = told[told.index("flowchart") :].rstrip().splitlines()
    names = dict(match.groups() for line in lines if (match := re.fullmatch(r"\s*(id\d+)\[(\w+)\]", line)))
    edges = sorted(re.sub(r"id\d+", lambda node: names[node[0]], line.strip()) for line in lines if "-->" in line)
    edges = [edge for edge in edges if not edge.endswith("--> all")]  # every one of them
    return "flowchart TB\n" + "".join(f"    {edge}\n" for edge in edges)


if __name__ == "__main__":
    PAGE.write_text(GRAPH.sub(lambda _: graph(), PAGE.read_text()))
