"""Answers as Darwin Core: valid by the standards' terms, and read back without loss."""

import csv
import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetlens.common.errors import UserError
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.hotspots.darwin_core_export import BOX, Table, check, write_annotations, write_archive
from sheetlens.hotspots.terms import AC, DWC, FACT, IDENTIFICATION, OCCURRENCE, REGION
from sheetlens.pages.render import SAFETY_WARNING
from tests.conftest import sheetlens

DAY = date(2026, 11, 24)
ODD = '00000007 "left", =1+1\nعربي <b>'
CORE = Table("occurrences.csv", OCCURRENCE, [{"id": "1", f"{DWC}catalogNumber": "1"}])


def write_answers(folder, classes, rows):
    """Rows of image_id, specimen_id, decision and a probability for each class."""
    with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "specimen_id", "decision", *(f"probability_{name}" for name in classes)])
        writer.writerows(rows)
    facts = {"classes": classes, "network": "table1", "weights_sha256": "0123456789abcdef"}
    (folder / "model.json").write_text(json.dumps(facts))


def read_back(path):
    """Every table by row type, as our reader sees it: the id and all terms of each row."""
    with open_archive(path) as archive:
        return {
            table.row_type: [{"id": key} | row for key, row in archive.rows(table, table.terms)]
            for table in (archive.core, *archive.extensions)
        }


def short(rows):
    terms = dict.fromkeys(term for row in rows for term in row)
    return [{term.rsplit("/", 1)[-1]: row.get(term, "") for term in terms} for row in rows]


def test_flags_come_back_with_every_digit(tmp_path):
    random = np.random.default_rng(0)
    chances = [*random.random(20), 1e-300, 1.0]
    rows = [(f"{n}.jpg", f"{n:08d}", "review", str(p), str(1 - p)) for n, p in enumerate(chances)]
    write_answers(tmp_path, ["stained", "unstained"], [*rows, ("odd.jpg", ODD, "stained", "0.9", "0.1")])
    number = write_annotations(tmp_path / "answers.csv", tmp_path, "flags", DAY, tmp_path / "flags.zip")
    assert number == 23
    found = read_back(tmp_path / "flags.zip")
    assert [row["catalogNumber"] for row in found["Occurrence"]][-2:] == ["00000021", ODD]
    facts = found["MeasurementOrFact"]
    assert {row["measurementRemarks"] for row in facts} == {SAFETY_WARNING}
    got = [row["measurementValue"] for row in facts if row["measurementType"] == "probability of stained"]
    assert [float(value) for value in got[:-1]] == chances
    values = {row["id"]: row["measurementValue"] for row in facts if row["measurementType"] == "mercury stain"}
    assert (values[ODD], values["00000003"]) == ("stained", "review")
    parents = {row["measurementID"] for row in facts if not row["parentMeasurementID"]}
    assert {row["parentMeasurementID"] for row in facts} == parents | {""}


def test_determinations_are_made_where_the_model_decides_and_symbiota_gets_its_columns(tmp_path):
    rows = [
        ("1.jpg", "0001", "Lycopodiaceae", "0.9", "0.1"),
        ("2.jpg", "0002", "review", "0.4", "0.6"),
        ("3.jpg", "", "Lycopodiaceae", "0.9", "0.1"),
        ("4.jpg", "0004", "", "", ""),
    ]
    write_answers(tmp_path, ["Lycopodiaceae", "Selaginellaceae"], rows)
    result = sheetlens(
        "annotate", "determinations", "--predictions", "answers.csv", "--model", ".", "--date", "2026-11-24",
        "--output", "out.zip", cwd=tmp_path,
    )  # fmt: skip
    assert "2 specimens in out.zip" in result.stderr
    found = read_back(tmp_path / "out.zip")["Identification"]
    assert [(row["id"], row["scientificName"], row["family"], row["taxonRank"]) for row in found] == [
        ("0001", "Lycopodiaceae", "Lycopodiaceae", "family")
    ]
    assert found[0]["identificationVerificationStatus"] == "unverified"
    with (tmp_path / "out.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {"catalogNumber", "identifiedBy", "dateIdentified", "sciname"} <= set(table[0])  # what Symbiota demands
    assert (table[0]["catalogNumber"], table[0]["dateIdentified"]) == ("0001", "2026-11-24")
    assert (found[0]["identificationIsCurrent"], table[0]["isCurrent"]) == ("0", "N")  # the one by a person stays


def test_several_images_of_a_specimen_are_one_line_for_symbiota_and_none_is_forgotten(tmp_path):
    rows = [("1.jpg", "0001", "stained", "0.9", "0.1"), ("1b.jpg", "0001", "unstained", "0.2", "0.8")]
    write_answers(tmp_path, ["stained", "unstained"], rows)
    assert write_annotations(tmp_path / "answers.csv", tmp_path, "flags", DAY, tmp_path / "out.zip") == 1
    with (tmp_path / "out.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert json.loads(line["dynamicProperties"])["mercuryStain"] == "stained; unstained"


def test_boxes_become_regions(tmp_path):
    write_answers(tmp_path, ["stained", "unstained"], [("a.jpg", "7", "stained", "0.9", "0.1")])
    (tmp_path / "boxes.csv").write_text(f"image_id,{','.join(BOX)}\na.jpg,0.1,0.25,0.3,0.75\nother.jpg,0,0,1,1\n")
    write_annotations(tmp_path / "answers.csv", tmp_path, "flags", DAY, tmp_path / "a.zip", tmp_path / "boxes.csv")
    region = read_back(tmp_path / "a.zip")["RegionOfInterest"]
    assert [(row["id"], row["isROIOf"], *(row[name] for name in BOX)) for row in region] == [
        ("7", "a.jpg", "0.1", "0.25", "0.3", "0.75")
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60).map(str.strip)


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.fixed_dictionaries({"id": TEXT.filter(bool), f"{DWC}family": TEXT, f"{DWC}genus": TEXT}), min_size=1)
)
def test_any_text_comes_back_as_it_was(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.zip"
    core = Table("occurrences.csv", OCCURRENCE, [{"id": row["id"], f"{DWC}catalogNumber": "x"} for row in rows])
    write_archive(path, core, [Table("identifications.csv", IDENTIFICATION, rows)])
    assert read_back(path)["Identification"] == short(rows)


@pytest.mark.parametrize(
    ("kind", "classes"), [("flags", ["Lycopodiaceae", "Selaginellaceae"]), ("determinations", ["stained", "unstained"])]
)
def test_a_kind_that_does_not_fit_the_classes_is_refused(tmp_path, kind, classes):
    write_answers(tmp_path, classes, [("1.jpg", "0001", classes[0], "0.9", "0.1")])
    with pytest.raises(UserError, match="no class 'stained' of treated" if kind == "flags" else "are no taxa"):
        write_annotations(tmp_path / "answers.csv", tmp_path, kind, DAY, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("text", ["nul\0", "half \ud83d", "x" * 100_001])
def test_what_no_reader_takes_is_not_written(tmp_path, text):
    with pytest.raises(UserError, match="cannot be written"):
        write_archive(tmp_path / "a.zip", Table("o.csv", OCCURRENCE, [{"id": "1", f"{DWC}catalogNumber": text}]), [])
    assert not list(tmp_path.iterdir())


BOXED = dict(zip([AC + name for name in BOX], ("0.1", "0.1", "0.5", "0.5"), strict=True)) | {f"{AC}isROIOf": "a.jpg"}


@pytest.mark.parametrize(
    ("row_type", "row", "sentence"),
    [
        (FACT, {f"{DWC}measurmentType": "x"}, "is no term of"),
        (FACT, {f"{AC}measurementType": "x"}, "is no term of"),
        ("dwc:MeasurementOrFact", {f"{DWC}measurementType": "x"}, "is no term of"),
        (FACT, {f"{DWC}measurementType": ""}, "measurementType is empty"),
        (FACT, {f"{DWC}measurementType": "x", f"{DWC}measurementDeterminedDate": "24.11.2026"}, "no date"),
        (FACT, {"id": "2", f"{DWC}measurementType": "x"}, "not in the core"),
        (REGION, BOXED | {f"{AC}widthFrac": "0.95"}, "out of the picture"),
        (REGION, BOXED | {f"{AC}heightFrac": "0"}, "out of the picture"),
        (REGION, BOXED | {f"{AC}xFrac": "nan"}, "out of the picture"),
        (REGION, BOXED | {f"{AC}xFrac": "left"}, "four numbers"),
    ],
)
def test_what_is_not_of_the_standard_is_found(tmp_path, row_type, row, sentence):
    write_archive(tmp_path / "a.zip", CORE, [Table("t.csv", row_type, [{"id": "1"} | row])])
    with pytest.raises(UserError, match=sentence):
        check(tmp_path / "a.zip")


def test_what_is_of_the_standard_passes(tmp_path):
    write_archive(tmp_path / "a.zip", CORE, [Table("t.csv", REGION, [{"id": "1"} | BOXED])])
    check(tmp_path / "a.zip")
