import math

import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.review.agreement import COLUMNS, measure_agreement, write_agreement
from sheetlens.review.decisions import NAME, Journal, read_entries
from sheetlens.review.queue import only, open_run
from sheetlens.review.static_page import write_static
from tests.browser.runs import write_run
from tests.conftest import sheetlens

ADA = ["stained", "stained", "unstained", "unstained", "stained", "unstained", "stained", "stained"]
BO = ["stained", "unstained", "unstained", "unstained", "stained", "stained", "stained", "stained"]


def decision(name, sheet, label, blind=True, **changes):
    kind = {"decision": "class" if label else "unsure", "label": label}
    return {
        "id": f"{name} {sheet} {len(changes)}", "image_id": sheet, "reviewer": name, "before": "", "reasons": [],
        "time": "2026-11-29T10:00:00+00:00", "chosen": {"how": "picked", "blind": blind}, **kind, **changes,
    }  # fmt: skip


def both(sheets, first=ADA, second=BO):
    return [
        decision(name, sheet, label)
        for name, labels in (("Ada", first), ("Bo", second))
        for sheet, label in zip(sheets, labels, strict=True)
    ]


def test_agreement_is_that_of_the_sheets_that_both_gave_a_class():
    entries = both([f"{number}.jpg" for number in range(8)])
    entries += [decision("Ada", "8.jpg", ""), decision("Bo", "8.jpg", "stained"), decision("Cleo", "9.jpg", "stained")]
    (row,) = measure_agreement(entries).to_dict("records")
    assert (row["reviewer"], row["other"], row["sheets"], row["unsure"]) == ("Ada", "Bo", 8, 1)
    assert row["agreement"] == 6 / 8 and row["kappa"] == pytest.approx(cohen_kappa_score(ADA, BO))
    assert row["blind"] == 8


def test_what_was_changed_after_the_prediction_was_seen_is_not_blind():
    entries = both(["0.jpg", "1.jpg"], ["stained"] * 2, ["stained", "unstained"])
    entries.append(decision("Bo", "1.jpg", "stained", blind=False, id="again"))
    (row,) = measure_agreement(entries).to_dict("records")
    assert (row["agreement"], row["blind"]) == (1, 1) and math.isnan(row["kappa"])


def test_a_table_of_agreement_goes_where_no_two_reviewers_met(tmp_path):
    entries, output = both(["=0.jpg"], ["stained"], ["stained"]), tmp_path / "agreement.csv"
    entries[0]["reviewer"] = "=Ada"
    (said,) = write_agreement(entries, output)
    assert said.startswith("=Ada and Bo gave 1 of the same sheets a class: agreement 100.0%, Cohen's kappa not defined")
    table = pd.read_csv(output)
    assert tuple(table.columns) == COLUMNS and table["reviewer"].tolist() == ["'=Ada"]
    assert write_agreement(entries[:1], output) == [] and not output.exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_queue_holds_exactly_the_sheets_of_a_table(tmp_path, ending):
    run = write_run(tmp_path / "run", 40, names=("=odd.jpg",))
    whole = open_run(run)
    wanted = [*whole.sheets["image_id"][[30, 3, 17]], "=odd.jpg"]
    written = [name if ending == "parquet" or name != "=odd.jpg" else "'=odd.jpg" for name in wanted]
    files.write_table(tmp_path / f"part.{ending}", pd.DataFrame({"image_id": [*written, written[0]], "note": "x"}))
    queue = only(whole, tmp_path / f"part.{ending}")
    assert queue.sheets["image_id"].tolist() == wanted
    assert all(queue.find(key) == place for place, key in enumerate(queue.sheets["key"]))
    assert queue.light()["named"] and {"picked"} == {chosen["how"] for chosen in queue.sheets["chosen"]}
    assert write_static(queue, tmp_path / "page")["sheets"] == 4, "doubtful or not"


def test_sheets_that_the_run_does_not_have_are_one_sentence(tmp_path):
    run = write_run(tmp_path / "run", 12)
    (tmp_path / "part.csv").write_text("image_id\nsheets/000003.jpg\ngone.jpg\nelsewhere.jpg\n")
    result = sheetlens("review", run, "--sheets", tmp_path / "part.csv")
    assert result.returncode == 1
    assert "names 2 sheets that" in result.stderr and "(gone.jpg, elsewhere.jpg): take them out" in result.stderr
    (tmp_path / "none.csv").write_text("image_id\n")
    with pytest.raises(UserError, match="names no sheets"):
        only(open_run(run), tmp_path / "none.csv")


def test_the_export_of_a_part_says_how_far_two_reviewers_agree_on_it(tmp_path):
    run = write_run(tmp_path / "run", 30)
    names = sorted(open_run(run).sheets["image_id"])[:9]
    journal = Journal(run / NAME)
    journal.append([*both(names[:8]), decision("Ada", names[8], "stained"), decision("Bo", names[8], "unstained")])
    journal.close()
    files.write_table(tmp_path / "part.csv", pd.DataFrame({"image_id": names[:8]}))
    result = sheetlens("review", run, "--sheets", tmp_path / "part.csv", "--export", tmp_path / "corrections.csv")
    assert result.returncode == 0, result.stderr
    kappa = cohen_kappa_score(ADA, BO)
    said = f"Ada and Bo gave 8 of the same sheets a class: agreement 75.0%, Cohen's kappa {kappa:.2f}; both blind on 8"
    assert said in result.stderr
    assert len(read_entries(run / NAME)) == 18 and len(pd.read_csv(tmp_path / "corrections.csv")) == 8
    assert pd.read_csv(tmp_path / "corrections-agreement.csv")["sheets"].tolist() == [8]
