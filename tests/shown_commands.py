"""The commands that the documentation shows, and what runs each of them.

WALKED pages are executed line by line (tests/workflow/test_pages.py). Other commands are in ELSEWHERE, with the test
or script that runs them and a text by which they are found there, or in NOT_RUN, with the reason.
"""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
WALKED = (  # in this order, in one folder: later pages need what earlier ones make
    "docs/how-to/own-photographs.md",
    "docs/how-to/predict.md",
    "docs/how-to/explain.md",
    "docs/how-to/correct-labels.md",
    "docs/how-to/share-a-model.md",
    "docs/how-to/hotspots.md",
    "docs/how-to/spreadsheet.md",
)
ELSEWHERE = {  # command, as a regular expression -> file, text in it
    r"make demo": ("tests/newcomer.sh", "make demo"),
    r"make test|make check": (".ci/run", "make test"),
    r"make own SHEETS=.* LABELS=.*": ("tests/newcomer.sh", "make own SHEETS=photographs LABELS=labels/labels.csv"),
    r"make own SHEETS=\S*": ("tests/newcomer.sh", 'make own SHEETS="$photographs"'),
    r"make \.venv/installed|\. \.venv/bin/activate": ("tests/newcomer.sh", ". .venv/bin/activate"),
    r"sheetlens label photographs .*": ("tests/newcomer.sh", "sheetlens label photographs"),
    r"sheetlens predict results/own/models/features/grouped-1 .*": ("tests/newcomer.sh", "sheetlens predict"),
    r"sheetlens hotspots .*": ("tests/newcomer.sh", "sheetlens hotspots"),
    r"sheetlens sample .*": ("tests/unit/assess/test_assess.py", 'sheetlens("sample"'),
    r"sheetlens assess .*": ("tests/unit/assess/test_assess.py", 'sheetlens("assess"'),
    r"sheetlens review answers --sheets .*": ("tests/browser/test_review.py", '"--sheets"'),
    r"sheetlens annotate flags .* --measurements .*": ("tests/unit/hotspots/test_measurements.py", "measurements"),
    r"sheetlens check": ("tests/newcomer.sh", "sheetlens check"),
    r"sheetlens fetch --dry-run": ("tests/unit/project/test_docs.py", '"fetch", "--dry-run"'),
    r"sheetlens fetch --dry-run --config .*": ("tests/unit/project/test_docs.py", "mine.yaml"),
    r"snakemake --cores all --configfile config/mine\.yaml": ("tests/unit/fetch/test_recipes.py", "RECIPES"),
    r"snakemake --cores all --configfile config/demo\.yaml": ("Makefile", "$(SNAKEMAKE) --configfile config/demo.yaml"),
    r"snakemake --cores all --configfile config/own\.yaml": ("Makefile", "$(SNAKEMAKE) --configfile config/own.yaml"),
    r"snakemake --cores all --configfile config/audits\.yaml": ("tests/workflow/test_audits.py", "config/audits.yaml"),
    r"snakemake --cores all explore --configfile .*": ("tests/workflow/test_explore.py", '"explore"'),
    r"snakemake --cores all --config .*": ("tests/rules/test_rules.py", '"--config"'),
    r"snakemake --dry-run": ("Makefile", "snakemake --dry-run"),
    r"snakemake --configfile config/demo\.yaml --report report\.zip": ("tests/workflow/test_tiny.py", '"report.zip"'),
    r"dvc remote add .*": ("tests/workflow/test_versions.py", '"remote", "add", "--default", "store"'),
    r"dvc repro": ("tests/workflow/test_versions.py", '"dvc", "repro"'),
    r"make push": ("tests/workflow/test_versions.py", 'sheetlens("push"'),
    r"make pull": ("tests/workflow/test_versions.py", 'sheetlens("pull"'),
    r"make stale": ("tests/workflow/test_versions.py", 'sheetlens("stale"'),
    r"dvc metrics show": ("tests/workflow/test_versions.py", '"dvc", "metrics", "show"'),
    r"dvc plots show": ("tests/workflow/test_versions.py", '"dvc", "plots", "show"'),
    r"\S*python3? -m benchmarks\.gpu --rehearse": ("tests/unit/project/test_gpu_run.py", "--rehearse"),
    r"make gpu-kit .*": ("tests/unit/project/test_gpu_run.py", "kit."),
    r".* -m benchmarks\.gpu .*": ("tests/unit/project/test_gpu_run.py", "command.arguments()"),
}
NOT_RUN = {  # command, as a regular expression -> why no test runs it
    r"make paper .*|snakemake --cores all( --use-conda)?|snakemake --cores 1 --until .*": "34,000"
    " images of real servers; the rules run on stand-ins, with conda on the demo (test_environments.py)",
    r"kubectl .*": "there is no cluster; a stand-in of the interface is (tests/cluster/test_kubernetes.py)",
    r"(docker|apptainer) build .*": "neither can be had where tests run; the recipes are checked (test_container.py)",
    r"dvc exp run .*": "trains the demo; a line is changed by hand in tests/workflow/test_versions.py",
    r"pre-commit install": "writes into .git; its hooks are commands of make check (test_project_files.py)",
    r"python3 -m pip install .* --target .gpu-kit/site .*": "for the machine with the GPU",
}


def commands_of(text: str):
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


def inside(words: list[str]) -> list[str]:
    images = [at for at, word in enumerate(words) if word in {"sheetlens", "sheetlens.sif"}]
    runs = words[:2] in (["docker", "run"], ["apptainer", "exec"])
    return words[images[0] + 1 :] if runs else words


def runner(page: str, words: list[str]) -> str:
    """What runs a command of a page: the walk, a test or script, or why nothing does; "" where that is not said."""
    shown = " ".join(words)
    if page in WALKED:
        return "tests/workflow/test_pages.py"
    for pattern, (file, _) in ELSEWHERE.items():
        if re.fullmatch(pattern, shown):
            return file
    return next((why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, shown)), "")
