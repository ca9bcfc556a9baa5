import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sheetlens.common.errors import UserError
from sheetlens.common.files import write_table
from sheetlens.split.grouped import split_grouped, split_held_out
from sheetlens.split.parts import PARTS, part_sizes, split_random

SHARES = (0.7, 0.2, 0.1)


def index(**classes: int) -> pd.DataFrame:
    labels = [label for label, count in classes.items() for _ in range(count)]
    names = [f"{label}/{number:05}.jpg" for number, label in enumerate(labels)]
    return pd.DataFrame({"image_id": names, "specimen_id": names, "label": labels})


def test_part_sizes_are_the_papers():
    assert part_sizes(15_554, SHARES) == [10_888, 3_111, 1_555]
    assert part_sizes(18_389, SHARES) == [12_872, 3_678, 1_839]


@settings(deadline=None)  # a busy machine is no fault
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


@st.composite
def grouped_sheets(draw):
    """Sheets of two or three classes in groups of any size, mixed or pure, in any order."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=40, max_size=120))
    sizes += [1] * draw(st.integers(0, 200))
    classes = draw(st.sampled_from([["a", "b"], ["a", "b", "c"]]))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    mixed = draw(st.booleans())
    groups = np.repeat(np.arange(len(sizes)), sizes)
    own = random.integers(len(classes), size=len(sizes))
    label = np.array(classes)[random.integers(len(classes), size=len(groups)) if mixed else own[groups]]
    names = [f"{number:05}.jpg" for number in random.permutation(len(groups))]
    return pd.DataFrame({"image_id": names, "specimen_id": names, "label": label}), groups


@settings(deadline=None, max_examples=60)
@given(grouped_sheets(), st.integers(0, 20))
def test_groups_stay_whole_and_the_shares_are_met(made, seed):
    sheets, groups = made
    sizes = np.bincount(groups)
    assume(sizes.max() <= 0.02 * len(sheets))
    assume(sheets["label"].value_counts().min() >= 60)
    split = split_grouped(sheets, groups, SHARES, seed)
    part = split.set_index("image_id")["part"][sheets["image_id"]]
    assert (part.groupby(groups).nunique() == 1).all()
    for name, share in zip(PARTS, SHARES, strict=True):
        assert abs((split["part"] == name).mean() - share) <= 0.02
    # Each class, too, as near as one group brings it.
    for _, of_class in split.groupby("label"):
        for name, share in zip(PARTS, SHARES, strict=True):
            room = 2 * sizes.max() / len(of_class)
            assert abs((of_class["part"] == name).mean() - share) <= room


@settings(deadline=None, max_examples=20)
@given(grouped_sheets(), st.integers(0, 20))
def test_a_grouped_split_hangs_on_the_seed_and_not_on_the_order(made, seed):
    sheets, groups = made
    assume(sheets["label"].value_counts().min() >= 60)
    order = np.random.default_rng(seed).permutation(len(sheets))
    renamed = np.random.default_rng(seed + 1).permutation(groups.max() + 1)  # the numbers mean nothing
    one = split_grouped(sheets, groups, SHARES, seed)
    other = split_grouped(sheets.iloc[order], renamed[groups[order]], SHARES, seed)
    pd.testing.assert_frame_equal(one, other)
    assert not one.equals(split_grouped(sheets, groups, SHARES, seed + 1))


def test_a_group_larger_than_a_part_goes_where_it_fits():
    sheets = index(a=100, b=100)
    groups = np.r_[np.zeros(45, int), np.arange(1, 156)]
    split = split_grouped(sheets, groups, SHARES, 1)
    assert set(split["part"][:45]) == {"train"}
    assert split["part"].value_counts().to_dict() == {"train": 140, "validation": 40, "test": 20}


def test_a_class_in_one_group_is_named():
    with pytest.raises(UserError, match="its sheets hang together in too few groups"):
        split_grouped(index(a=60, b=30), np.r_[np.arange(60), np.full(30, 60)], SHARES, 1)


def sources(labels=("a", "b")):
    """US has 30 and 30 of the classes, NY 40 and 20, K 60 and 8; another has one class, some are unknown."""
    rows = {"US": (30, 30), "NY": (40, 20), "K": (60, 8), "one class only": (12, 0), "": (9, 9)}
    made = [
        (name, label)
        for name, counts in rows.items()
        for label, n in zip(labels, counts, strict=True)
        for _ in range(n)
    ]
    table = pd.DataFrame(made, columns=["source", "label"])
    names = [f"{number:04}.jpg" for number in np.random.default_rng(0).permutation(len(table))]
    return table.assign(image_id=names, specimen_id=names), table["source"].rename("institutionCode")


@pytest.mark.parametrize("labels", [("a", "b"), ("b", "a")])
def test_sources_take_turns_the_best_filled_first(labels):
    sheets, source = sources(labels)
    held = []
    for seed in (1, 2, 3, 4):
        split = split_held_out(sheets, np.arange(len(sheets)), source, SHARES, seed)
        part = split.set_index("image_id")["part"][sheets["image_id"]].to_numpy()
        (only,) = set(source[part == "test"])
        assert (part[source == only] == "test").all()
        assert (part == "train").sum() / (part != "test").sum() == pytest.approx(7 / 9, abs=0.02)
        held.append(only)
    assert held == ["US", "NY", "K", "US"]


def test_held_out_keeps_groups_whole_among_the_others():
    sheets, source = sources()
    groups = np.arange(len(sheets)) // 3
    split = split_held_out(sheets, groups, source, SHARES, 1)
    part = split.set_index("image_id")["part"][sheets["image_id"]].to_numpy()
    rest = part != "test"
    assert (pd.Series(part[rest]).groupby(groups[rest]).nunique() == 1).all()


def test_duplicates_of_what_is_held_out_are_in_no_part():
    sheets, source = sources()
    groups = np.arange(len(sheets)) % (len(sheets) // 2)  # each gathering in two sheets, of any sources
    split = split_held_out(sheets, groups, source, SHARES, 1).set_index("image_id")
    part = split["part"].reindex(sheets["image_id"]).to_numpy(object)
    held_out = set(groups[part == "test"])
    assert set(source[part == "test"]) == {source[part == "test"].iloc[0]}
    assert not held_out & set(groups[(part == "train") | (part == "validation")])
    left_out = pd.isna(part)
    assert left_out.any() and set(groups[left_out]) <= held_out


def test_a_source_whose_relatives_are_a_whole_class_is_not_held_out():
    """All of class b in B and C are duplicates of one half each of those in A, which has the most."""
    source = pd.Series(["A"] * 40 + ["B"] * 30 + ["C"] * 30, name="institutionCode")
    label = ["a"] * 20 + ["b"] * 20 + 2 * (["a"] * 20 + ["b"] * 10)
    names = [f"{number:03}.jpg" for number in range(100)]
    groups = np.arange(100)
    groups[60:70], groups[90:100] = groups[20:30], groups[30:40]
    sheets = pd.DataFrame({"image_id": names, "specimen_id": names, "label": label})
    for seed in (1, 2):
        split = split_held_out(sheets, groups, source, SHARES, seed).set_index("image_id")
        part = split["part"].reindex(names).to_numpy(object)
        assert set(source[part == "test"]) == {"BC"[seed - 1]}
        assert (part == "test").sum() == 30 and pd.isna(part).sum() == 10


def test_without_a_source_that_serves_there_is_a_way_out():
    sheets = index(a=20, b=20)
    source = pd.Series(sheets["label"].to_numpy(), name="family")
    with pytest.raises(UserError, match="no source can be held out: none of those in 'family'"):
        split_held_out(sheets, np.arange(40), source, SHARES, 1)
