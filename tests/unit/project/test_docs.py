"""Every command that the documentation shows is one that its program takes."""

import json
import re
import runpy
import shlex
import shutil
import subprocess

import click
import pytest
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from snakemake.cli import get_argument_parser

from sheetlens.cli import cli
from sheetlens.statistics.intervals import upper_limit
from tests.shown_commands import BLOCK, ELSEWHERE, NOT_RUN, PAGES, ROOT, WALKED, commands_of, runner

PAPER = ROOT / "config/config.yaml"
YOURS = {"config/mine.yaml"}  # the reader writes it


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


RECIPES = [page for page in PAGES if "--config config/mine.yaml" in page.read_text() and page.name != "index.md"]


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_a_recipes_dry_run_says_who_would_be_asked(page, tmp_path):
    (config,) = [block for language, block in BLOCK.findall(page.read_text()) if language == "yaml"]
    (tmp_path / "mine.yaml").write_text(config)
    for name in ("ferns.csv", "services.csv"):
        (tmp_path / name).write_text(
            "accessURI,genus,service,family\nhttps://a.example/1,Dryopteris,https://a.example/1,x\n"
        )
    command = ["sheetlens", "fetch", "--dry-run", "--config", str(PAPER), "--config", "mine.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "mercury" not in ran.stdout


def test_every_command_shown_is_run_by_a_test_or_it_is_said_why_not():
    unknown = [
        f"{page.relative_to(ROOT)}: {' '.join(words)}"
        for page in PAGES
        for words in commands_of(page.read_text())
        if not runner(page.relative_to(ROOT).as_posix(), words)
    ]
    assert not unknown, "no test runs them: walk the page, name the test or the reason (tests/shown_commands.py)"


def test_what_is_said_to_run_a_command_does_and_nothing_is_said_of_none():
    shown = [" ".join(words) for page in PAGES for words in commands_of(page.read_text())]
    for pattern, (file, text) in ELSEWHERE.items():
        assert text in (ROOT / file).read_text(), f"{file} does not run {pattern}"
    for pattern in [*ELSEWHERE, *NOT_RUN]:
        assert any(re.fullmatch(pattern, command) for command in shown), f"no page shows {pattern}"
    assert all((ROOT / page).is_file() for page in WALKED)


def test_the_graph_of_the_rules_is_drawn_as_they_are():
    drawn = runpy.run_path(str(ROOT / "docs/rules.py"))
    assert (ROOT / "docs/reference/rules.svg").read_text() == drawn["draw"](drawn["edges"]()), "run: make schema"


@pytest.mark.parametrize("name", ["commands.md", "products.md", "rules.md", "api.md"])
def test_a_reference_page_says_what_the_code_says(name):
    write = runpy.run_path(str(ROOT / "docs/reference_pages.py"))["PAGES"][name]
    assert (ROOT / "docs/reference" / name).read_text(encoding="utf-8") == write(), "run: make schema"


def test_every_command_of_the_command_line_is_for_people_or_called_by_a_rule():
    people = runpy.run_path(str(ROOT / "docs/reference_pages.py"))["FOR_PEOPLE"]
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for name in cli.commands:
        assert name in people or re.search(rf"-m sheetlens {name}\b", rules), name


def test_the_site_is_built_without_a_warning(tmp_path):
    built = subprocess.run(
        ["mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 25
    for page in pages:  # nothing comes from elsewhere when it is read
        text = page.read_text()
        assert not re.search(r"<(?:script|img|link)[^>]+(?:src|href)=\"https?:", text), page.name
        assert 'class="arithmatex"' not in text, f"{page.name}: a formula was left as it is"


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs/index.md").open("a") as page:
        page.write("[one](tutorials/demo.md#nowhere)\n")
    built = subprocess.run(["mkdocs", "build"], cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode != 0 and "nowhere" in built.stderr


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for name in ("README.md", "CONTRIBUTING.md", "config/README.md", "SECURITY.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text()):
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"


def test_the_files_that_the_results_name_are_there():
    named = set(re.findall(r"\b(?:tests|benchmarks)/[\w/]+\.\w+", (ROOT / "benchmarks/RESULTS.md").read_text()))
    assert len(named) > 10 and not {name for name in named if not (ROOT / name).exists()}


def test_the_numbers_of_sheets_needed_are_those_of_the_formula():
    page = (ROOT / "docs/explanation/guarantees.md").read_text()
    rows = re.findall(r"^\| (\d+) % \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for rate, *counts in rows:
        for errors, count in enumerate(map(int, counts)):
            assert upper_limit(errors, count, 0.95) <= int(rate) / 100 < upper_limit(errors, count - 1, 0.95)


def test_the_pictures_of_the_gallery_are_of_the_pages_as_they_are():
    gallery = runpy.run_path(str(ROOT / "docs/gallery.py"))
    taken = json.loads((ROOT / "docs/gallery/sources.json").read_text())
    stale = [name for name, digest in gallery["sources"]().items() if taken.get(name) != digest]
    assert not stale, f"{', '.join(stale)} look otherwise now; run: make demo, then python docs/gallery.py results"
    pictures = {path.stem for path in (ROOT / "docs/gallery").glob("*.jpg")}
    assert pictures | set(gallery["FIGURES"]) == set(taken)
    assert all((ROOT / "docs" / file).is_file() for file, _ in gallery["FIGURES"].values())


def test_the_pictures_of_the_labelling_are_of_the_page_as_it_is():
    taken = (ROOT / "docs/how-to/label.sha256").read_text().strip()
    assert runpy.run_path(str(ROOT / "docs/pictures.py"))["page_hash"]() == taken, "run: python -m docs.pictures"


ASKED = (  # by a newcomer: each is answered on one page, a click from README, with a link to more
    "How do I use my CSV?",
    "What does coverage mean?",
    "How many sheets do I need?",
    "Can I trust 94 %?",
    "How do I add a class?",
    "Where are the probabilities?",
    "How do I run on Slurm?",
    "How do I cite?",
    "What leaves my machine?",
    "How do I add an audit?",
)


def test_ten_questions_are_answered_within_two_clicks():
    assert "(docs/questions.md)" in (ROOT / "README.md").read_text()
    page = ROOT / "docs/questions.md"
    heads = re.split(r"^## (.*)$", page.read_text(), flags=re.MULTILINE)
    answers = dict(zip(heads[1::2], heads[2::2], strict=True))
    assert tuple(answers) == ASKED
    for question, answer in answers.items():
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", answer)
        assert links and all((page.parent / link).is_file() for link in links), question
