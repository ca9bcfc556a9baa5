"""What several tests of trainings share."""

import numpy as np
import pandas as pd
import pytest

from sheetlens.common import files
from sheetlens.split.parts import split_random


@pytest.fixture(scope="module")
def image_set(tmp_path_factory):
    """40 sheets of three classes that differ in brightness and carry noise."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    labels = np.array(["bright", "dark", "medium"])[np.arange(40) % 3]
    level = pd.Series(labels).map({"bright": 160, "dark": 90, "medium": 125}).to_numpy()
    pixels = (level[:, None, None, None] + random.integers(-40, 40, (40, 3, 256, 256))).astype(np.uint8)
    np.save(folder / "pixels.npy", pixels)
    names = [f"{number:02}" for number in range(40)]
    index = pd.DataFrame({"image_id": names, "specimen_id": names, "label": labels})
    files.write_table(folder / "index.parquet", index.assign(row=range(40), fit="squash", policy="test"))
    files.write_table(folder / "split.tsv", split_random(index, (0.6, 0.2, 0.2), 1))
    return folder
