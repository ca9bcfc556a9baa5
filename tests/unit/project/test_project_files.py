"""What others read of the project: catalog, citation, hooks, CI, and the placeholders that wait for people."""

import json
import re
import subprocess
import tomllib

import yaml

from sheetlens import __version__
from tests.conftest import ROOT

PLACEHOLDER = re.compile(r"\bMAINTAINER-[A-Z]+\b|github\.com/OWNER\b")
RELEASE = ROOT / "docs/contributing/release.md"


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def placeholders() -> dict[str, set[str]]:
    """The files that hold placeholders, but for the list of them and this test."""
    left = {}
    for name in tracked():
        path = ROOT / name
        if path in (RELEASE, ROOT / "tests/unit/project/test_project_files.py"):
            continue
        try:
            found = set(PLACEHOLDER.findall(path.read_text("utf-8")))
        except UnicodeDecodeError:
            continue
        if found:
            left[name] = {word.removeprefix("github.com/") for word in found}
    return left


def test_the_release_page_lists_every_placeholder_and_no_other():
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|$", RELEASE.read_text(), re.MULTILINE)
    listed: dict[str, set[str]] = {}
    for words, files in rows:
        for name in re.findall(r"`([^`]+)`", files):
            listed.setdefault(name, set()).update(re.findall(r"`([^`]+)`", words))
    assert listed == placeholders()


def test_a_released_version_has_no_placeholder():
    """0.1.0 was never published; from the next version on people's names must stand there."""
    released = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__, "the version and the newest one of CHANGELOG.md"
    assert released == ["0.1.0"] or not placeholders()


def test_citation_and_deposit_agree_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    deposit = json.loads((ROOT / ".zenodo.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == __version__
    assert citation["title"] == deposit["title"]
    assert citation["license"] == deposit["license"] == project["license"]
    assert citation["references"][0]["doi"] == deposit["related_identifiers"][0]["identifier"]


def test_the_catalog_finds_what_it_asks_for():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True and usage["report"] is True
    flag, config = usage["mandatory-flags"]["flags"].split()
    assert flag == "--configfile" and (ROOT / config).is_file()
    assert (ROOT / "config/README.md").is_file() and (ROOT / "Snakefile").is_file()


def test_the_public_ci_runs_the_same_script_as_any_machine():
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["run"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    assert "make docs" in (ROOT / ".ci/run").read_text()


def test_the_hooks_before_a_commit_are_commands_of_make_check():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    check = subprocess.run(["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True).stdout
    assert len(local["hooks"]) == 4
    for hook in local["hooks"]:
        assert re.search(rf"^{re.escape(hook['entry'].removeprefix('.venv/bin/'))}\b", check, re.MULTILINE), hook["id"]


def test_the_article_cites_what_it_lists():
    text = (ROOT / "paper.md").read_text()
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "paper.bib").read_text(), re.MULTILINE))
    assert set(re.findall(r"@(\w+)", text)) == keys
    for heading in ("# Summary", "# Statement of need", "# References"):
        assert f"\n{heading}\n" in text
