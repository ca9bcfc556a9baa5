import numpy as np
import pandas as pd
import pytest

from sheetlens.duplicates.search import COLUMNS
from sheetlens.split.groups import RELATIONS, comparable, find_groups, relate
from sheetlens.split.leakage import measure_leakage

FIELDS = ("image_id", "specimen_id", "recordedBy", "recordNumber", "eventDate")
NONE = pd.DataFrame(columns=list(COLUMNS))


def sheets(*rows):
    """Sheets of (specimen_id, recordedBy, recordNumber, eventDate), named a, b, c ..."""
    return pd.DataFrame([(chr(97 + number), *row) for number, row in enumerate(rows)], columns=list(FIELDS))


def joined(table, relation, duplicates=NONE, run=10):
    """The groups of two or more sheets that one relation makes, as words such as "ac"."""
    groups = find_groups(len(table), [relate(table, duplicates, run)[relation]])
    words = ["".join(table["image_id"][groups == number]) for number in range(groups.max() + 1)]
    return {word for word in words if len(word) > 1}


def test_second_pictures_belong_to_their_specimen_and_to_no_other():
    names = ["K00012345_1", "K00012345-b", "K000123451", "K00012345 (2)", "00012345_1", "123451"]
    table = sheets(*((name, "", "", "") for name in names))
    assert joined(table, "specimen") == {"abd"}
    assert joined(table, "barcode_run") == {"abd"}


def test_a_mere_number_joins_within_its_institution():
    table = sheets(*(("12345", "", "", "") for _ in range(4)), ("777", "", "", ""), ("777", "", "", ""))
    table["institutionCode"] = ["NY", "US", "ny", "US", "NY", ""]
    table["catalogNumber"] = ["", "", "", "00012345", "", ""]
    assert joined(table, "specimen") == {"ac", "bd", "ef"}


def test_same_specimen_in_two_spellings():
    table = sheets(
        ("US 00012", "", "", ""), ("us12", "", "", ""), ("US 13", "", "", ""), ("", "", "", ""), ("", "", "", "")
    )
    assert joined(table, "specimen") == {"ab"}


def test_an_event_is_collector_and_number_or_collector_and_day():
    table = sheets(
        ("1", "F. Oduyale", "17", "1901-05-02"),
        ("2", "f.  oduyale", " 17", ""),
        ("3", "F. Oduyale", "18", "1901-05-02T00:00:00"),
        ("4", "F. Oduyale", "19", "1901-05"),
        ("5", "F. Oduyale", "20", "1901-05"),
        ("6", "R. Asunmaa", "17", "1901-05-02"),
        ("7", "F. Oduyale", "21", "1901-05-02/1901-05-09"),
    )
    assert joined(table, "event") == {"abc"}
    assert joined(table, "collector") == {"abcdeg"}


NOBODIES = ("", " ", "Anon.", "anonymous", "Unknown", "s.coll.", "s. leg.", "s.n.", "Sine collectore", "sine coll.")


@pytest.mark.parametrize("nobody", NOBODIES)
def test_nobody_joins_nothing(nobody):
    table = sheets(*[(str(number), nobody, "5", "1901-05-02") for number in (1, 30)])
    assert not joined(table, "event") and not joined(table, "collector")


@pytest.mark.parametrize("number", ["", "s.n.", "S. N.", "sine numero", "?"])
def test_no_number_joins_nothing(number):
    assert not joined(sheets(("1", "E. Marlowe", number, ""), ("30", "E. Marlowe", number, "")), "event")


def test_barcodes_in_a_row():
    table = sheets(
        *[(code, "", "", "") for code in ("US00010", "US00019", "US00020", "NY00011", "13", "", "no digits")]
    )
    assert joined(table, "barcode_run") == {"ab"}
    assert joined(table, "barcode_run", run=100) == {"abc"}


def test_duplicates_join_by_kind():
    table = sheets(*[(str(10 * number), "", "", "") for number in range(4)])
    pairs = pd.DataFrame(
        [("a", "c", "exact pixels", 0, 1.0, False), ("b", "d", "near", 3, 0.9, True)], columns=list(COLUMNS)
    )
    assert joined(table, "exact_duplicate", pairs) == {"ac"}
    assert joined(table, "near_duplicate", pairs) == {"bd"}


def test_groups_are_connected_components():
    pairs = [np.array([[0, 1], [3, 4]]), np.array([[1, 2]]), np.empty((0, 2), np.int64)]
    groups = find_groups(6, pairs)
    assert [list(groups).count(number) for number in groups] == [3, 3, 3, 2, 2, 1]
    assert find_groups(3, []).tolist() == [0, 1, 2]


def test_what_could_be_known_is_counted():
    table = sheets(
        ("US 1", "E. Marlowe", "", "1901-05-02"), ("", "E. Marlowe", "7", ""), ("3", "E. Marlowe", "s.n.", "1901"),
        ("4", "anon.", "7", "1901-05-02"),
    )  # fmt: skip
    known = comparable(table, 10)
    assert (known["specimen"], known["event"], known["collector"], known["near_duplicate"]) == (0.75, 0.5, 0.75, 1)


def test_a_sheet_in_no_part_leaks_nothing():
    split = pd.DataFrame({"part": ["train", None, "test", "test"]})
    related = {name: np.empty((0, 2), np.int64) for name in RELATIONS}
    related["event"] = np.array([[1, 2]])
    report = measure_leakage(split, related, dict.fromkeys(RELATIONS, 1.0))
    assert report["any"]["test_sheets"] == 0
    assert report["parts"] == {"train": 1, "validation": 0, "test": 2}


def test_leakage_is_counted_by_hand():
    split = pd.DataFrame({"part": ["train", "test", "train", "test", "validation", "test", "test"]})
    related = {name: np.empty((0, 2), np.int64) for name in RELATIONS}
    related["specimen"] = np.array([[0, 1], [3, 5]])  # one straddles, one lies within the test part
    related["near_duplicate"] = np.array([[4, 6], [1, 6]])
    related["collector"] = np.array([[0, 3]])
    report = measure_leakage(split, related, dict.fromkeys(RELATIONS, 1.0))
    assert report["parts"] == {"train": 2, "validation": 1, "test": 4}
    specimen = report["relations"]["specimen"]
    assert (specimen["sheets"], specimen["groups"], specimen["straddling"], specimen["test_sheets"]) == (4, 2, 1, 1)
    assert report["relations"]["near_duplicate"]["test_sheets"] == 2
    assert (report["any"]["groups"], report["any"]["test_sheets"], report["any"]["test_share"]) == (2, 2, 0.5)
    assert report["relations"]["collector"]["test_sheets"] == 1
