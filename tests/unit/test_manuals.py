"""Every command that the manuals show exists: its sub-commands, options, targets, profiles and config files."""

import re
import shlex
import subprocess
import sys

import click
import pytest

from sheetlens.cli import cli
from tests.conftest import ROOT

MANUALS = ["README.md", "config/README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
OURS = ("sheetlens", "snakemake", "make")
MADE = {"config/mine.yaml"}  # files that a reader is told to make


def commands(manual: str) -> list[str]:
    """Commands of ours in the fenced blocks and the `code` of a manual, without comments."""
    text = (ROOT / manual).read_text()
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += prose.split("`")[1::2]
    return [line.strip() for line in lines if line.split()[:1] and line.split()[0] in OURS and " " in line.strip()]


SHOWN = sorted({(manual, line) for manual in MANUALS for line in commands(manual)})


def test_the_manuals_show_commands():
    assert {line.split()[0] for _, line in SHOWN} == set(OURS)
    assert len(SHOWN) > 20


def check_sheetlens(words: list[str]) -> None:
    """Walk down the groups to the command and look up every option."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known | {"--help", "--version"}


def check_make(words: list[str]) -> None:
    """Every word is a target or a variable that the Makefile reads."""
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for line in re.findall(r"^([a-z][\w -]*):", makefile, re.MULTILINE) for name in line.split()}
    for word in words:
        name, assigned, _ = word.partition("=")
        assert (f"$({name}" in makefile) if assigned else (name in targets), word


def check_snakemake(words: list[str]) -> None:
    """Snakemake has the options, and the profiles and config files lie in the checkout."""
    options = subprocess.run([sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True).stdout
    known = set(re.findall(r"--[a-z][a-z-]+", options))
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known
    for word in words:
        if word.startswith(("config/", "profiles/")) and word not in MADE:
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize(("manual", "line"), SHOWN)
def test_a_command_exists(manual, line):
    program, *words = shlex.split(line, comments=True)
    {"sheetlens": check_sheetlens, "make": check_make, "snakemake": check_snakemake}[program](words)
