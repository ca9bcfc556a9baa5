"""The whole workflow on a few demo sheets."""

import hashlib
import re

import pandas as pd

from sheetlens.common.files import read_json, read_table
from tests.conftest import SECRETS, digests, snakemake, tiny_demo


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


def test_snakemakes_own_report(finished):
    result = snakemake(finished, *tiny_demo(finished), "--report", "report.zip")
    assert result.returncode == 0, result.stderr
    assert (finished / "report.zip").stat().st_size > 100_000


def test_no_secret_of_the_surroundings_is_in_a_product_a_log_or_the_notes_of_a_run(finished):
    read = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    assert any(path.name == "ro-crate-metadata.json" for path in read)
    assert not [path for path, data in read.items() for secret in SECRETS.values() if secret.encode() in data]
