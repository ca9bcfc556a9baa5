"""Write the pages of docs/reference/ that say what the code says: commands, products, rules, Python API.

Part of `make schema`; a test compares the pages with what this writes. `keys.md` comes from the config's models.
"""

import ast
import re
from pathlib import Path

import click
import yaml

from sheetlens.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workflow/sheetlens"
WRITTEN = "<!-- Written by `make schema` (docs/reference_pages.py): do not edit. -->\n"
FOR_PEOPLE = (  # the commands that a person types, in the order in which they are met; the rules call the others
    "label", "fetch", "predict", "review", "sample", "assess", "explain", "hotspots", "annotate", "export", "embed",
    "similar", "extract-records", "check", "pull", "push", "stale",
)  # fmt: skip
API = {  # what a notebook needs: heading -> names by module
    "Read products": {
        "common/files.py": ["read_table", "read_json"],
        "prepare/image_set.py": ["open_image_set"],
        "evaluate/results.py": ["read_outcome", "read_tested"],
        "config/__init__.py": ["read_files"],
    },
    "Use a model": {
        "predict/classifier.py": ["Classifier", "Classifier.read", "Classifier.threshold"],
        "features/extraction.py": ["FeatureReader", "FeatureReader.read"],
        "features/head.py": ["fit_head"],
    },
    "Accuracy and its interval": {
        "statistics/clusters.py": ["effective_size", "one_of_each"],
        "statistics/intervals.py": ["wilson_interval", "clustered_interval", "upper_limit"],
        "statistics/comparisons.py": ["mcnemar", "overlapping_interval"],
    },
    "Confidence and guarantees": {
        "statistics/calibration.py": ["fit_temperature", "scale", "calibration_error"],
        "statistics/selective.py": ["risks", "guaranteed_thresholds", "floor_threshold", "at_threshold"],
    },
    "Prevalence": {
        "statistics/prevalence.py": ["predictive_values", "corrected_prevalence", "adjust_prior"],
        "statistics/hierarchical_prevalence.py": ["fit_shares", "Shares.mean", "Shares.interval"],
    },
}
EXAMPLE = """```python
from pathlib import Path

from sheetlens.common.files import read_table
from sheetlens.statistics.clusters import effective_size
from sheetlens.statistics.intervals import clustered_interval

model = Path("results/mercury/models/table1/random-1")
table = read_table(model / "predictions.parquet").query("part == 'test'")
probabilities = table.filter(like="probability_")
predicted = probabilities.idxmax(axis=1).str.removeprefix("probability_")
right = (predicted == table["label"]).to_numpy()
size = effective_size(right, table["group"].astype("category").cat.codes.to_numpy())
low, high = clustered_interval(right.mean(), size, 0.95)
print(f"accuracy {right.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")
```
"""


def commands() -> str:
    """The page of the commands, from the command line itself."""
    lines = [WRITTEN, "# Commands\n", "`sheetlens COMMAND --help` says the same. Exit status 0: all went well; 1: an"]
    lines += ["error, told in one sentence; 2: a wrong option.\n"]
    by_name = {command.name: command for command in COMMANDS}
    rest = [name for name in by_name if name not in FOR_PEOPLE]
    for heading, names in (("Commands that you type", FOR_PEOPLE), ("Commands that the rules call", rest)):
        lines += [f"## {heading}\n"]
        for name in names:
            lines += _command(by_name[name], f"sheetlens {name}", 3)
    return "\n".join(lines).rstrip() + "\n"


def _command(command: click.Command, name: str, level: int) -> list[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"{'#' * level} {name.removeprefix('sheetlens ')}\n", f"```text\n{name} {usage}\n```\n"]
    lines += [" ".join(paragraph.split()) + "\n" for paragraph in (command.help or "").split("\n\n")]
    if isinstance(command, click.Group):
        for below in command.commands.values():
            lines += _command(below, f"{name} {below.name}", level + 1)
        return lines
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        lines += ["| option | what it is | default |", "|---|---|---|"]
        lines += [_option(option) for option in options] + [""]
    return lines


def _option(option: click.Option) -> str:
    kind = "" if option.is_flag else f" {option.make_metavar(click.Context(cli))}"
    default = option.default if isinstance(option.show_default, bool) else option.show_default
    given = (
        []
        if default in (None, (), "", "{}") or default is False or not isinstance(default, (str, int, float))
        else [default]
    )
    shown = "required" if option.required else f"`{given[0]}`" if given and option.show_default else ""
    name = option.opts[-1] + kind
    return f"| `{name.replace('|', chr(92) + '|')}` | {(option.help or '').replace('|', chr(92) + '|')} | {shown} |"


def products() -> str:
    """The page of inputs, wildcards and products, from INTERFACE.yaml."""
    known = yaml.safe_load((ROOT / "INTERFACE.yaml").read_text("utf-8"))
    lines = [
        WRITTEN,
        "# Inputs, products, wildcards\n",
        "From `INTERFACE.yaml`. A test compares it with the products of a run.\n",
    ]
    lines += ["## Inputs\n", "| input | what it is |", "|---|---|"]
    lines += [f"| `{one['path']}` | {one['about']} |" for one in known["inputs"]]
    lines += ["\n## Wildcards\n", "| wildcard | what it is |", "|---|---|"]
    lines += [f"| `{{{name}}}` | {about} |" for name, about in known["wildcards"].items()]
    lines += ["\n## Products\n", "| product | what it is |", "|---|---|"]
    for one in known["products"]:
        title = f"[{one['title']}](#{_anchor(one['title'])})" if "columns" in one else one["title"]
        only = f" (only with {one['when']})" if one.get("when", "").startswith("`") else ""
        only = only or (f" (only where {one['when']})" if "when" in one else "")
        lines.append(f"| `{one['path']}` | {title}: {one['about']}{only} |")
    lines += ["\n## Columns\n"]
    for one in known["products"]:
        if "columns" in one:
            lines += [
                f"### {one['title']}\n",
                f"`{one['path']}`: {one['about']}.\n",
                "| column | what it is |",
                "|---|---|",
            ]
            lines += [f"| `{name}` | {about} |" for name, about in one["columns"].items()]
            lines += [f"\nAlso {one['extra']}.\n" if "extra" in one else ""]
    return "\n".join(lines).rstrip() + "\n"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def rules() -> str:
    """The page of the rules: the picture, and what each does, from the rule files."""
    lines = [
        WRITTEN,
        "# Graph of the rules\n",
        "[![Each rule stands below those whose products it reads](rules.svg)](rules.svg)\n",
    ]
    lines += ["*The rules of the paper's study, without edges that follow from others. Drawn by `docs/rules.py`.*\n"]
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        found = re.findall(r'^rule (\w+):\n    """(.*?)"""', path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        if found:
            lines += [f"## {path.stem}\n", "| rule | what it does |", "|---|---|"]
            lines += [f"| `{name}` | {' '.join(about.split())} |" for name, about in found] + [""]
    return "\n".join(lines).rstrip() + "\n"


def api() -> str:
    """The page of the functions that a notebook needs, from their signatures and docstrings."""
    lines = [
        WRITTEN,
        "# Python API\n",
        "What a notebook needs. Everything else is internal and may change in any version.\n",
    ]
    lines += ["Run the notebook with the Python of `.venv`, in the project's folder. For example:\n", EXAMPLE]
    for heading, modules in API.items():
        lines += [f"## {heading}\n"]
        for module, names in modules.items():
            for name in names:
                lines += _function(module, name)
    return "\n".join(lines).rstrip() + "\n"


def _function(module: str, name: str) -> list[str]:
    node = ast.parse((PACKAGE / module).read_text("utf-8"))
    for part in name.split("."):
        node = next(one for one in node.body if getattr(one, "name", "") == part)
    dotted = "sheetlens." + module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    signature = ""
    if isinstance(node, ast.FunctionDef):
        node.args.args = [one for one in node.args.args if one.arg != "self"]
        signature = f"({ast.unparse(node.args)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    said = (ast.get_docstring(node) or "").strip()
    return [f"### {dotted}.{name}\n", f"```python\n{name}{signature}\n```\n", said + "\n"]


PAGES = {"commands.md": commands, "products.md": products, "rules.md": rules, "api.md": api}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (ROOT / "docs/reference" / name).write_text(write(), encoding="utf-8")
