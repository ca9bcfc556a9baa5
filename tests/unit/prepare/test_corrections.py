import csv

import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import read_settings
from sheetlens.prepare.corrections import Corrector
from sheetlens.review.decisions import Journal, read_entries, standing
from sheetlens.review.export import write_corrections

LISTING = [
    {"image_id": "=a.jpg", "label": "stained", "status": "ok", "reason": ""},
    {"image_id": "b.jpg", "label": "stained", "status": "ok", "reason": ""},
    {"image_id": "c.jpg", "label": "unstained", "status": "ok", "reason": ""},
]


def decision(number, image_id, label, reviewer="Ada", **others):
    entry = {"id": str(number), "image_id": image_id, "reviewer": reviewer, "decision": "class", "label": label}
    return entry | {"before": "stained", "reasons": ["suspect"], "time": "2026-11-27T10:00:00+00:00"} | others


def export(folder, *entries):
    write_corrections(entries, {"b.jpg": "7"}, folder / "corrections.csv")
    return folder / "corrections.csv"


def test_corrections_change_labels_and_say_who_and_when(tmp_path):
    unsure = decision(3, "c.jpg", "", decision="unsure", before="unstained")
    path = export(tmp_path, decision(1, "=a.jpg", "unstained"), decision(2, "b.jpg", "stained"), unsure)
    assert [row["image_id"] for row in csv.DictReader(path.open())] == ["'=a.jpg", "b.jpg", "c.jpg"]
    corrector = Corrector(path, leave_out_unsure=True)
    corrector.check(LISTING)
    a, b, c = corrector.apply(LISTING)
    assert (a["label"], a["label_before"], a["corrected_by"]) == ("unstained", "stained", "Ada")
    assert a["corrected_at"] == "2026-11-27T10:00:00+00:00"
    assert (b["label"], b["label_before"], b["status"]) == ("stained", "", "ok")
    assert (c["status"], c["reason"]) == ("refused", "left out: Ada could not tell its class")
    assert [row["status"] for row in Corrector(path, leave_out_unsure=False).apply(LISTING)] == ["ok"] * 3


def test_names_with_line_breaks_come_back_whole(tmp_path):
    names = ["two\nlines.jpg", "old\rline.jpg", 'quote",.jpg']
    listing = [{"image_id": name, "label": "stained", "status": "ok", "reason": ""} for name in names]
    path = export(tmp_path, *(decision(number, name, "stained") for number, name in enumerate(names)))
    Corrector(path, False).check(listing + LISTING)
    assert {row["image_id"] for row in csv.DictReader(path.open(newline=""))} == set(names)


def test_reviewers_who_disagree_correct_nothing(tmp_path):
    path = export(tmp_path, decision(1, "b.jpg", "unstained"), decision(2, "b.jpg", "stained", "Bo"))
    assert [row["label"] for row in Corrector(path, True).apply(LISTING)] == ["stained", "stained", "unstained"]


@pytest.mark.parametrize(
    ("image_id", "label", "said"),
    [("d.jpg", "stained", "corrects 'd.jpg', which the data set does not have"), ("b.jpg", "moss", "the label 'moss'")],
)
def test_what_the_data_set_does_not_have_is_an_error(tmp_path, image_id, label, said):
    with pytest.raises(UserError, match=said):
        Corrector(export(tmp_path, decision(1, image_id, label)), False).check(LISTING)


def test_lines_that_contradict_one_another_are_an_error(tmp_path):
    path = export(tmp_path, decision(1, "b.jpg", "unstained"))
    line = path.read_text().splitlines()[1]
    path.write_text(path.read_text() + line.replace('"unstained","changed"', '"stained","accepted"') + "\n")
    with pytest.raises(UserError, match="contradict each other about"):
        Corrector(path, False)


def test_journal_cuts_a_torn_line_off_and_doubles_nothing(tmp_path):
    path = tmp_path / "decisions.jsonl"
    journal = Journal(path)
    journal.append([decision(1, "b.jpg", "stained"), decision(1, "b.jpg", "stained")])
    with pytest.raises(UserError, match="another process"):
        Journal(path)
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"id": "2", "ima')
    journal = Journal(path)
    journal.append([decision(1, "b.jpg", "stained"), decision(3, "b.jpg", "unstained")])
    journal.append([decision(4, "b.jpg", "", decision="undo", undoes="3")])
    journal.close()
    assert [entry["id"] for entry in read_entries(path)] == ["1", "3", "4"]
    assert standing(read_entries(path))["b.jpg"]["Ada"]["label"] == "stained"


def test_config_knows_corrections():
    dataset = {"title": "t", "source": "demo", "demo": {"task": "stain", "sheets": 8}, "network": "table1"}
    settings = read_settings({"datasets": {"own": dataset | {"corrections": {"path": "c.csv"}}}})
    assert settings.datasets["own"].corrections.path == "c.csv"
