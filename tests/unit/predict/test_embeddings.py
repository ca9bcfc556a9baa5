"""Features of photographs as a table, and the sheets that are most like one."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sheetlens.predict.embeddings import find_nearest
from tests.conftest import sheetlens
from tests.unit.garden import CLASSES, jpeg, make_model, photograph


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheets")
    for name, level in CLASSES.items():
        for number in range(3):
            jpeg(photograph(level, 100 + number), folder / f"{name}-{number}.jpg")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_vectors_and_what_made_them(sheets, tmp_path):
    result = sheetlens("embed", sheets, "--output", tmp_path / "vectors.parquet", "--workers", 2)
    assert result.returncode == 0 and "9 vectors of 2944 features" in result.stderr, result.stderr
    table = pd.read_parquet(tmp_path / "vectors.parquet").set_index("image_id")
    assert len(table) == 10 and table.loc["broken.jpg", "vector"] is None
    assert table.loc["broken.jpg", "status"] == "refused" and table.loc["broken.jpg", "reason"]
    assert np.stack(table["vector"].dropna()).shape == (9, 2944)
    assert table["model_sha256"].nunique() == 1 and table["model"].str.contains("efficientnet_lite0").all()
    wrong = sheetlens("embed", sheets, "--output", tmp_path / "vectors.csv")
    assert wrong.returncode == 1 and "does not end in .parquet" in wrong.stderr


def test_the_most_similar_sheets_come_first(sheets, tmp_path):
    model = make_model(tmp_path / "study")
    result = sheetlens("similar", model, sheets / "ivy-1.jpg", sheets, "--output", tmp_path / "out", "--count", 3)
    assert result.returncode == 0 and "9 sheets compared, 1 files refused" in result.stderr, result.stderr
    table = pd.read_csv(tmp_path / "out/similar.csv")
    assert table["image_id"][0] == "ivy-1.jpg" and table["similarity"][0] == pytest.approx(1, abs=1e-4)
    assert table["image_id"].str.startswith("ivy").all() and table["similarity"].is_monotonic_decreasing
    assert Image.open(tmp_path / "out/similar.jpg").size == (5 * 256, 256 + 18)
    bad = sheetlens("similar", model, sheets / "broken.jpg", sheets, "--output", tmp_path / "bad")
    assert bad.returncode == 1 and "broken.jpg cannot be read" in bad.stderr and not (tmp_path / "bad").exists()


def test_of_many_sheets_the_nearest_are_kept_and_of_equals_the_first():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 8)).astype(np.float32)
    vectors[400] = vectors[3]
    rows = (({"image_id": str(n), "path": ""}, vector) for n, vector in enumerate(vectors))
    found = find_nearest(vectors[3], rows, np.zeros(8, np.float32), np.ones(8, np.float32), 5)
    lengths = np.linalg.norm(vectors, axis=1)
    order = np.argsort(-(vectors @ vectors[3]) / lengths, kind="stable")[:5]
    assert set(found.table["image_id"].astype(int)) == set(order) and found.compared == 500
    assert found.table["image_id"].tolist()[:2] == ["3", "400"]
