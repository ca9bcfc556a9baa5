"""The examples of docs/contributing/adding.md are done in a copy of the project, and work there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/contributing/adding.md").read_text(encoding="utf-8")
FILES = {"A figure": 2, "An audit": 3, "A source": 4, "A config key": 1}  # that each takes


def sections() -> dict[str, str]:
    heads = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return dict(zip(heads[1::2], heads[2::2], strict=True))


def changes(section: str) -> tuple[dict[str, str], list[str]]:
    """The new files of a section by path, and its patches."""
    blocks = re.findall(r"^```(python|diff)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    new = [block.split("\n", 1) for kind, block in blocks if kind == "python"]
    return {path.removeprefix("# "): text for path, text in new}, [block for kind, block in blocks if kind == "diff"]


def run(folder: Path, *command: str) -> str:
    surroundings = os.environ | {"PYTHONPATH": str(folder / "workflow"), "PYTHONDONTWRITEBYTECODE": "1"}
    surroundings["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The project with everything added that the page adds, and `make schema` done."""
    folder = tmp_path_factory.mktemp("project")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\n")
    if len(tracked) < 2:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    run(folder, "git", "init", "--quiet")
    for title, section in sections().items():
        new, patches = changes(section)
        for path, text in new.items():
            assert not (folder / path).exists(), f"{title}: {path} is there already"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        for patch in patches:
            (folder / "patch").write_text(patch)
            run(folder, "git", "apply", "--recount", "--unidiff-zero", "patch")
            (folder / "patch").unlink()
    run(folder, sys.executable, "-m", "sheetlens.config")
    return folder


@pytest.mark.parametrize("title", FILES)
def test_it_takes_as_many_files_as_promised(title):
    new, patches = changes(sections()[title])
    changed = {name for patch in patches for name in re.findall(r"^\+\+\+ b/(.*)$", patch, re.MULTILINE)}
    assert len({*new, *changed}) == FILES[title]
    assert f"| {FILES[title]}" in PAGE.split(f"[{title.lower()}](")[1].split("\n")[0]


def test_the_rules_make_what_was_added(project):
    told = run(
        project, "snakemake", "--dry-run", "--printshellcmds", "--configfile", "config/demo.yaml", "--cores", "1"
    )
    for rule in ("audit_balance", "census_count"):
        assert re.search(rf"^{rule} +2$", told, re.MULTILINE)
    assert "--figure history --figure balance --folder results/mercury/figures" in told
    assert "results/mercury/audits/balance.json" in told
    assert '"columns"' in (project / "config/schema.json").read_text()
    assert "| `columns` | Sheets in a row of Figure 1. | integer, at least 1, at most 12 | `4` |" in (
        project / "docs/reference/keys.md"
    ).read_text(encoding="utf-8")


def test_the_command_line_does_what_was_added(project, tmp_path):
    index = tmp_path / "index.parquet"
    pd.DataFrame({"image_id": list("abcde"), "label": [*["fern"] * 4, "moss"]}).to_parquet(index)
    told = run(
        project, sys.executable, "-m", "sheetlens",
        "audit", "find", "balance", "--input", "index", str(index), "--output", str(tmp_path / "balance.json"),
    )  # fmt: skip
    assert "note. Class 'fern' has 4 sheets, class 'moss' 1." in told
    run(
        project, sys.executable, "-m", "sheetlens", "census", "--index", str(index), "--output", str(tmp_path / "c.csv")
    )
    assert (tmp_path / "c.csv").read_text().split() == ["label,sheets", "fern,4", "moss,1"]
    (project / "museum.yaml").write_text(
        "run: [ferns]\ndatasets: {ferns: {title: F, source: museum, museum: {collection: ferns}, network: table1}}\n"
    )
    told = run(
        project, sys.executable, "-m", "sheetlens",
        "fetch", "--dry-run", "--config", "config/config.yaml", "--config", "museum.yaml",
    )  # fmt: skip
    assert "host museum.example.org: at most 1 requests a second" in told


@pytest.mark.long
def test_its_own_tests_and_those_of_all_figures_pass(project):
    names = ("fetch/test_museum.py", "figure/test_catalogue.py", "config/test_config.py")
    tests = [f"tests/unit/{name}" for name in names]
    chosen = ["-k", "both_pages or balance or committed or reference"]
    assert "5 passed" in run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *chosen)


def test_what_was_added_meets_the_checks(project):
    run(project, "ruff", "check", "--quiet", "workflow", "tests/services/museum.py", "tests/unit/fetch/test_museum.py")
    run(project, "lint-imports")
    run(project, "snakefmt", "--check", "Snakefile", "workflow/rules/census.smk", "workflow/rules/audit.smk")
