"""What instruments found: every row counts as evidence or is named with the reason, whatever people wrote."""

import csv
import json

import pandas as pd
import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import Method, Records
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.hotspots.darwin_core_export import write_annotations
from sheetlens.hotspots.measurements import UNKNOWN_CABINET, UNKNOWN_SHEET, read_measurements
from sheetlens.hotspots.ranking import write_hotspots
from tests.unit.hotspots.test_darwin_core_export import DAY, write_answers
from tests.unit.hotspots.test_ranking import RECORDS, write_collection

BARCODES, CABINETS = {"1", "2", "3", "K7"}, {"C 01", "C 02"}
HEAD = "barcode,cabinet,method,value,unit,limit,positive,date,instrument\n"


def read(folder, lines, head=HEAD, methods=None):
    (folder / "tests.csv").write_text(head + lines, encoding="utf-8")
    return read_measurements(folder / "tests.csv", BARCODES, CABINETS, methods or {})


def test_every_row_is_used_or_named(tmp_path):
    found = read(
        tmp_path,
        "00001,,XRF,12,ppm,10,,2026-11-24,A\n"
        "1,,xrf,12,ppm,10,,24.11.2026,A\n"  # the same once more, otherwise spelt
        "2,,XRF,<5,ppm,10,,24/11/2026,A\n"
        "9,,XRF,50,ppm,10,,2026-11-24,A\n"  # never photographed
        ",c-01,Vapour,\"0,31\",µg/m³,\"0,1\",,,\n"
        ",C 09,vapour,0.31,ug/m3,0.1,,,\n"  # no such cabinet
        ",,vapour,0.31,ug/m3,0.1,,,\n"
        "3,,dowsing,1,,1,,,\n"
        "3,,XRF,50,ppm,10,no,,\n"
        "3,,XRF,,ppm,,,,\n"
        "3,,XRF,,,,perhaps,,\n"
        "K-7,,UV,,,,yes,03/13/2026,\n",
    )  # fmt: skip
    table = found.table.set_index("row")
    assert table["used"].tolist() == [True, False, True, False, True, *[False] * 6, True]
    assert table["positive"][["2", "4", "6", "13"]].tolist() == ["yes", "no", "yes", "yes"]
    assert table["cabinet"]["6"] == "C 01" and table["method"]["6"] == "vapour"
    assert table["reason"]["5"] == UNKNOWN_SHEET and table["reason"]["7"] == UNKNOWN_CABINET
    told = {odd["what"]: odd for odd in found.told()}
    assert len(told) == 8 and sum(odd["rows"] for odd in told.values()) == 8
    assert told[UNKNOWN_SHEET]["named"] == ["9 (row 5)"]
    assert any("'dowsing' is not known" in what for what in told)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2026-11-24", "24.11.2026", "24 Nov 2026"], ["2026-11-24"] * 3),
        (["24/11/2026", "03/04/2026"], ["2026-11-24", "2026-04-03"]),  # the first says that days come first
        (["11/24/2026", "03/04/2026"], ["2026-11-24", "2026-03-04"]),
        (["03/04/2026", "05/05/2026"], ["", "2026-05-05"]),
        (["24/11/2026", "11/24/2026", "03/04/2026"], ["2026-11-24", "2026-11-24", ""]),
        (["2026-11-24T10:15", "24.11.2026 10:15", "31.02.2026", "soon"], ["2026-11-24", "2026-11-24", "", ""]),
    ],
)
def test_dates_in_any_form_and_those_that_can_be_read_in_two_ways(tmp_path, dates, expected):
    found = read(tmp_path, "".join(f"{n + 1},,UV,,,,yes,{day},\n" for n, day in enumerate(dates[:3])))
    if len(dates) > 3:
        found = read(tmp_path, "".join(f"K7,,UV,,,,yes,{day},{n}\n" for n, day in enumerate(dates)))
    assert found.table["date"].tolist() == expected
    assert found.table["used"].all()
    odd = [row for row in found.told() if "date" in row["what"]]
    assert sum(row["rows"] for row in odd) == expected.count("")


def test_units_that_are_mixed_and_results_that_contradict_one_another_are_named_and_count(tmp_path):
    lines = "1,,XRF,12,ppm,10,,,\n2,,XRF,14,ppm,10,,,\n3,,XRF,0.002,%,0.001,,,\n1,,UV,,,,no,,\n"
    found = read(tmp_path, lines)
    assert found.table["used"].all() and found.table["positive"].tolist() == ["yes", "yes", "yes", "no"]
    told = {odd["what"]: odd["named"] for odd in found.told()}
    assert [names for what, names in told.items() if "another unit" in what] == [["3 (row 4)"]]
    assert [names for what, names in told.items() if "positive and negative" in what] == [["1 (row 2)", "1 (row 5)"]]


def test_a_limit_is_taken_from_the_other_rows_only_where_these_agree_and_have_its_unit(tmp_path):
    lines = "1,,XRF,12,ppm,10,,,\n2,,XRF,14,ppm,,,,\n3,,XRF,14,mg,,,,\n"
    assert read(tmp_path, lines).table["used"].tolist() == [True, True, False]
    assert read(tmp_path, lines + "K7,,XRF,14,ppm,20,,,\n").table["used"].tolist() == [True, False, False, True]


@pytest.mark.parametrize(("value", "limit", "result"), [
    ("10", "10", "yes"), ("9,99", "10", "no"), ("<10", "10", "no"), (">10", "10", "yes"), ("<50", "10", None),
    ("1e2", "10", "yes"), ("n/a", "10", None),
])  # fmt: skip
def test_a_value_and_its_limit(tmp_path, value, limit, result):
    table = read(tmp_path, f'1,,XRF,"{value}",ppm,{limit},,,\n').table
    assert table["used"][0] == (result is not None)
    assert result is None or table["positive"][0] == result


@pytest.mark.parametrize(("head", "lines", "sentence"), [
    ("barcode,value\n", "1,2\n", "has no column 'method'"), ("method,value\n", "XRF,2\n", "neither of which sheets"),
    (HEAD, "", "has no results"),
])  # fmt: skip
def test_what_is_no_table_of_results_is_refused(tmp_path, head, lines, sentence):
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, lines, head)


def test_a_method_of_ones_own(tmp_path):
    method = {"Dog": Method(sensitivity=0.8, specificity=0.8)}
    assert read(tmp_path, "1,,dog,,,,yes,,\n", methods=method).table["method"].tolist() == ["Dog"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two dozen cabinets in four families; cabinet 0 was found to be clean, cabinet 5 treated."""
    folder = tmp_path_factory.mktemp("measured")
    write_collection(folder, {f"shelf {n:02}": (30, 9 if n < 12 else 2) for n in range(24)})
    records = pd.read_csv(folder / "records.csv", dtype=str)
    records["family"] = ["Family" + str(int(name[-2:]) // 6) for name in records["cabinet"]]
    records.to_csv(folder / "records.csv", index=False)
    lines = ",shelf 00,vapour,,,,no,2026-11-24,L\n,shelf 05,vapour,0.4,ug/m3,0.1,,2026-11-24,L\n"
    lines += "".join(f"{30 * 6 + n:08},,XRF,1,ppm,10,,2026-11-25,B\n" for n in range(9))
    lines += "00000150,,XRF,77,ppm,10,,2026-11-25,B\n987654,,XRF,77,ppm,10,,2026-11-25,B\n"
    (folder / "tests.csv").write_text(HEAD + lines)
    here = Records(path=str(folder / "records.csv"), columns=RECORDS.columns)
    asked = (folder / "answers.csv", folder, [here], "stained", 8)
    before = write_hotspots(*asked, folder / "before")
    after = write_hotspots(*asked, folder / "after", measurements=folder / "tests.csv")
    return folder, before, after


def test_shares_and_the_next_plan_follow_from_what_was_measured(measured):
    folder, _, after = measured
    tables = [pd.read_csv(folder / name / "shares.csv").query("by == 'cabinet'") for name in ("before", "after")]
    before, now = (table.set_index("group")["treated"] for table in tables)
    assert now["shelf 00"] < 0.4 * before["shelf 00"] and now["shelf 05"] > before["shelf 05"]
    assert now["shelf 06"] < before["shelf 06"]  # nine of its named sheets are clean by XRF
    assert now["shelf 07"] < before["shelf 07"]  # of the same family
    tested = {"shelf 00", "shelf 05", "shelf 06"}
    assert not tested & {row["group"] for row in after["plan"]}
    assert after["measured"]["tested"] == 3 and after["measured"]["rows"] == 13 and after["measured"]["used"] == 12
    page = (folder / "after/hotspots.html").read_text()
    assert "Go on testing" in page and UNKNOWN_SHEET in page and "987654 (row 14)" in page
    assert "No sheet of this collection was checked" in page


def test_the_hazard_list_says_what_was_measured(measured):
    folder, *_ = measured
    rows = pd.read_csv(folder / "after/hazards.csv", dtype=str, keep_default_na=False).set_index("barcode")
    assert rows["measured"]["00000150"] == "XRF: positive, 77 ppm (limit 10), 2026-11-25"
    assert float(rows["probability_in_cabinet"]["00000150"]) > 0.95
    assert rows["measured"]["00000151"].startswith("cabinet vapour: positive, 0.4 ug/m3")


def test_results_of_sheets_go_back_as_darwin_core_with_method_unit_and_date(measured, tmp_path):
    folder, *_ = measured
    write_answers(tmp_path, ["stained", "unstained"], [("150.jpg", "00000150", "stained", "0.9", "0.1")])
    asked = (tmp_path / "answers.csv", tmp_path, "flags", DAY, tmp_path / "flags.zip")
    assert write_annotations(*asked, measurements=folder / "after/measurements.csv") == 11
    with open_archive(tmp_path / "flags.zip") as archive:
        (table,) = archive.extensions
        facts = [{"id": key} | row for key, row in archive.rows(table, table.terms)]
    short = [{term.rsplit("/", 1)[-1]: value for term, value in row.items()} for row in facts]
    own = [row for row in short if row["id"] == "00000150" and "XRF" in row["measurementMethod"]]
    assert [(row["measurementType"], row["measurementValue"]) for row in own] == [
        ("mercury test", "positive"), ("mercury", "77")
    ]  # fmt: skip
    assert own[1]["measurementUnit"] == "ppm" and own[1]["measurementDeterminedDate"] == "2026-11-25"
    assert own[1]["measurementMethod"] == "XRF, B" and own[1]["parentMeasurementID"] == own[0]["measurementID"]
    assert {row["id"] for row in short} >= {"987654", "00000180"}  # also those without a photograph
    with (tmp_path / "flags.csv").open(newline="") as file:
        table = {row["catalogNumber"]: json.loads(row["dynamicProperties"]) for row in csv.DictReader(file)}
    assert len(table) == 11 and table["00000150"]["mercuryStain"] == "stained"
    assert table["00000150"]["mercuryTests"] == [{"result": "positive", "method": "XRF, B", "date": "2026-11-25"}]
