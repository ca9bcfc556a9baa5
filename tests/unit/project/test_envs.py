"""The environments carry the lock's versions, and all that their rules import."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml

from sheetlens.config import SOURCES
from sheetlens.figure import catalogue
from tests.conftest import ROOT

DISTRIBUTIONS = packages_distributions()  # a second of work each time
LOCK = (ROOT / "requirements.lock").read_text()
PINS = {line.split()[0] for line in LOCK.splitlines() if "==" in line}
OPTIONAL = {"rawpy", "timm", "huggingface_hub"}  # looked for where they are needed, and asked for in a sentence
RULES = {path: path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")}


def pins(environment: str) -> set[str]:
    (pip,) = [part["pip"] for part in read(environment)["dependencies"] if isinstance(part, dict)]
    return set(pip)


def read(environment: str) -> dict:
    return yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())


@pytest.mark.parametrize("environment", ["data", "evidence", "torch", "figures"])
def test_versions_are_the_locks(environment):
    assert {pin.split()[0] for pin in pins(environment)} <= PINS, "run: make lock"


@pytest.mark.parametrize("environment", ["data", "evidence", "torch", "figures"])
def test_the_form_is_one_that_every_conda_reads(environment):
    """conda 26.7 ended with `nodefaults` (it is looked for as a channel); Snakemake wants conda-forge to come first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python, pip, wheels = read(environment)["dependencies"]
    assert read(environment).keys() == {"channels", "dependencies"}
    assert read(environment)["channels"] == ["conda-forge"]
    assert (python, pip, list(wheels)) == (f"python {project['requires-python']}", "pip", ["pip"])


def test_the_licence_of_every_locked_package_is_listed():
    rows = [line.split("\t") for line in (ROOT / "envs/licences.tsv").read_text().splitlines()[1:]]
    assert {f"{name}=={version}" for name, version, _ in rows} == PINS, "run: make lock"
    assert all(licence for *_, licence in rows)


def test_every_rule_that_computes_names_an_environment():
    used = set()
    for path, text in RULES.items():
        rules = re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.DOTALL | re.MULTILINE)
        for name, body in rules:
            found = re.search(r'conda:\s+"../../envs/(\w+).yaml"', body)
            assert found, f"{path.name}: {name}"
            used.add(found[1])
            for directive in ("log:", "benchmark:", "message:", "shell:"):
                assert directive in body, f"{path.name}: {name} has no {directive}"
    assert used == {"data", "evidence", "torch", "figures"}


def imports(module: str, seen: set[str]) -> set[str]:
    """Distributions that a module of the package needs, with what it imports of the package."""
    path = ROOT / "workflow/sheetlens" / module.replace(".", "/")
    path = next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)
    if path is None or module in seen:
        return set()
    seen.add(module)
    needed = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sheetlens"):
            inside = node.module.removeprefix("sheetlens").lstrip(".")
            for name in (inside, *(f"{inside}.{alias.name}".lstrip(".") for alias in node.names)):
                needed |= imports(name, seen)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            tops = {name.split(".")[0] for name in names if name} - set(sys.stdlib_module_names)
            needed |= {DISTRIBUTIONS.get(top, [top])[0].lower() for top in tops}
    return needed


def modules_of_rules(environment: str) -> set[str]:
    """The modules that the rules of an environment declare."""
    found = set()
    for text in RULES.values():
        for body in re.split(r"^rule ", text, flags=re.MULTILINE)[1:]:
            if f"envs/{environment}.yaml" in body:
                found |= set(re.findall(r'"(\w+(?:\.\w+)+)"', " ".join(re.findall(r"modules=modules\(([^)]*)", body))))
                for group in re.findall(r'catalogue\.modules\("(\w+)"', body):
                    found |= set(catalogue.modules(group))
                if "modules=source_modules" in body:
                    found |= {"fetch.remote", *(f"fetch.sources.{name}" for name in SOURCES)}
    return found


@pytest.mark.parametrize("environment", ["data", "evidence", "torch", "figures"])
def test_an_environment_has_what_its_rules_import(environment):
    seen: set[str] = set()
    modules = modules_of_rules(environment)
    assert len(modules) > 2
    # Every command goes through the first three.
    needed = {"click"} | set().union(
        *(imports(name, seen) for name in ["config", "common.progress", "common.files", *modules])
    )
    assert modules <= seen, "a rule names a module that is not there"
    have = {pin.split("==")[0] for pin in pins(environment)}
    assert needed - OPTIONAL <= have
