"""The rules without running them: the paper's chain, changed inputs, faults."""

import re
import shlex
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from sheetlens.common import files
from sheetlens.config import Settings
from sheetlens.review.access import MARK
from sheetlens.review.queue import open_run
from tests.conftest import ROOT, digests, sheetlens, snakemake
from tests.unit.hotspots.test_ranking import RECORDS, write_collection
from tests.unit.review.test_review import ask


def jobs(output: str) -> Counter:
    table = output.split("Job stats:")[1].split("total")[0]
    return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)})


def own_config(folder, corrections=None, **changes):
    path = folder / "own.yaml"
    values = yaml.safe_load((ROOT / "config/own.yaml").read_text()) | changes
    values["datasets"]["own"]["folder"]["path"] = str(folder / "photos")
    values["datasets"]["own"] |= {"corrections": corrections} if corrections else {}
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def photographs(tmp_path):
    random = np.random.default_rng(0)
    for label in ("fern", "moss"):
        for number in range(12):
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (180, 140, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def test_the_papers_chain_stands_offline(tmp_path):
    result = snakemake(tmp_path, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert jobs(result.stdout + result.stderr) == {
        "fetch_remote": 1, "fetch_specimens": 1, "prepare_shard": 32, "prepare_pack": 2, "duplicates_find": 2,
        "split_sheets": 10, "split_groups": 10, "split_relate": 2, "split_leakage": 20, "train_network": 20,
        "train_predict": 20,
        "train_package": 20, "evaluate_network": 4, "evaluate_table": 1,
        "audit_baselines": 2, "audit_setup": 2, "audit_shortcuts": 4, "audit_labels": 2, "audit_training": 4,
        "audit_maps": 2, "audit_saliency": 2, "audit_regions": 2, "figure_audits": 2, "audit_duplicates": 2,
        "audit_leakage": 4,
        "figure_dataset": 2, "figure_study": 1, "figure_uncertainty": 2, "report_credits": 2, "report_quality": 2,
        "report_write": 1, "document_verdict": 2, "document_pages": 2, "document_crate": 1, "all": 1,
    }  # fmt: skip
    for fact in ("figshare", "5423083", "9355303", "gbif", "Selaginellaceae"):
        assert fact in result.stdout + result.stderr


def test_files_that_are_not_kept_are_prepared_by_fetching(tmp_path):
    result = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--config", "images={keep_originals: false}")
    assert result.returncode == 0, result.stderr
    assert jobs(result.stdout + result.stderr)["prepare_shard"] == 16, "the archives of figshare are unpacked and kept"
    assert "--shards results/lycophytes/shards" in result.stdout + result.stderr
    assert "--shards results/mercury" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"trian": {}}, "unknown key 'trian'; did you mean 'train'?"),
        ({"split": {"seeds": []}}, "'split.seeds'"),
    ],
)
def test_a_fault_of_the_config_stops_before_anything(tmp_path, photographs, change, sentence):
    config = own_config(tmp_path, **change)
    result = snakemake(tmp_path / "work", "--cores", 1, "--configfile", config)
    assert result.returncode != 0
    assert sentence in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / "work/results").exists()


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda photos: photos.rename(photos.with_name("gone")), "does not exist"),
        (lambda photos: [path.unlink() for path in photos.rglob("*.png")], "has 0 files, fewer than the 3 parts"),
        (lambda photos: (photos / "moss").rename(photos.parent / "moss"), "has only one, 'fern'"),
        (
            lambda photos: (
                [path.unlink() for path in (photos / "moss").glob("1*.png")]
                + [path.unlink() for path in (photos / "moss").glob("[2-8].png")]
            ),
            "class 'moss' in",
        ),
    ],
)
def test_a_fault_of_the_folder_stops_before_anything(tmp_path, photographs, break_it, sentence):
    break_it(photographs)
    result = snakemake(tmp_path / "work", "--cores", 1, "--configfile", own_config(tmp_path))
    assert result.returncode != 0
    assert sentence in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / "work/results").exists()


def test_a_class_too_small_for_the_parts_stops_with_a_sentence(tmp_path, photographs):
    for number in range(4, 12):
        (photographs / "moss" / f"{number}.png").unlink()
    config = own_config(tmp_path)
    result = snakemake(tmp_path / "work", "--cores", 2, "--configfile", config)
    assert result.returncode != 0
    assert "class 'moss' is too small, usable sheets: 4" in result.stdout + result.stderr
    assert "MissingOutputException" not in result.stdout + result.stderr, "tee hid that the command failed"
    assert not list((tmp_path / "work/results/own/splits").glob("random-*"))


def test_what_a_rule_computes_with_makes_it_out_of_date(tmp_path, photographs):
    config = own_config(tmp_path)

    def run(*arguments):
        result = snakemake(tmp_path / "work", "--configfile", config, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    splits = [f"results/own/splits/random-{seed}.tsv" for seed in (1, 2, 3)]
    run("--cores", 2, *splits)
    assert "Nothing to be done" in run("--cores", 2, *splits)
    with_share = ("--config", "split={train: 0.6, validation: 0.3}")
    assert set(jobs(run("--dry-run", *splits, *with_share))) == {"split_sheets"}
    letterbox = ("--config", "images={fit: letterbox}")
    assert set(jobs(run("--dry-run", *splits, *letterbox))) == {"prepare_shard", "prepare_pack", "split_sheets"}
    (photographs / "fern/new.png").write_bytes((photographs / "fern/3.png").read_bytes())
    assert set(jobs(run("--dry-run", *splits))) == {"fetch_folder", "prepare_shard", "prepare_pack", "split_sheets"}


@pytest.mark.long
def test_corrections_of_a_review_change_the_next_runs_labels_and_what_depends_on_them(tmp_path, photographs):
    """A study, made up from its split on, is reviewed; the server's decisions are exported and named in the config."""
    work, config = tmp_path / "work", own_config(tmp_path)
    study, splits = work / "results/own", ["results/own/splits/random-1.tsv", "results/own/duplicates.parquet"]

    def run(*arguments):
        result = snakemake(work, *splits, "--configfile", config, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    run("--cores", 2)
    before, pixels = files.read_table(study / "manifest.parquet"), files.sha256(study / "images/pixels.npy")
    sheets = files.read_table(study / "splits/random-1.tsv")[["image_id", "part", "label"]]
    fern = (sheets["label"] == "fern") * 1.0
    answers = sheets.assign(probability_fern=fern, probability_moss=1 - fern)
    files.write_table(study / "models/table1/random-1/predictions.parquet", answers)
    keys = dict(open_run(study).sheets[["image_id", "key"]].to_numpy())
    wrong, right = "fern/1.png", "moss/2.png"
    decision = {"reviewer": "Ada", "decision": "class", "label": "moss", "undoes": "", "time": "2026-11-27T10:00:00Z"}
    decisions = [decision | {"id": name, "key": keys[name]} for name in (wrong, right)]
    assert ask(study, "POST", "/decisions", headers={MARK: "1"}, json=decisions) == 200
    assert sheetlens("review", study, "--export", tmp_path / "corrections.csv").returncode == 0
    shutil.rmtree(study / "models")
    assert "Nothing to be done" in run("--cores", 2)

    config = own_config(tmp_path, corrections={"path": str(tmp_path / "corrections.csv")})
    # The sheets are decoded again, because their shards go when they are packed; nothing is listed or fetched again.
    expected = {"prepare_shard", "prepare_pack", "split_sheets", "duplicates_find"}
    assert set(jobs(run("--dry-run"))) == expected
    run("--cores", 2)
    after = files.read_table(study / "manifest.parquet")
    assert after.loc[after["label"] != before["label"], "image_id"].tolist() == [wrong]
    corrected = after.set_index("image_id").loc[wrong]
    assert (corrected["label"], corrected["label_before"], corrected["corrected_by"]) == ("moss", "fern", "Ada")
    split = files.read_table(study / "splits/random-1.tsv").set_index("image_id")
    assert split.loc[wrong, "label"] == "moss" and (split["label"] == "moss").sum() == 13
    assert files.sha256(study / "images/pixels.npy") == pixels
    assert "Nothing to be done" in run("--cores", 2)
    table = tmp_path / "corrections.csv"
    table.write_text(table.read_text().replace('"moss","changed"', '"fern","accepted"'))
    assert set(jobs(run("--dry-run"))) == expected, "another table is another version of the data"


def test_collections_are_read_in_parts_by_the_first_model(tmp_path, photographs):
    (tmp_path / "table.csv").write_text("path\nx.jpg\n")
    (tmp_path / "kept.csv").write_text("barcode,cabinet\n3,C1\n")
    records = {"path": str(tmp_path / "kept.csv"), "barcode": "barcode", "columns": {"storageLocation": "cabinet"}}
    collections = {
        "cabinets": {"input": str(photographs), "dataset": "own", "hotspots": {"records": [records]}},
        "loans": {"input": str(tmp_path / "table.csv"), "dataset": "own"},
    }
    config = own_config(tmp_path, predict={"jobs": 3, "collections": collections})
    answers = [f"results/collections/{name}/predictions.csv" for name in collections]
    answers += ["results/collections/cabinets/hotspots"]
    arguments = (*answers, "--dry-run", "--printshellcmds", "--configfile", config)
    result = snakemake(tmp_path / "work", *arguments)
    assert result.returncode == 0, result.stderr
    assert jobs(result.stdout + result.stderr) == {
        "fetch_folder": 1, "prepare_shard": 1, "prepare_pack": 1, "split_groups": 1, "features_part": 1,
        "features_join": 1, "features_head": 1, "duplicates_find": 1, "split_relate": 1, "train_predict": 1,
        "train_package": 1, "predict_list": 2, "predict_part": 6, "predict_merge": 2,
        "predict_hotspots": 1,
    }  # fmt: skip
    assert "--model results/own/models/features/grouped-1 " in result.stdout + result.stderr


def test_an_exploration_trains_every_network_with_every_seed_and_no_study_does(tmp_path, photographs):
    frozen = {"backbone": "resnet18", "weights": {"path": str(tmp_path / "weights.pth"), "sha256": 64 * "0"}}
    networks = {"wide": {"groups": [[32, 5], [64, 5]]}, "frozen": frozen}
    config = own_config(tmp_path, networks=networks, explore={"own": ["wide", "frozen"]})
    arguments = ("--dry-run", "--printshellcmds", "--configfile", config)
    without = snakemake(tmp_path / "work", "explore", *arguments)
    assert without.returncode != 0 and "weights.pth" in without.stdout + without.stderr, "weights are an input"
    (tmp_path / "weights.pth").touch()
    result = snakemake(tmp_path / "work", "explore", *arguments)
    assert result.returncode == 0, result.stderr
    assert jobs(result.stdout + result.stderr) == {
        "fetch_folder": 1, "prepare_shard": 1, "prepare_pack": 1, "split_groups": 3, "train_network": 6,
        "features_part": 1, "features_join": 1, "features_head": 3, "duplicates_find": 1, "split_relate": 1,
        "train_predict": 9,
        "explore_cost": 3, "explore_rank": 1, "explore_draw": 1, "explore": 1,
    }  # fmt: skip
    told = {
        line.split("--definition ")[1].split(" --seed")[0]
        for line in result.stdout.splitlines()
        if "--definition" in line
    }
    assert len(told) == 4 and """'{"groups":[[32,5],[64,5]],"pooling":"max","hidden":500}'""" in told
    study = snakemake(tmp_path / "work", *arguments)
    assert jobs(study.stdout + study.stderr)["features_head"] == 6, "under both protocols"
    nothing = snakemake(tmp_path / "work", "explore", "--dry-run", "--configfile", own_config(tmp_path, explore={}))
    assert nothing.returncode != 0
    assert "there is nothing to explore" in nothing.stdout + nothing.stderr


def test_the_documents_are_told_what_a_data_sets_network_is(tmp_path, photographs):
    config = own_config(tmp_path, networks={"wide": {"groups": [[32, 5], [64, 5]]}})
    own = ("--config", 'datasets={"own": {"network": "wide"}}')
    result = snakemake(tmp_path / "work", "--dry-run", "--printshellcmds", "--configfile", config, *own)
    assert result.returncode == 0, result.stderr
    commands = [
        shlex.split(line) for line in (result.stdout + result.stderr).splitlines() if "sheetlens document" in line
    ]
    settings = [Settings.model_validate_json(words[words.index("--settings") + 1]) for words in commands]
    assert [one.datasets["own"].network for one in settings] == ["wide"]
    assert "results/own/models/wide/random-1/weights.safetensors" in result.stdout + result.stderr


def test_the_workflow_ranks_cabinets_as_the_command(tmp_path):
    write_collection(tmp_path, {"C1": (40, 30), "C2": (40, 1)})
    records = RECORDS.model_copy(update={"path": str(tmp_path / "records.csv")})
    collection = {"input": "x", "dataset": "mercury", "hotspots": {"records": [records.model_dump()], "tests": 1}}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"predict": {"collections": {"cabinets": collection}}}))
    results = tmp_path / "work/results"
    files.write_table(results / "collections/cabinets/predictions.parquet", pd.read_csv(tmp_path / "answers.csv"))
    package = results / "mercury/models/table1/grouped-1/package.json"  # the headline's model, not the paper's
    package.parent.mkdir(parents=True)
    package.write_bytes((tmp_path / "package.json").read_bytes())
    ranked = "results/collections/cabinets/hotspots"
    arguments = (ranked, "--allowed-rules", "predict_hotspots", "--cores", 1, "--configfile", tmp_path / "more.yaml")
    result = snakemake(tmp_path / "work", *arguments)
    assert result.returncode == 0, result.stderr
    options = ("--tests", 1, "--records", records.model_dump_json(), "--output", tmp_path / "command")
    predictions = results / "collections/cabinets/predictions.parquet"
    result = sheetlens("hotspots", "--predictions", predictions, "--model", package.parent, *options)
    assert result.returncode == 0, result.stderr
    assert digests(tmp_path / "work" / ranked) == digests(tmp_path / "command")


@pytest.mark.long
def test_a_collection_is_answered_by_the_workflow_as_by_the_command(tmp_path, photographs):
    collections = {"cabinets": {"input": str(photographs), "dataset": "own"}}
    changes = {"train": {"epochs": 1, "batch_size": 8}, "predict": {"jobs": 2, "collections": collections}}
    config = own_config(tmp_path, split={"seeds": [1]}, **changes)
    answers = tmp_path / "work/results/collections/cabinets"
    targets = [f"results/collections/cabinets/{name}" for name in ("predictions.csv", "summary.json")]
    for _ in range(2):
        result = snakemake(tmp_path / "work", *targets, "--cores", 2, "--configfile", config)
        assert result.returncode == 0, result.stderr
    assert "Nothing to be done" in result.stdout + result.stderr
    (model,) = (tmp_path / "work/results/own/models/features").iterdir()
    result = sheetlens("predict", model, photographs, "--output", tmp_path / "command")
    assert result.returncode == 0, result.stderr
    for name in ("predictions.parquet", "predictions.csv", "summary.json"):
        assert (answers / name).read_bytes() == (tmp_path / "command" / name).read_bytes()
    assert (answers / "predictions.csv").read_text().count("\n") == 25


def test_a_second_run_in_the_same_folder_is_kept_out(tmp_path, photographs):
    import fcntl

    config = own_config(tmp_path)
    (tmp_path / "work/.snakemake").mkdir(parents=True)
    with open(tmp_path / "work/.snakemake/sheetlens.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = snakemake(tmp_path / "work", "--cores", 1, "--configfile", config)
    assert result.returncode != 0
    assert "another run is at work in this folder" in result.stdout + result.stderr
    assert not (tmp_path / "work/results").exists()


def test_another_study_does_not_overwrite_results(tmp_path, photographs):
    config = own_config(tmp_path)
    listing = "results/own/listing.parquet"
    assert snakemake(tmp_path / "work", listing, "--cores", 1, "--configfile", config).returncode == 0
    demo = ("--config", 'datasets={"own": {"source": "demo", "demo": {"task": "stain", "sheets": 8}}}')
    before = (tmp_path / "work" / listing).read_bytes()
    result = snakemake(tmp_path / "work", "--cores", 1, "--configfile", config, *demo)
    assert result.returncode != 0
    assert "move results/ away or delete it first" in result.stdout + result.stderr
    shutil.copytree(photographs, tmp_path / "others")
    others = ("--config", f'datasets={{"own": {{"folder": {{"path": "{tmp_path / "others"}"}}}}}}')
    result = snakemake(tmp_path / "work", "--cores", 1, "--configfile", config, *others)
    assert result.returncode != 0
    assert "in their place: move results/ away" in result.stdout + result.stderr
    assert (tmp_path / "work" / listing).read_bytes() == before
