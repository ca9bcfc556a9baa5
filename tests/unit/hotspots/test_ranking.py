"""From a table of answers and specimen records to ranked cabinets, a plan, a hazard list, labels and a page."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import Records
from sheetlens.hotspots.estimates import choose_tests, known_errors
from sheetlens.hotspots.ranking import read_sheets, write_hotspots
from sheetlens.pages.render import SAFETY_WARNING
from tests.conftest import sheetlens

CLASSES = ["stained", "unstained"]
PACKAGE = {
    "title": "Mine <b>", "classes": CLASSES, "confusion": [[90, 10], [5, 95]], "shares": dict.fromkeys(CLASSES, 0.5),
    "errors": {"stained": {"sensitivity": [90, 100], "specificity": [95, 100]}}, "floors": [], "reference": [],
    "independent": 0, "group_size": 1.0, "guarantee": 0.95,
    "files": {}, "fit": "squash", "image_size": 256, "limit": 1.0, "policy": "1", "temperature": 1.0, "thresholds": [],
}  # fmt: skip


def errors(sensitivity, specificity):
    """Other errors of the model."""
    return {"errors": {"stained": {"sensitivity": sensitivity, "specificity": specificity}}}


HOSTILE = '=HYPERLINK("http://x")<script>alert(1)</script>'
RECORDS = Records(path="records.csv", columns={"storageLocation": "cabinet"})


def write_collection(folder, cabinets):
    """Write answers and records: name of a cabinet -> (sheets, of them named as stained)."""
    answers, records = [], []
    for name, (sheets, named) in cabinets.items():
        for number in range(sheets):
            key = f"{len(answers):08d}"
            chance = 0.9 if number < named else 0.1
            answers.append((f"{key}.jpg", key, chance, 1 - chance, "ok"))
            records.append(
                (key, name, "Poaceae", f"{1850 + number % 30}-05-01", "PE", -9 - number % 7, -75 + number % 5)
            )
    names = ["image_id", "specimen_id", "probability_stained", "probability_unstained", "status"]
    pd.DataFrame(answers, columns=names).to_csv(folder / "answers.csv", index=False)
    columns = ["catalogNumber", "cabinet", "family", "eventDate", "countryCode", "decimalLatitude", "decimalLongitude"]
    pd.DataFrame(records, columns=columns).to_csv(folder / "records.csv", index=False)
    (folder / "package.json").write_text(json.dumps(PACKAGE))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hotspots")
    write_collection(folder, {HOSTILE: (40, 36), "three": (3, 3), **{f"shelf {n}": (60, 3) for n in range(12)}})
    with (folder / "answers.csv").open("a") as file:
        file.write("broken.jpg,broken,,,refused\nodd.jpg,odd,,,ok\n")
    result = sheetlens(
        "hotspots", "--predictions", "answers.csv", "--model", ".", "--records",
        RECORDS.model_dump_json(), "--tests", 4, "--output", "out", cwd=folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_cabinets_are_ranked_with_intervals(made):
    shares = [row for row in rows(made / "out/shares.csv") if row["by"] == "cabinet"]
    assert [row["group"] for row in shares[:2]] == ["'" + HOSTILE, "three"]
    assert all(float(row["low"]) <= float(row["share"]) <= float(row["high"]) for row in shares)
    assert float(shares[0]["share"]) > 0.8 > 0.1 > float(shares[2]["share"])
    kinds = {row["by"] for row in rows(made / "out/shares.csv")}
    assert kinds == {"cabinet", "family", "decade", "place"}


def test_the_plan_adds_up(made):
    plan = rows(made / "out/plan.csv")
    assert len(plan) == 4
    assert float(plan[-1]["expected"]) == pytest.approx(sum(float(row["treated"]) for row in plan))
    assert float(plan[-1]["expected"]) > float(plan[-1]["expected_at_random"])


def test_the_hazard_list_holds_every_sheet_named_and_no_formula(made):
    hazards = rows(made / "out/hazards.csv")
    assert len(hazards) == 36 + 3 + 36 + 4  # and the others of the cabinet that is nearly all treated
    assert hazards[0]["barcode"] == "00000000"
    assert all(not row["storageLocation"].startswith("=") for row in hazards)
    in_hot, in_cold = (
        next(row for row in hazards if row["storageLocation"] == name) for name in ("'" + HOSTILE, "shelf 1")
    )
    assert in_hot["probability"] == in_cold["probability"]
    assert float(in_hot["probability_in_cabinet"]) > 0.9 > float(in_cold["probability_in_cabinet"])


def test_page_and_labels_warn_and_names_stay_text(made):
    page = (made / "out/hotspots.html").read_text()
    assert page.count(SAFETY_WARNING) >= 3
    assert "<script" not in page and "Mine <b>" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "1, refused" in page and "1, unlike" in page
    labels = (made / "out/labels.pdf").read_bytes()
    assert labels.startswith(b"%PDF") and labels.count(b"/Type /Page ") == -(-(4 + 79) // 24)


def test_the_same_inputs_give_the_same_bytes(made, monkeypatch):
    monkeypatch.chdir(made)
    write_hotspots(made / "answers.csv", made, [RECORDS], "stained", 4, made / "again")
    for path in sorted((made / "out").iterdir()):
        assert path.read_bytes() == (made / "again" / path.name).read_bytes(), path.name


def test_a_collection_without_records_gets_a_hazard_list_and_is_told_why_no_more(tmp_path):
    write_collection(tmp_path, {"x": (30, 6)})
    values = write_hotspots(tmp_path / "answers.csv", tmp_path, [], "stained", 4, tmp_path / "out")
    assert values["hazards"] == 6
    assert "no cabinets can be ranked" in (tmp_path / "out/hotspots.html").read_text()


def test_a_model_that_does_not_say_how_large_the_classes_were_is_one_sentence(tmp_path):
    write_collection(tmp_path, {"x": (30, 6)})
    (tmp_path / "package.json").write_text(json.dumps(PACKAGE | {"shares": {"stained": 0.5}}))
    with pytest.raises(UserError, match="does not say how large the share of each class is"):
        write_hotspots(tmp_path / "answers.csv", tmp_path, [], "stained", 4, tmp_path / "out")


def test_images_of_one_specimen_count_once(tmp_path):
    (tmp_path / "p.csv").write_text(
        "image_id,specimen_id,probability_stained,probability_unstained\n"
        "a,00000007,0.9,0.1\nb,7.0,0.3,0.7\nc,8,0.2,0.8\nd,,0.8,0.2\n"
    )
    sheets, _ = read_sheets(tmp_path / "p.csv", [], CLASSES, "stained")
    assert sheets["probability_stained"].tolist() == pytest.approx([0.6, 0.2, 0.8])
    assert sheets["named"].tolist() == [True, False, True]


def test_errors_are_counted_in_independent_sheets():
    assert known_errors(PACKAGE, "stained") == ((90, 100), (95, 100))
    with pytest.raises(UserError, match="does not say how often it errs on 'other'"):
        known_errors(PACKAGE, "other")
    with pytest.raises(UserError, match="lacks sheets of the class"):
        known_errors(errors([0, 0], [9, 10]), "stained")


def test_counts_are_those_of_the_sheets_that_are_there(made):
    for row in rows(made / "out/shares.csv"):
        assert 0 <= int(row["fewest"]) <= int(row["most"]) <= int(row["sheets"])


def test_tested_sheets_are_known_and_teach_the_errors(tmp_path):
    """Five cabinets were tested and hold nothing treated, though the network named many there: false alarms."""
    write_collection(tmp_path, {f"C{number}": (60, 9) for number in range(12)})
    records = RECORDS.model_copy(update={"path": str(tmp_path / "records.csv")})
    before = write_hotspots(tmp_path / "answers.csv", tmp_path, [records], "stained", 4, tmp_path / "before")
    tested = "".join(f"{number:08d},unstained\n" for number in range(300))
    (tmp_path / "checks.csv").write_text("barcode,label\n" + tested)
    checks = tmp_path / "checks.csv"
    after = write_hotspots(tmp_path / "answers.csv", tmp_path, [records], "stained", 4, tmp_path / "after", checks)
    assert after["checked"] == 300 and after["checked_cabinets"] == 5
    known = pd.read_csv(tmp_path / "after/shares.csv").query("by == 'cabinet'").set_index("group")
    assert (known.loc[[f"C{number}" for number in range(5)], "most"] == 0).all()
    assert after["overall"]["estimate"] < 0.6 * before["overall"]["estimate"]
    assert "No cabinet of this collection has been tested" in (tmp_path / "before/hotspots.html").read_text()
    assert "5 tested cabinets" in (tmp_path / "after/hotspots.html").read_text()


@pytest.mark.parametrize(
    ("text", "sentence"), [("1,odd\n", "label 'odd' is none of"), ("99999999,stained\n", "none of its 1 barcodes")]
)
def test_checks_that_will_not_do_are_named(tmp_path, text, sentence):
    write_collection(tmp_path, {"x": (3, 1)})
    (tmp_path / "checks.csv").write_text("barcode,label\n" + text)
    with pytest.raises(UserError, match=sentence):
        write_hotspots(tmp_path / "answers.csv", tmp_path, [], "stained", 4, tmp_path / "o", tmp_path / "checks.csv")


def test_a_recall_floor_widens_the_hazard_list_and_is_promised(tmp_path):
    write_collection(tmp_path, {"x": (30, 6)})
    floor = [{"class": "stained", "missed": 0.05, "threshold": -3.0}]  # below the log-odds of 0.1
    (tmp_path / "package.json").write_text(json.dumps(PACKAGE | {"floors": floor}))
    values = write_hotspots(tmp_path / "answers.csv", tmp_path, [], "stained", 4, tmp_path / "out")
    assert values["hazards"] == 30
    assert "miss at most 5" in (tmp_path / "out/hotspots.html").read_text()


def test_an_interval_holds_its_mean_and_is_drawn(tmp_path):
    """Of a skew distribution the shortest interval may not."""
    sheets, named = [200] * 12 + [1, 2, 60, 50], [1] * 12 + [0, 0, 54, 40]
    write_collection(tmp_path, {f"C{number}": counts for number, counts in enumerate(zip(sheets, named, strict=True))})
    records = RECORDS.model_copy(update={"path": str(tmp_path / "records.csv")})
    write_hotspots(tmp_path / "answers.csv", tmp_path, [records], "stained", 4, tmp_path / "out")
    shares = pd.read_csv(tmp_path / "out/shares.csv")
    assert (shares["low"] <= shares["share"]).all() and (shares["share"] <= shares["high"]).all()


def test_sheets_without_a_cabinet_stay_on_the_list_where_no_share_can_be_said(tmp_path):
    write_collection(tmp_path, {"x": (200, 190)})
    (tmp_path / "package.json").write_text(json.dumps(PACKAGE | errors([80, 100], [95, 100])))
    values = write_hotspots(tmp_path / "answers.csv", tmp_path, [], "stained", 4, tmp_path / "out")
    assert values["overall"]["estimate"] is None and values["hazards"] >= 190
    hazards = pd.read_csv(tmp_path / "out/hazards.csv")
    assert hazards.loc[hazards["probability"] > 0.8, "probability_in_cabinet"].min() > 0.9


def test_answers_that_contradict_the_known_errors_give_no_estimate(tmp_path):
    write_collection(tmp_path, {"x": (1000, 5)})
    (tmp_path / "package.json").write_text(json.dumps(PACKAGE | errors([90, 100], [800, 1000])))
    values = write_hotspots(tmp_path / "answers.csv", tmp_path, [], "stained", 4, tmp_path / "out")
    assert values["overall"]["estimate"] is None
    assert "How many are treated cannot be said" in (tmp_path / "out/hotspots.html").read_text()


def test_the_likeliest_are_tested_first_and_the_order_breaks_ties():
    assert choose_tests(np.array([0.2, 0.99999, 0.5, 1.0]), 3).tolist() == [1, 3, 2]


@pytest.mark.parametrize(
    ("label", "answers", "sentence"),
    [
        ("tainted", None, "has no class 'tainted'; its classes are stained, unstained"),
        ("stained", "image_id,specimen_id\n1,1\n", "has no column 'probability_stained'"),
        ("stained", "image_id,probability_stained,probability_unstained\n1,,\n", "nothing to say"),
    ],
)
def test_what_will_not_do_is_named(tmp_path, label, answers, sentence):
    write_collection(tmp_path, {"x": (3, 1)})
    if answers:
        (tmp_path / "answers.csv").write_text(answers)
    with pytest.raises(UserError, match=sentence):
        write_hotspots(tmp_path / "answers.csv", tmp_path, [], label, 4, tmp_path / "out")
