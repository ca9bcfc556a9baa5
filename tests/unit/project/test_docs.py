"""Every command that the documentation shows is one that its program takes."""

import re
import runpy
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from snakemake.cli import get_argument_parser

from sheetlens.cli import cli

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "config/README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
YOURS = {"config/mine.yaml"}  # the reader writes it


def commands_of(text):
    """The commands of a page's shell blocks, as lists of words; of a container, the command that it runs."""
    for language, block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines() if language in {"", "shell", "sh"} else []:
            lexer = shlex.shlex(line, posix=True, punctuation_chars=";")
            lexer.whitespace_split = True
            words = list(lexer)
            while words:
                end = words.index(";") if ";" in words else len(words)
                yield inside(words[:end])
                words = words[end + 1 :]


def inside(words):
    images = [at for at, word in enumerate(words) if word in {"sheetlens", "sheetlens.sif"}]
    runs = words[:2] in (["docker", "run"], ["apptainer", "exec"])
    return words[images[0] + 1 :] if runs else words


def check_sheetlens(words):
    """Raise what click says of a wrong command, option or value, or of a missing one; files need not be there."""
    command, context = cli, click.Context(cli, info_name="sheetlens")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        command, context = found, click.Context(found, parent=context, info_name=name)
    given, _, _ = command.make_parser(context).parse_args(list(words))
    for parameter in command.params:
        value = given.get(parameter.name)
        if isinstance(value, (str, tuple, list)) and value and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)
        elif parameter.required and not value:
            raise click.MissingParameter(ctx=context, param=parameter)


def check_snakemake(words):
    given = get_argument_parser().parse_args(words)
    for file in [*(given.configfile or []), *([given.profile] if given.profile else [])]:
        assert str(file) in YOURS or (ROOT / file).exists(), f"{file} does not exist"


def check_make(words):
    subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)


def check_dvc(words):
    get_main_parser().parse_args(words)


CHECKS = {"sheetlens": check_sheetlens, "snakemake": check_snakemake, "make": check_make, "dvc": check_dvc}
SHOWN = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)[:60]}")
    for page in PAGES
    for words in commands_of(page.read_text())
    if words[0] in CHECKS
]


@pytest.mark.parametrize("words", SHOWN)
def test_a_command_shown_is_one_its_program_takes(words):
    CHECKS[words[0]](words[1:])


def test_commands_are_found():
    assert {param.values[0][0] for param in SHOWN} == set(CHECKS)
    assert len(SHOWN) > 20


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("sheetlens predicts a b", click.UsageError),
        ("sheetlens predict a b --outputs c", click.NoSuchOption),
        ("sheetlens predict a b --risk much --output c", click.BadParameter),
        ("sheetlens predict a b", click.MissingParameter),
        ("snakemake --coers all", SystemExit),
        ("snakemake --configfile config/gone.yaml", AssertionError),
        ("make gone", subprocess.CalledProcessError),
        ("dvc rebro", DvcParserError),
    ],
)
def test_a_wrong_command_is_told(line, error):
    program, *words = shlex.split(line)
    with pytest.raises(error):
        CHECKS[program](words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_are_there_small_and_described(page):
    for words, name in re.findall(r"!\[([^\]]*)\]\((?!http)([^)]+)\)", page.read_text()):
        assert len(words) > 10, name
        assert (page.parent / name).stat().st_size < 400_000, name


def test_the_fetch_dry_run_needs_no_network():
    ran = subprocess.run(["sheetlens", "fetch", "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_graph_of_the_rules_is_drawn_as_they_are():
    drawn = runpy.run_path(str(ROOT / "docs/rules.py"))
    assert drawn["GRAPH"].search((ROOT / "docs/dvc.md").read_text())[0] == drawn["graph"](), "run: python docs/rules.py"
