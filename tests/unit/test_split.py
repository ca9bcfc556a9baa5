import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetlens.errors import UserError
from sheetlens.files import write_table
from sheetlens.split import PARTS, part_sizes, split_random

SHARES = (0.7, 0.2, 0.1)


def index(**classes: int) -> pd.DataFrame:
    labels = [label for label, count in classes.items() for _ in range(count)]
    names = [f"{label}/{number:05}.jpg" for number, label in enumerate(labels)]
    return pd.DataFrame({"image_id": names, "specimen_id": names, "label": labels})


def test_part_sizes_are_the_papers():
    assert part_sizes(15_554, SHARES) == [10_888, 3_111, 1_555]
    assert part_sizes(18_389, SHARES) == [12_872, 3_678, 1_839]


@given(st.integers(12, 300), st.integers(12, 300), st.integers(0, 5))
def test_each_class_has_its_share_of_each_part(first, second, seed):
    split = split_random(index(a=first, b=second), SHARES, seed)
    assert split["part"].value_counts()[list(PARTS)].tolist() == part_sizes(first + second, SHARES)
    for label, count in (("a", first), ("b", second)):
        for part, share in zip(PARTS, SHARES, strict=True):
            assert abs(((split["label"] == label) & (split["part"] == part)).sum() - count * share) <= 1.5


def test_neither_input_order_nor_other_columns_matter():
    table = index(a=40, b=25, c=30)
    shuffled = table.sample(frac=1, random_state=np.random.RandomState(0)).assign(row=1)
    pd.testing.assert_frame_equal(split_random(table, SHARES, 3), split_random(shuffled, SHARES, 3))


def test_same_bytes_on_any_machine(tmp_path):
    write_table(tmp_path / "split.tsv", split_random(index(a=50, b=50), SHARES, 1))
    digest = hashlib.sha256((tmp_path / "split.tsv").read_bytes()).hexdigest()
    assert digest == "4dc17ddd4fa5707430701ae600be31397e3d37e2d1b2b9ad21e9b7d92146d10a"


def test_another_seed_is_another_split():
    table = index(a=50, b=50)
    assert not split_random(table, SHARES, 1).equals(split_random(table, SHARES, 2))


def test_a_class_too_small_is_named():
    with pytest.raises(UserError, match="class 'rare' is too small, usable sheets: 3, of them in the test part: 0"):
        split_random(index(common=50, rare=3), SHARES, 1)
