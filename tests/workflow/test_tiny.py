"""The whole workflow on a few demo sheets."""

import hashlib
import re
import subprocess
import sys
import zipfile

import pandas as pd
import pytest
import yaml

from sheetlens.common.files import read_json, read_table
from tests.conftest import ROOT, SECRETS, digests, snakemake, tiny_demo

pytestmark = pytest.mark.long  # a study of seventy jobs is made first


def test_every_product_is_there(finished):
    made = set(digests(finished / "results"))
    for dataset, network in (("mercury", "table1"), ("lycophytes", "table2")):
        models = [f"{dataset}/models/{network}/random-{seed}" for seed in (1, 2)]
        for model in models:
            names = ("weights.safetensors", "model.json", "history.csv", "typical.safetensors", "package.json")
            assert {f"{model}/{name}" for name in names} <= made
        assert {f"{dataset}/splits/random-{seed}{end}" for seed in (1, 2) for end in (".tsv", ".leakage.json")} <= made
        assert f"{dataset}/duplicates.parquet" in made
        assert f"{dataset}/evaluation/{network}-random.json" in made
        findings = (
            "duplicates",
            "leakage-random",
            "setup",
            "labels",
            "regions",
            "saliency",
            "shortcuts-random",
            "training-random",
        )
        assert {f"{dataset}/audits/{name}.json" for name in findings} <= made
        assert {f"{dataset}/{name}.html" for name in ("audits", "model-card", "datasheet", "reforms")} <= made
        for ending in ("svg", "png", "pdf", "csv"):
            figures = ("1", "2", "history", "risk", "reliability", "seeds")
            figures += ("shortcuts", "saliency", "mistakes", "unsure")
            assert {f"{dataset}/figures/figure-{name}.{ending}" for name in figures} <= made
            assert {f"figures/figure-{number}.{ending}" for number in (1, 2)} <= made
    assert {"results.csv", "report.html"} <= made
    assert not [name for name in made if name.endswith((".part", ".pt"))]


def test_refused_files_stay_in_the_manifest(finished):
    for dataset in ("mercury", "lycophytes"):
        results = finished / "results" / dataset
        truth = read_table(results / "originals/truth.parquet").set_index("file")
        manifest = read_table(results / "manifest.parquet").set_index("image_id")
        assert set(manifest.index) == set(truth.index)
        refused = manifest[manifest["status"] == "refused"]
        planted = truth[truth["defect"].isin(["truncated", "not an image"])]
        assert set(refused.index) == set(planted.index)
        assert refused["reason"].str.len().min() > 0
        assert len(read_table(results / "images/index.parquet")) == len(manifest) - len(refused)


def test_numbers_agree_from_prediction_to_report(finished):
    page = (finished / "results/report.html").read_text()
    table = pd.read_csv(finished / "results/results.csv")
    for dataset, network in (("mercury", "table1"), ("lycophytes", "table2")):
        evaluation = read_json(finished / f"results/{dataset}/evaluation/{network}-random.json")
        right = []
        for model in evaluation["models"]:
            predictions = read_table(finished / model["directory"] / "predictions.parquet").query("part == 'test'")
            columns = [name for name in predictions if name.startswith("probability_")]
            guess = predictions[columns].idxmax(axis=1).str.removeprefix("probability_")
            right.append((guess == predictions["label"]).mean())
        assert evaluation["accuracy"]["mean"] == sum(right) / 2
        row = table[(table["dataset"] == dataset) & (table["measure"] == "accuracy")].iloc[0]
        assert row["here"] == evaluation["accuracy"]["mean"]
        assert f"results/{dataset}/evaluation/{network}-random.json" in page


def test_the_pages_need_nothing_from_outside(finished):
    results = finished / "results"
    pages = sorted(results.rglob("*.html"))
    assert len(pages) == 11
    for path in pages:
        page = path.read_text()
        assert not re.search(r"src=[\"'](?!data:)", page)
        assert "<script" not in page
        assert str(finished) not in page
        for target in re.findall(r"href=[\"']([^\"'#]+)", page):
            assert (path.parent / target).is_file(), f"{path.name} links to {target}"


def test_the_research_object_names_files_that_are_there(finished):
    results = finished / "results"
    graph = read_json(results / "ro-crate-metadata.json")["@graph"]
    files = [entity for entity in graph if "sha256" in entity]
    named = {entity["@id"] for entity in files}
    products = [
        path for name in ("weights.safetensors", "model-card.html", "manifest.parquet") for path in results.rglob(name)
    ]
    assert len(products) == 8
    assert {path.relative_to(results).as_posix() for path in products} | {"report.html", "results.csv"} <= named
    for entity in files:
        assert hashlib.sha256((results / entity["@id"]).read_bytes()).hexdigest() == entity["sha256"]


def test_a_second_run_has_nothing_to_do(finished):
    before = digests(finished / "results")
    result = snakemake(finished, *tiny_demo(finished))
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr
    assert digests(finished / "results") == before


def test_snakemakes_own_report_has_every_page_and_figure_in_its_section(finished):
    result = snakemake(finished, *tiny_demo(finished), "--report", "report.zip")
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(finished / "report.zip") as report:
        names = report.namelist()
        (index,) = [name for name in names if name.endswith("report.html") and "data" not in name]
        text = report.read(index).decode()
    for name in ("report.html", "results.csv", "audits.html", "model-card.html", "figure-2.svg", "figure-risk.svg"):
        assert any(entry.endswith(name) for entry in names), name
    for section in ("Results", "Figures", "Documents"):
        assert f'"{section}"' in text, section
    assert "accuracy of every seed and protocol" in " ".join(text.split())


def interface():
    return yaml.safe_load((ROOT / "INTERFACE.yaml").read_text())


def as_pattern(path: str) -> str:
    """A path of the interface as a regular expression: wildcards are names, a folder is all that is in it."""
    choices = re.sub(r"\\\{([^{}]*,[^{}]*)\\\}", lambda match: f"({match[1].replace(',', '|')})", re.escape(path))
    names = re.sub(r"\\\{\w+\\\}", "[^/]+", choices)
    return names + (".*" if path.endswith("/") else "")


def test_the_interface_names_every_product_and_every_product_is_there(finished):
    made = [f"results/{name}" for name in digests(finished / "results")]
    patterns = {one["path"]: as_pattern(one["path"]) for one in interface()["products"]}
    unknown = [name for name in made if not any(re.fullmatch(pattern, name) for pattern in patterns.values())]
    assert {name.rsplit("/", 1)[-1] for name in unknown} <= {".source"}
    for one in interface()["products"]:
        there = any(re.fullmatch(patterns[one["path"]], name) for name in made)
        assert there or "when" in one or one["path"] == "logs/", one["path"]


@pytest.mark.parametrize(
    "product", [one for one in interface()["products"] if "columns" in one], ids=lambda product: product["title"]
)
def test_every_table_has_the_columns_of_the_interface(finished, product):
    pattern = as_pattern(product["path"])
    paths = [
        path
        for path in (finished / "results").rglob("*")
        if re.fullmatch(pattern, f"results/{path.relative_to(finished / 'results')}")
    ]
    if "when" in product:
        pytest.skip("not made by the demo: see tests/unit/predict/test_collection_predictions.py")
    for path in paths:
        found = [re.sub("^probability_.+", "probability_{class}", name) for name in read_table(path).columns]
        assert list(dict.fromkeys(found)) == list(product["columns"]), path
    assert paths


def test_the_example_of_the_python_api_runs(finished):
    page = (ROOT / "docs/reference/api.md").read_text()
    (example,) = re.findall(r"^```python\n(from pathlib.*?)^```", page, re.MULTILINE | re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", example], cwd=finished, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"accuracy [01]\.\d{3}, 95 % interval [01]\.\d{3} to [01]\.\d{3}\n", ran.stdout)


def test_no_secret_of_the_surroundings_is_in_a_product_a_log_or_the_notes_of_a_run(finished):
    read = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert any(path.name == "ro-crate-metadata.json" for path in read)
    assert not [path for path, data in read.items() for secret in SECRETS.values() if secret.encode() in data]
