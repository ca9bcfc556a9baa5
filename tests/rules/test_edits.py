"""What an edit of one line makes due: exactly the jobs that compute with it, and none after a change of wording.

The package is copied and a study of it laid down as finished: empty products that Snakemake takes as its own, since
it judges by times, contents and what it noted down. Then one line is edited, and a dry run says what is due.
"""

import io
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from tests.conftest import ROOT

STUDY = {
    "datasets": {"mercury": {"demo": {"sheets": 24}}, "lycophytes": {"demo": {"sheets": 24}}},
    "split": {"protocols": ["random", "grouped"], "seeds": [1]},
    "explore": {"mercury": ["features"]},
    "predict": {
        "jobs": 1,
        "collections": {
            "cabinets": {
                "input": "photographs",
                "dataset": "mercury",
                "hotspots": {
                    "records": [{"path": "kept.csv", "barcode": "barcode", "columns": {"storageLocation": "cabinet"}}]
                },
            }
        },
    },
}


FIGURES = "figure_dataset figure_study figure_audits figure_uncertainty explore_draw"
PAGES = (
    "report_quality report_write document_pages predict_hotspots"  # each takes all templates, which extend one another
)


class House:
    """A copy of the package, and beside it a study that it finished."""

    def __init__(self, folder):
        self.house, self.work = folder / "house", folder / "work"
        parts = ["Snakefile", "workflow", "config", "envs", "profiles", "pyproject.toml", "requirements.lock"]
        files = subprocess.run(["git", "-C", ROOT, "ls-files", *parts], capture_output=True, text=True, check=True)
        for name in files.stdout.split():
            (self.house / name).parent.mkdir(parents=True, exist_ok=True)
            (self.house / name).write_bytes((ROOT / name).read_bytes())
        (self.work / "photographs").mkdir(parents=True)
        (self.work / "photographs/1.jpg").touch()
        (self.work / "kept.csv").write_text("barcode,cabinet\n1,C\n")
        (self.work / "study.yaml").write_text(yaml.safe_dump(STUDY))
        for name in pd.read_csv(io.StringIO(self.run("--summary")), sep="\t")["output_file"]:
            product = self.work / name
            is_folder = not product.suffix
            (product if is_folder else product.parent).mkdir(parents=True, exist_ok=True)
            (product / "file" if is_folder else product).touch()
        self.run("--touch", "--forceall")

    def run(self, *arguments):
        """What Snakemake says on its output, errors and all if it fails."""
        words = [sys.executable, "-m", "snakemake", "all", "explore", "--snakefile", self.house / "Snakefile"]
        words += ["--workflow-profile", self.house / "profiles/default", "--directory", self.work, "--cores", 1]
        words += ["--configfile", self.house / "config/demo.yaml", self.work / "study.yaml"]
        result = subprocess.run([str(word) for word in [*words, *arguments]], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def due(self):
        """The rules with a changed input of their own; what only follows from them is not named."""
        output = self.run("--dry-run")
        if "Nothing to be done" in output:
            return set()
        named = re.search(r"updated input files:\n +(.+)", output.split("Reasons:")[1])
        return set(named[1].split(", ")) if named else set()

    def due_after(self, module, old, new):
        """The rules that an edit of one module makes due; the edit is taken back."""
        path = self.house / "workflow/sheetlens" / module
        text = path.read_text()
        assert text.count(old) >= 1, f"{module} has no {old!r} any more: edit another line that it computes with"
        path.write_text(text.replace(old, new, 1))
        try:
            return self.due()
        finally:
            path.write_text(text)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("edits"))
    assert house.due() == set()
    return house


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "old", "new", "first_due"),
    [
        ("demo/collection.py", "HOT_CABINETS = 5", "HOT_CABINETS = 6", "fetch_demo"),
        ("prepare/crop.py", "NEAR = 30", "NEAR = 31", "prepare_shard"),
        ("prepare/assemble.py", "REPEATED = 10", "REPEATED = 11", "prepare_pack"),
        ("duplicates/search.py", "SAME = 0.7", "SAME = 0.71", "duplicates_find"),
        (
            "split/parts.py",
            "settings.train, settings.validation",
            "settings.validation, settings.train",
            "split_sheets split_groups",
        ),
        ("split/leakage.py", '("specimen", "exact_duplicate"', '("exact_duplicate", "specimen"', "split_leakage"),
        ("train/networks.py", "HIDDEN = 500", "HIDDEN = 400", "train_network features_part"),
        ("train/optimisation.py", "WARM_UP = 0.2", "WARM_UP = 0.3", "train_network explore_cost"),
        ("features/head.py", "FOLDS = 5", "FOLDS = 4", "features_head"),
        ("evaluate/metrics.py", "BINS = 10", "BINS = 11", "evaluate_network train_package explore_rank"),
        ("explore/leaderboard.py", '"gpu_memory", "parameters"', '"parameters", "gpu_memory"', "explore_rank"),
        ("predict/packaging.py", "QUANTILES = 1001", "QUANTILES = 1002", "train_package"),
        ("predict/out_of_distribution.py", "NOISE = 1e-3", "NOISE = 1e-4", "train_predict"),
        ("audit/labels.py", "SURPRISE = 0.05", "SURPRISE = 0.06", "audit_labels"),
        ("audit/baselines/matching.py", "CALIPER = 0.2", "CALIPER = 0.3", "audit_shortcuts"),
        ("explain/attribution.py", "STEPS = 8", "STEPS = 9", "audit_maps"),
        ("figure/audits.py", "SHOWN = 12", "SHOWN = 11", "figure_audits"),
        ("figure/style.py", "DOTS_PER_INCH = 300", "DOTS_PER_INCH = 200", f"{FIGURES} predict_hotspots"),
        ("report/report.py", "REFUSED = 20", "REFUSED = 21", "report_write"),
        ("report/quality.py", "APART = 0.3", "APART = 0.4", "report_quality"),
        ("document/reforms.py", "ALIKE = 1.5", "ALIKE = 1.6", "document_pages"),
        ("hotspots/estimates.py", "TREATED = 0.2", "TREATED = 0.3", "predict_hotspots"),
        ("pages/templates/report.html", "{% block body %}", "{% block body %}<hr>", PAGES),
        (
            "statistics/calibration.py",
            "DOUBT = 0.7",
            "DOUBT = 0.8",
            "evaluate_network train_package explore_rank audit_labels",
        ),
        ("statistics/hierarchical_prevalence.py", "OWN = 20", "OWN = 30", "predict_hotspots"),
        ("common/tables.py", "BATCH = 10_000", "BATCH = 20_000", "prepare_pack predict_list"),
        ("fetch/sources/folder.py", "PARTS = 3", "PARTS = 4", ""),
        ("config/phases.py", 'description="', 'description="Put otherwise: ', ""),
        ("common/refusals.py", "too large", "larger than we read", ""),
        ("common/errors.py", "disk", "drive", ""),
        ("cli/check.py", '"""', '"""Put otherwise: ', ""),
        ("review/server.py", "KEPT = 64", "KEPT = 65", ""),
        ("label/suggestions.py", "QUEUE = 64", "QUEUE = 65", ""),
        ("workflow/cancellation.py", "PATIENCE = 60", "PATIENCE = 61", ""),
    ],
)
def test_an_edit_makes_due_what_computes_with_it(house, module, old, new, first_due):
    assert house.due_after(module, old, new) == set(first_due.split())
