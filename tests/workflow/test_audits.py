"""Every planted defect is found, and the twin without it is silent; half an hour, so run by name."""

import csv
import re

import numpy as np
import pandas as pd
import pytest

from sheetlens.audit.baselines.models import measure_sheets, predict_baselines
from sheetlens.audit.finding import read_finding
from sheetlens.audit.setup import audit_setup
from sheetlens.common.files import read_json, read_table
from sheetlens.config import Audit, DemoSource
from sheetlens.fetch.sources import demo
from sheetlens.prepare.resize import RefusedImageError, read_sheet
from sheetlens.split.parts import split_random
from tests.conftest import ROOT, snakemake

pytestmark = pytest.mark.open


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The data sets of config/audits.yaml, with all their findings."""
    folder = tmp_path_factory.mktemp("audits")
    result = snakemake(folder, "--cores", "all", "--configfile", ROOT / "config/audits.yaml")
    assert result.returncode == 0, result.stderr
    return folder / "results"


def finding(results, dataset, name):
    return read_finding(results / dataset / f"audits/{name}.json")


def test_the_planted_setup_raises_the_alarm_and_its_twin_is_silent(audited):
    assert finding(audited, "shortcut", "setup").severity == "alarm"
    assert finding(audited, "clean", "setup").severity == "ok"
    assert finding(audited, "clean", "shortcuts-random").severity != "alarm"


@pytest.mark.parametrize("dataset", ["shortcut", "clean"])
def test_wrong_labels_rank_in_the_top_5_per_cent(audited, dataset):
    truth = read_table(audited / dataset / "originals/truth.parquet")
    ranked = read_table(audited / dataset / "audits/labels.csv").set_index("image_id")["rank"].astype(int)
    wrong = [name for name in truth.loc[truth["defect"] == "wrong label", "file"] if name in ranked.index]
    assert len(wrong) >= 3
    assert ranked[wrong].max() <= max(0.05 * len(ranked), len(wrong))


def test_the_evidence_lies_on_the_planted_stain(audited):
    """The share of the evidence in the boxes of the truth against the share of the picture they take."""
    folder = audited / "clean"
    truth = read_table(folder / "originals/truth.parquet").set_index("file")
    size = read_table(folder / "manifest.parquet").set_index("image_id")[["width", "height"]]
    evidence, area, untrained = [], [], []
    for sheet in read_table(folder / "audits/maps.parquet").to_dict("records"):
        box = truth.loc[sheet["image_id"], ["stain_left", "stain_top", "stain_right", "stain_bottom"]]
        if sheet["label"] != "stained" or box.isna().any():
            continue
        width, height = size.loc[sheet["image_id"]]
        left, top, right, bottom = (256 * box.to_numpy(float) / [width, height, width, height]).round().astype(int)
        inside = np.zeros((256, 256))
        inside[top:bottom, left:right] = 1
        inside = inside.reshape(32, 8, 32, 8).mean(axis=(1, 3)).ravel()
        evidence.append(inside @ sheet["map"])
        untrained.append(inside @ sheet["random"])
        area.append(inside.mean())
    assert len(area) >= 10
    print("evidence on the stain", np.mean(evidence) / np.mean(area), "untrained", np.mean(untrained) / np.mean(area))
    assert np.mean(evidence) >= 3 * np.mean(area)
    assert np.mean(untrained) < 2 * np.mean(area)


def test_the_verdict_on_drawn_sheets_is_that_there_is_none(audited):
    for dataset in ("shortcut", "clean"):
        assert read_json(audited / dataset / "verdict.json")["verdict"] == "not comparable"


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("shortcut", [True, False])
def test_the_setup_audit_over_five_demos(tmp_path, seed, shortcut):
    """The alarm needs the cheap models only, so five demos with and five without cost minutes."""
    settings = DemoSource(task="stain", sheets=160, seed=seed, shortcut=shortcut)
    listing = demo.fetch(settings, tmp_path, workers=2)
    rows, pixels = [], []
    for sheet in listing.to_dict("records"):
        try:
            read = read_sheet((tmp_path / sheet["image_id"]).read_bytes())
        except RefusedImageError:  # planted: no whole pictures
            continue
        rows.append(sheet | {"width": read.width, "height": read.height, "format": read.format})
        pixels.append(read.pixels)
    index = pd.DataFrame(rows)
    tables, features = {}, measure_sheets(index, np.stack(pixels))
    for split_seed in (1, 2, 3):
        split = split_random(index, (0.7, 0.2, 0.1), split_seed)
        tables[f"random-{split_seed}"] = predict_baselines(index, features, split)
    assert audit_setup(tables, Audit()).severity == ("alarm" if shortcut else "ok")


def test_real_sheets_with_herbaria_held_out(real_data, tmp_path):
    """375 sheets of Piperaceae, the herbarium code from the file name: what border and metadata tell."""
    with open(tmp_path / "records.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["catalogNumber", "institutionCode"])
        for path in sorted((real_data / "piperaceae").rglob("*.jp*g")):
            writer.writerow([path.stem, re.match(r"[a-z]+_([A-Z]+(?:-[A-Z]+)?)", path.stem)[1]])
    dataset = f'{{"own": {{"folder": {{"path": "{real_data / "piperaceae"}"}}, "records": {{"path": "records.csv"}}}}}}'
    result = snakemake(
        tmp_path, "results/own/audits/shortcuts-random.json", "results/own/audits/setup.json",
        "results/own/audits/shortcuts-held_out_source.json", "--cores", "all",
        "--configfile", ROOT / "config/own.yaml",
        "--config", f"datasets={dataset}", 'split={"protocols": ["random", "held_out_source"]}',
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for protocol in ("random", "held_out_source"):
        numbers = finding(tmp_path / "results", "own", f"shortcuts-{protocol}").numbers
        print(protocol, numbers["network"], {name: row["accuracy"] for name, row in numbers["baselines"].items()})
        assert numbers["network"] > 0.5
    setup = finding(tmp_path / "results", "own", "setup")
    print(setup.severity, setup.sentence)
    assert setup.numbers["baselines"]["border strip"]["area"] > 0.5
