"""From a run of `predict` to a sample, to what people saw, to what is said of the model on this collection."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from sheetlens.assess.collection import merge_strata, write_assessment
from sheetlens.assess.looks import read_looks
from sheetlens.assess.sampling import write_sample
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Records
from sheetlens.hotspots.ranking import write_hotspots
from sheetlens.predict.checked import read_checked
from sheetlens.prepare.corrections import COLUMNS
from sheetlens.review.decisions import NAME, Journal
from tests.conftest import sheetlens
from tests.unit.hotspots.test_ranking import CLASSES, PACKAGE

THRESHOLDS = [
    {"risk": risk, "threshold": 1.0, "coverage": 0.7, "unguaranteed": 0.5, "unguaranteed_coverage": 0.8}
    for risk in (0.05, 0.1)
]


ERRORS = {
    "stained": {"sensitivity": [900, 1000], "specificity": [950, 1000]},
    "unstained": {"sensitivity": [950, 1000], "specificity": [900, 1000]},
}
SAID = {"thresholds": THRESHOLDS, "independent": 100, "errors": ERRORS}


def write_run(folder, sheets=1500, sensitivity=0.75, specificity=0.85, seed=1, threshold=1.0):
    """A run whose model errs more than its package says; returns the true class of each image."""
    random = np.random.default_rng(seed)
    stained = random.random(sheets) < 0.2
    right = random.random(sheets) < np.where(stained, sensitivity, specificity)
    odds = np.exp(random.normal(1.5, 1, sheets) * np.where(right, 1.2, 0.6)) + 1.01
    chance = np.where(right == stained, odds / (1 + odds), 1 / (1 + odds))
    names = [f"{number:05}.jpg" for number in range(sheets)]
    folder.mkdir(parents=True, exist_ok=True)
    model = folder.parent / "model"
    model.mkdir(exist_ok=True)
    files.write_json(model / "package.json", PACKAGE | SAID)
    table = pd.DataFrame(
        {
            "image_id": [*names, "dark.jpg", "tree.jpg"],
            "specimen_id": [*(f"{number:05}" for number in range(sheets)), "dark", "tree"],
            "barcode": [*map(str, range(sheets)), "DARK", "TREE"],
            "probability_stained": [*chance, np.nan, np.nan],
            "probability_unstained": [*(1 - chance), np.nan, np.nan],
            "decision": [*np.where(chance > 0.5, *CLASSES), "", "review"],
            "distance": [*np.full(sheets, 0.5), np.nan, 2.0],
            "unlike": [*[False] * sheets, None, True],
            "status": [*["ok"] * sheets, "refused", "ok"],
        }
    )
    files.write_table(folder / "predictions.parquet", table)
    asked = {"risk": 0.05, "threshold": threshold, "guaranteed": True, "coverage": 0.7}
    title = {"title": "Mine <b>", "classes": CLASSES, "package_sha256": files.sha256(model / "package.json")}
    files.write_json(folder / "summary.json", {"model": title, "asked": asked, "comparison": None})
    cabinets = pd.DataFrame(
        {"barcode": table["specimen_id"][:sheets], "cabinet": [f"C{n % 30}" for n in range(sheets)]}
    )
    cabinets.to_csv(folder.parent / "cabinets.csv", index=False)
    return dict(zip(names, np.where(stained, *CLASSES), strict=True))


def records(folder):
    return Records(path=str(folder / "cabinets.csv"), barcode="barcode", columns={"storageLocation": "cabinet"})


def decide(run, truth, names, reviewer="ana", seen=False):
    """Write decisions of one person into the run's journal: the truth."""
    journal = Journal(run / NAME)
    time = "2026-11-24T10:00:00+00:00"
    for number, name in enumerate(names):
        label = truth[name]
        journal.append(
            [
                {
                    "id": f"{reviewer}{number}", "image_id": name, "reviewer": reviewer, "before": "", "time": time,
                    "decision": "class" if label else "unsure", "label": label, "reasons": [],
                    "chosen": {"how": "random", "probability": 0.1, "blind": not seen},
                }
            ]
        )  # fmt: skip
    journal.close()


@pytest.fixture(scope="module")
def assessed(tmp_path_factory):
    """A collection whose sample was looked at: one sheet is not sure, a part was seen by a second person."""
    folder = tmp_path_factory.mktemp("here")
    run = folder / "run"
    truth = write_run(run)
    text = records(folder).model_dump_json()
    drawn = sheetlens("sample", run, "--sheets", 300, "--records", text)
    assert drawn.returncode == 0, drawn.stderr
    names = files.read_table(run / "check/sample.csv")["image_id"].tolist()
    decide(run, truth | {names[0]: ""}, names)
    second = files.read_table(run / "check/second.csv")["image_id"].tolist()
    wrong = {name: CLASSES[truth[name] == CLASSES[0]] for name in second if name != names[0]}
    decide(run, truth | dict(list(wrong.items())[:2]), second, "ben", seen=True)
    said = sheetlens("assess", run, "--model", folder / "model")
    assert said.returncode == 0, said.stderr
    return folder, run, truth, drawn, said


def test_the_sample_is_of_known_probability_and_spread_over_the_cabinets(assessed):
    _, run, _, drawn, _ = assessed
    table = files.read_table(run / "check/sample.csv")
    assert list(table) == ["image_id", "barcode", "storageLocation", "stratum", "inclusion_probability"]
    assert len(table) == 300 and table["storageLocation"].nunique() == 30
    weights = 1 / table["inclusion_probability"].astype(float)
    assert weights.sum() == pytest.approx(1500)
    assert "+-" in drawn.stdout and "59 drawn at random" in drawn.stdout
    assert "1 images cannot be drawn: refused" in drawn.stderr and "1 images cannot be drawn: unlike" in drawn.stderr


def test_more_sheets_are_expected_to_tell_more(assessed):
    plan = files.read_table(assessed[1] / "check/plan.csv").astype(float)
    assert plan["sheets"].tolist() == [60, 100, 200, 300, 500, 1000]
    assert all(plan[name].is_monotonic_decreasing for name in ("accuracy", "sensitivity", "prevalence"))


def test_the_numbers_hold_the_truth_and_the_page_says_them(assessed):
    _, run, truth, _, said = assessed
    values = files.read_json(run / "check/check.json")
    table = files.read_table(run / "predictions.parquet").dropna(subset="probability_stained")
    stained = np.array([truth[name] == "stained" for name in table["image_id"]])
    named = (table["probability_stained"] > 0.5).to_numpy()
    own = values["classes"]["stained"]
    real = {"sensitivity": named[stained].mean(), "specificity": (~named)[~stained].mean()}
    real |= {"precision": stained[named].mean(), "prevalence": stained.mean()}
    for side, share in real.items():
        assert own[side]["low"] <= share <= own[side]["high"], side
    assert values["accuracy"]["low"] <= (named == stained).mean() <= values["accuracy"]["high"]
    assert own["verdict"] == "fit" and own["sensitivity"]["elsewhere"] == 0.9
    mirrored = values["classes"]["unstained"]
    assert mirrored["sensitivity"]["estimate"] == pytest.approx(own["specificity"]["estimate"])
    page = (run / "check/check.html").read_text()
    assert "Mine &lt;b&gt;" in page and "<script" not in page
    assert f"{100 * values['accuracy']['estimate']:.1f}" in page
    assert "1 sheets of the sample are not decided" in said.stderr or "not decided: reviewers" in said.stderr


def test_a_guarantee_that_does_not_hold_here_is_denied_with_the_reasons(assessed):
    values = files.read_json(assessed[1] / "check/check.json")
    assert values["guarantee"]["verdict"] == "does not apply"
    assert any("of 'unstained' here, and found 95 %" in reason for reason in values["guarantee"]["reasons"])


def test_what_is_open_who_agreed_and_who_saw_the_answer_is_told(assessed):
    values = files.read_json(assessed[1] / "check/check.json")
    assert sum(values["open"].values()) == 300 - values["looked_at"] in (2, 3)
    assert values["agreement"]["sheets"] == 60 and 0.9 < values["agreement"]["agreed"] < 1
    assert values["looked_at"] - 60 <= values["blind"] <= values["looked_at"] - 57


def test_hotspots_take_the_check_and_say_so(assessed, tmp_path):
    folder, run, *_ = assessed
    asked = (run / "predictions.parquet", folder / "model", [records(folder)], "stained", 5)
    before = write_hotspots(*asked, tmp_path / "before")
    after = write_hotspots(*asked, tmp_path / "after", checked=run / "check/check.json")
    assert abs(after["overall"]["estimate"] - 0.2) < abs(before["overall"]["estimate"] - 0.2) + 0.01
    assert after["known"][0][0] / after["known"][0][1] < 0.85
    assert "No sheet of this collection was checked" in (tmp_path / "before/hotspots.html").read_text()
    assert "No sheet of this collection was checked" not in (tmp_path / "after/hotspots.html").read_text()


def test_a_check_of_another_model_or_no_check_is_refused(assessed, tmp_path):
    _, run, *_ = assessed
    with pytest.raises(UserError, match="about another model"):
        read_checked(run / "check/check.json", "0" * 64)
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(UserError, match="no result of a check"):
        read_checked(tmp_path / "other.json", "0" * 64)


def test_a_sample_of_other_answers_is_refused(assessed, tmp_path):
    _, run, *_ = assessed
    write_run(tmp_path / "run", seed=2)
    with pytest.raises(UserError, match="drawn from other answers"):
        write_assessment(tmp_path / "run", tmp_path / "model", run / "check/sample.csv", None, None, tmp_path)


def test_answers_of_another_model_are_refused(assessed, tmp_path):
    _, run, *_ = assessed
    files.write_json(tmp_path / "package.json", PACKAGE)
    with pytest.raises(UserError, match="are not of the model"):
        write_assessment(run, tmp_path, run / "check/sample.csv", None, None, tmp_path)


@pytest.mark.parametrize("said", [{"errors": {"stained": ERRORS["stained"]}}, {"guarantee": None}])
def test_a_model_that_does_not_say_how_often_it_errs_is_refused(assessed, tmp_path, said):
    _, run, *_ = assessed
    package = {name: value for name, value in (PACKAGE | SAID | said).items() if value is not None}
    files.write_json(tmp_path / "package.json", package)
    shutil.copytree(run, tmp_path / "run")
    summary = files.read_json(run / "summary.json")
    summary["model"]["package_sha256"] = files.sha256(tmp_path / "package.json")
    files.write_json(tmp_path / "run/summary.json", summary)
    with pytest.raises(UserError, match="does not say how often it errs"):
        write_assessment(tmp_path / "run", tmp_path, run / "check/sample.csv", None, None, tmp_path)


def test_corrections_say_the_same_as_the_journal(assessed, tmp_path):
    folder, run, truth, *_ = assessed
    names = files.read_table(run / "check/sample.csv")["image_id"].tolist()
    rows = [
        dict.fromkeys(COLUMNS, "") | {"image_id": name, "label_after": truth[name], "decision": "accepted", "time": "x"}
        for name in names[2:]
    ]
    rows += [dict.fromkeys(COLUMNS, "") | {"image_id": names[0], "decision": "disagreement"}]
    files.write_table(tmp_path / "corrections.csv", pd.DataFrame(rows))
    looked = read_looks(run, tmp_path / "corrections.csv", names)
    assert looked.labels == {name: truth[name] for name in names[2:]}
    assert looked.open == {"reviewers disagree": 1, "not looked at": 1}
    assert looked.blind is None
    result = sheetlens(
        "assess", run, "--model", folder / "model", "--decisions", tmp_path / "corrections.csv", "--output", tmp_path
    )
    assert result.returncode == 0 and (tmp_path / "check.html").is_file()


@pytest.mark.parametrize(("sensitivity", "specificity", "verdict"), [(0.3, 0.72, "not fit"), (0.9, 0.95, "fit")])
def test_a_model_that_cannot_tell_the_classes_is_not_fit(tmp_path, sensitivity, specificity, verdict):
    run = tmp_path / "run"
    truth = write_run(run, 1500, sensitivity, specificity)
    write_sample(run, 400, [], 1, None, run / "check")
    decide(run, truth, files.read_table(run / "check/sample.csv")["image_id"].tolist())
    values = write_assessment(run, tmp_path / "model", run / "check/sample.csv", None, None, run / "check")
    assert values["classes"]["stained"]["verdict"] == verdict
    assert ("not fit for this collection" in (run / "check/check.html").read_text()) == (verdict == "not fit")
    assert values["guarantee"]["verdict"] == ("does not apply" if verdict == "not fit" else "not shown") or (
        verdict == "fit" and values["guarantee"]["verdict"] in ("applies", "not shown")
    )


def test_nothing_looked_at_says_what_to_do(tmp_path):
    run = tmp_path / "run"
    write_run(run, 200)
    result = sheetlens("assess", run, "--model", tmp_path / "model")
    assert result.returncode == 1 and "draw a sample first" in result.stderr
    write_sample(run, 60, [], 1, None, run / "check")
    result = sheetlens("assess", run, "--model", tmp_path / "model")
    assert result.returncode == 1 and "look at them with `sheetlens review` first" in result.stderr
    assert not (run / "check/check.json").exists()


def test_a_decision_of_another_run_does_not_count_and_is_said(tmp_path):
    run = tmp_path / "run"
    truth = write_run(run, 200)
    write_sample(run, 60, [], 1, None, run / "check")
    decide(run, truth, files.read_table(run / "check/sample.csv")["image_id"].tolist())
    lines = (run / NAME).read_text().splitlines()
    foreign = json.loads(lines[0]) | {"id": "elsewhere", "run": "0" * 16, "reviewer": "ben"}
    (run / NAME).write_text("\n".join([*lines, json.dumps(foreign), ""]))
    result = sheetlens("assess", run, "--model", tmp_path / "model")
    assert result.returncode == 0 and "60 sheets looked at" in result.stderr
    assert f"line 61 of {run / NAME} is left out (it is a decision of another run ({'0' * 16}))" in result.stderr


def test_an_empty_stratum_joins_its_neighbour_of_the_same_answer():
    strata, answer = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1])
    assert merge_strata(strata, answer, np.array([3, 4])).tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(UserError, match="one of the model's answers"):
        merge_strata(strata, answer, np.array([0, 2]))


def test_the_json_is_what_predict_reads(assessed):
    folder, run, *_ = assessed
    facts = read_checked(run / "check/check.json", files.sha256(folder / "model/package.json"))
    assert [row["risk"] for row in facts["thresholds"]] == [0.05, 0.1]
    assert {"threshold", "coverage", "unguaranteed", "unguaranteed_coverage"} < set(facts["thresholds"][0])
    assert json.loads((run / "check/check.json").read_text())["looked_at"] == len(facts["looks"])


def test_a_sample_that_was_cut_is_refused(assessed, tmp_path):
    folder, run, *_ = assessed
    lines = (run / "check/sample.csv").read_text().splitlines(keepends=True)
    (tmp_path / "sample.csv").write_text("".join(lines[:-3]))
    shutil.copy(run / "check/sample.json", tmp_path)
    with pytest.raises(UserError, match="has 297 sheets of the 300 that were drawn"):
        write_assessment(run, folder / "model", tmp_path / "sample.csv", None, None, tmp_path)
