"""Products that are cut short or of another shape: one sentence that names them, whoever opens them."""

import numpy as np
import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import Evaluate, Predict
from sheetlens.evaluate.evaluation import write_results
from sheetlens.evaluate.predictions import read_model
from sheetlens.features.product import open_features
from sheetlens.predict.inference import load_network
from sheetlens.predict.packaging import write_package
from sheetlens.prepare.image_set import open_image_set
from sheetlens.report.credits import write_credits

DAMAGES = {"empty": b"", "null": b"null", "a list": b"[]", "an object": b"{}", "zeros": bytes(300), "half": b'{"a": [1'}


def with_features(path):
    np.save(path.with_suffix(".npy"), np.zeros((2, 3), np.float32))
    return open_features(path.with_suffix(".npy"))


READERS = {
    "pixels.npy": open_image_set,
    "lite.json": with_features,
    "model.json": lambda path: load_network(path.parent),
    "manifest.parquet": lambda path: write_credits(path, path.with_name("credits.csv")),
    "evaluation.json": lambda path: write_results(path.with_name("t.csv"), path.with_name("m.json"), [path]),
    "package/model.json": lambda path: write_package("x", "X", Evaluate(), Predict(), path.parent),
    "predictions.csv": lambda path: read_model(path, ["fern", "moss"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_product_is_one_sentence(tmp_path, name, damage):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(DAMAGES[damage])
    with pytest.raises(UserError, match=rf"{path.name} cannot be read") as error:
        READERS[name](path)
    assert "\n" not in str(error.value) and len(list(path.parent.iterdir())) <= 2
