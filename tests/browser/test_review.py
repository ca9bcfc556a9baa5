import csv
import json

import pytest
from axe_playwright_python.sync_playwright import Axe

from sheetlens.common import files
from sheetlens.review.decisions import NAME, read_entries, standing
from sheetlens.review.export import write_corrections
from sheetlens.review.likeness import open_likeness
from sheetlens.review.queue import open_run
from tests.browser.conftest import until
from tests.browser.runs import TORN, write_model, write_run
from tests.conftest import sheetlens
from tests.unit.finished_study import MadeUp, make_study
from tests.unit.review.test_likeness import features_of, write_features

HOSTILE = ("<script>document.title='broken'</script>.jpg", "=cmd|'/c calc'!A0", "\u202egpj.exe", "x" * 100_000)
DELIVERED = "!Object.keys(localStorage).some((name) => name.startsWith('sheetlens-review:'))"


def test_decisions_outlive_kills_and_are_never_doubled(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 400)
    server = serve(run)
    page = reviewer(server, "Ada")
    for number in range(200):
        if number == 90:
            server.kill()
        if number == 120:
            server.start()
        page.keyboard.press("afu12"[number % 5])
    page.reload()
    until(page, DELIVERED)
    entries = read_entries(run / NAME)
    assert len(entries) == len({entry["id"] for entry in entries}) == 200
    assert len(standing(entries)) == 200
    until(page, "document.getElementById('progress').textContent.includes('200 decided by you')")
    assert page.locator("main *").count() < 200


def test_before_the_page_has_started_no_control_can_be_used(tmp_path, serve, reviewer):
    """What is chosen early would be set back by the queue when it comes: a prediction shown that was to be hidden."""
    page = reviewer(serve(write_run(tmp_path / "run", 60)), "Ada", waits=False, held="queue.json")
    names = ("reason", "class", "decided", "blind")
    assert all(page.is_disabled(f"#{name}") for name in names)
    page.held.pop().continue_()
    page.check("#blind")
    assert page.evaluate("document.body.classList.contains('blind')")
    assert [name for name in names if page.is_disabled(f"#{name}")] == ["class"], "it tells the prediction"


def test_undo_gives_back_what_stood_before(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 60)
    page = reviewer(serve(run), "Ada")
    for key in ("1", "ArrowLeft", "2", "z"):
        page.keyboard.press(key)
    until(page, DELIVERED)
    (given,) = standing(read_entries(run / NAME)).values()
    assert given["Ada"]["label"] == "stained"


def test_a_decision_that_the_server_refuses_holds_no_other_up(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 60)
    server = serve(run)
    page = reviewer(server, "Ada")
    server.kill()
    for _ in range(3):
        page.keyboard.press("1")
    stranger = "{ ...JSON.parse(localStorage.getItem(name)), key: 'another run', id: 'strange' }"
    page.evaluate(f"""() => {{
        const name = Object.keys(localStorage).find((name) => name.startsWith('sheetlens-review:'));
        localStorage.setItem('sheetlens-review:/:strange', JSON.stringify({stranger}));
    }}""")
    server.start()
    until(page, DELIVERED)
    assert len(standing(read_entries(run / NAME))) == 3
    said = page.text_content("#aside")
    assert said.startswith("The server refused 1 decision, which does not count (not decisions: an unknown sheet")
    page.reload()
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("an unknown sheet").wait_for()
    page.get_by_role("button", name="Forget").click()
    assert page.text_content("#aside") == ""
    assert len(read_entries(run / NAME)) == 3


def test_a_sheet_can_be_looked_at_closely(tmp_path, serve, reviewer):
    page = reviewer(serve(write_run(tmp_path / "run", 30, size=(2400, 3400))), "Ada")
    for _ in range(3):
        page.keyboard.press("+")
    until(page, "document.getElementById('picture').naturalHeight === 3400")
    width = "document.getElementById('picture').clientWidth / document.getElementById('sheet').clientWidth"
    assert abs(page.evaluate(width) - 1.5**3) < 0.01
    left = page.evaluate("document.getElementById('sheet').scrollLeft")
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("document.getElementById('sheet').scrollLeft") > left
    page.keyboard.press("0")
    assert page.evaluate(width) == 1
    page.mouse.move(300, 400)
    page.mouse.wheel(0, -100)
    until(page, f"{width} > 1.1")
    page.mouse.down()
    page.mouse.move(200, 300)
    page.mouse.up()
    assert page.evaluate(width) > 1.1, "a drag is no click"
    page.mouse.click(200, 300)
    assert page.evaluate(width) == 1
    page.get_by_role("button", name="closer").click()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(width) == 1, "the next sheet is shown whole"
    assert "sheet 2 of" in page.text_content("#progress")


def test_refused_files_are_shown_with_their_reason(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 30, refused=1)
    (run / "photographs/torn.jpg").write_text("nothing left")
    page = reviewer(serve(run), "Ada")
    page.select_option("#reason", label="could not be read")
    page.get_by_text(TORN).wait_for()
    page.get_by_text("There is no picture to show of this file.").wait_for()
    page.select_option("#reason", label="all doubtful")
    until(page, "document.getElementById('unshown').hidden && document.getElementById('picture').naturalWidth > 0")


def test_the_evidence_is_laid_over_a_sheet_when_asked_for(tmp_path, serve, reviewer):
    run, model = write_run(tmp_path / "run", 30), write_model(tmp_path / "model")
    page = reviewer(serve(run, "--model", model), "Ada")
    plain = page.get_attribute("#picture", "src")
    for shown in (True, False, True):
        page.keyboard.press("e")
        until(page, f"document.getElementById('picture').src.includes('evidence') === {str(shown).lower()}", 60)
    until(page, "document.getElementById('picture').naturalWidth === 300")
    assert "Coloured: what speaks for" in page.text_content("#evidence")
    page.keyboard.press("ArrowRight")
    until(page, "document.getElementById('evidence').textContent === ''")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#picture", "src") == plain


def test_the_page_as_files_keeps_decisions_and_saves_the_same_corrections(tmp_path, reviewer):
    names = tuple(f'{number} "old"\rline.jpg' for number in range(300))
    run, faults = write_run(tmp_path / "run", 300, names=names, refused=1), []
    answers = files.read_table(run / "predictions.parquet")
    files.write_table(run / "predictions.parquet", answers.assign(unlike=True))  # so that some stand as a class
    result = sheetlens("review", run, "--static", tmp_path / "page")
    assert result.returncode == 0, result.stderr
    index = tmp_path / "page/index.html"
    page = reviewer(index, "=Ada")
    page.on("console", lambda message: faults.append(message.text))
    page.keyboard.type("12u1sz2aaaaaa")
    page.fill("#reviewer", 'Bo, the "second"')
    page.press("#reviewer", "Enter")
    for key in (*["ArrowLeft"] * 7, "1", *["ArrowLeft"] * 3, "2"):
        page.keyboard.press(key)
    page.reload()
    until(page, "document.getElementById('progress').textContent.includes('decided by you')")
    stored = "Object.entries(localStorage).filter(([name]) => name.startsWith('sheetlens-review:'))"
    made = [json.loads(text) for _, text in page.evaluate(stored)]
    assert len(made) == 14
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save corrections").click()
    queue = open_run(run)
    sheets = {key: queue.detail(queue.find(key)) for key in queue.sheets["key"]}
    entries = [
        entry | {name: sheets[entry["key"]][name] for name in ("image_id", "before", "reasons")}
        | {"time": entry["time"][:19] + "+00:00"}
        for entry in sorted(made, key=lambda entry: entry["made"])
    ]  # fmt: skip
    barcodes = {sheet["image_id"]: sheet["barcode"] for sheet in sheets.values()}
    counts = write_corrections(entries, barcodes, tmp_path / "corrections.csv")
    assert all(counts.values()), counts
    assert saved.value.path().read_bytes() == (tmp_path / "corrections.csv").read_bytes()
    assert not faults


def test_hostile_metadata_is_text_in_files_too(tmp_path, reviewer):
    run = write_run(tmp_path / "run", 4, names=HOSTILE)
    answers = files.read_table(run / "predictions.parquet")
    answers = answers.assign(decision="review", reason="</script><img src=x onerror=alert(1)>")
    files.write_table(run / "predictions.parquet", answers)
    assert sheetlens("review", run, "--static", tmp_path / "page").returncode == 0
    page = reviewer(tmp_path / "page/index.html", "Ada")
    shown = set()
    for _ in HOSTILE:
        page.wait_for_timeout(200)
        shown.add(page.text_content("#name"))
        page.keyboard.press("ArrowRight")
    assert shown == {name if len(name) <= 500 else name[:500] + "…" for name in HOSTILE}
    assert "</script><img" in page.text_content("#reason-given")
    assert page.locator("section img").count() == 0
    page.evaluate("""() => document.head.append(
        Object.assign(document.createElement('script'), { textContent: "document.title = 'broken'" }))""")
    assert page.title() == "Sheetlens: review", "the policy holds in opened files, too"


def test_two_reviewers_at_once_and_their_disagreement(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 60)
    server = serve(run)
    ada, bo = reviewer(server, "Ada"), reviewer(server, "Bo")
    for number in range(10):
        ada.keyboard.press("1")
        bo.keyboard.press("2" if number == 0 else "1")
    for page in (ada, bo):
        until(page, DELIVERED)
    assert len(read_entries(run / NAME)) == 20
    ada.reload()
    ada.get_by_text("Reviewers disagree. Bo: unstained").wait_for()
    result = sheetlens("review", run, "--export", tmp_path / "corrections.csv")
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "corrections.csv").open()))
    assert len(rows) == 10
    (split,) = [row for row in rows if row["decision"] == "disagreement"]
    assert (split["label_after"], split["reviewer"]) == ("", "Ada; Bo")


SEEN = "[...document.querySelectorAll('.answer')].filter((one) => one.innerText && one.checkVisibility()).length"


def test_blind_the_prediction_is_hidden_until_ones_own_decision(tmp_path, serve, reviewer):
    run, model = write_run(tmp_path / "run", 60, names=("stained/0.jpg",)), write_model(tmp_path / "model")
    server = serve(run, "--blind", "--model", model)
    page = reviewer(server, "Ada")
    assert page.is_checked("#blind") and page.is_disabled("#class")
    first = page.text_content("#name")
    for key in ("a", "f", "e"):
        page.keyboard.press(key)
        until(page, "document.getElementById('last').textContent.includes('prediction is hidden until you decided')")
        assert page.evaluate(SEEN) == 0 and "evidence" not in page.get_attribute("#picture", "src")
    assert "(a: as it is)" not in page.text_content("#choices") and not read_entries(run / NAME)
    page.keyboard.press("1")
    until(page, "document.getElementById('last').textContent.startsWith('You said stained. The model takes it for ')")
    assert page.evaluate(SEEN) == 0, "of the next sheet nothing is shown"
    page.keyboard.press("ArrowLeft")
    until(page, f"{SEEN} > 2")
    assert page.text_content("#name") == first and "(a: as it is)" in page.text_content("#choices")
    page.keyboard.press("2")  # changed after the prediction was seen
    page.keyboard.press("b")
    until(page, "!document.getElementById('blind').checked")
    last = page.evaluate("position + 1 === chosen.length")  # keys are drawn anew for each run
    page.keyboard.press("ArrowLeft" if last else "ArrowRight")
    until(page, f"{SEEN} > 2")
    page.keyboard.press("b")
    until(page, f"{SEEN} === 0")
    page.keyboard.press("1")  # it has been shown before
    until(page, DELIVERED)
    assert [entry["chosen"]["blind"] for entry in read_entries(run / NAME)] == [True, False, False]
    page.select_option("#reason", "all")
    shown = page.evaluate("chosen.map((place) => queue.keys[place])")
    assert len(shown) == 60 and shown == sorted(shown), "the order of doubt would tell"


def test_blind_a_second_reviewer_does_not_see_what_the_first_said(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 60)
    files.write_table(tmp_path / "part.csv", files.read_table(run / "predictions.parquet")[["image_id"]].head(12))
    server = serve(run, "--blind", "--sheets", tmp_path / "part.csv")
    ada = reviewer(server, "Ada")
    until(ada, "document.getElementById('progress').textContent.startsWith('sheet 1 of 12')")
    for number in range(12):
        ada.keyboard.press("12"[number % 2])
    until(ada, DELIVERED)
    bo = reviewer(server, "Bo")
    until(bo, "known.size === 12")
    assert bo.evaluate(SEEN) == 0
    for number in range(12):
        bo.keyboard.press("12"[number % 3 == 1])
    until(bo, DELIVERED)
    until(bo, "document.getElementById('others').checkVisibility()")
    result = sheetlens("review", run, "--sheets", tmp_path / "part.csv", "--export", tmp_path / "corrections.csv")
    assert "Ada and Bo gave 12 of the same sheets a class: agreement 50.0%, Cohen's kappa 0.00; both blind on 12" in (
        result.stderr
    )


def test_more_like_this_one(tmp_path, serve, reviewer):
    make_study(tmp_path, MadeUp(seeds=(1,)))
    study = tmp_path / "results/mercury"
    _, values = features_of(study)
    write_features(study, values)
    page = reviewer(serve(study), "Ada")
    page.select_option("#reason", "all")
    first = page.evaluate("sheetKey()")
    page.get_by_role("button", name="more like this one").click()
    until(page, "document.getElementById('progress').textContent.startsWith('sheet 1 of 25')")
    assert page.evaluate("sheetKey()") == first
    queue = open_run(study)
    nearest = open_likeness(queue).nearest(queue.find(first))
    page.keyboard.press("ArrowRight")
    assert page.evaluate("sheetKey()") == queue.sheets["key"][nearest[0]]
    page.select_option("#reason", "all")
    until(page, "document.getElementById('progress').textContent.includes('of 80')")


def test_without_features_there_is_no_button_for_like_sheets(tmp_path, serve, reviewer):
    page = reviewer(serve(write_run(tmp_path / "run", 12)), "Ada")
    assert page.get_by_role("button", name="more like this one").count() == 0
    page.keyboard.press("l")
    assert "sheet 1 of" in page.text_content("#progress") and page.text_content("#last") == ""


def test_hostile_metadata_is_text(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 4, names=HOSTILE)
    page = reviewer(serve(run), "=Ada")
    page.select_option("#reason", "all")
    shown = set()
    for _ in HOSTILE:
        page.wait_for_timeout(200)
        shown.add(page.text_content("#name"))
        page.keyboard.press("1")
    assert shown == {name if len(name) <= 500 else name[:500] + "…" for name in HOSTILE}
    assert page.title() == "Sheetlens: review"
    until(page, DELIVERED)
    sheetlens("review", run, "--export", tmp_path / "corrections.csv")
    rows = list(csv.DictReader((tmp_path / "corrections.csv").open()))
    assert {row["image_id"][:5] for row in rows} == {"'=cmd", "<scri", "\u202egpj.", "xxxxx"}
    assert {row["reviewer"] for row in rows} == {"'=Ada"}


@pytest.mark.parametrize("as_files", [False, True])
def test_page_has_no_grave_fault_of_accessibility(tmp_path, serve, reviewer, as_files):
    run, model = write_run(tmp_path / "run", 60), write_model(tmp_path / "model")
    if as_files:
        sheetlens("review", run, "--static", tmp_path / "page")
    page = reviewer(tmp_path / "page/index.html" if as_files else serve(run, "--model", model), "Ada")
    page.keyboard.press("+")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert not [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")]


def test_fifty_thousand_rows_show_a_picture(tmp_path, serve, reviewer):
    page = reviewer(serve(write_run(tmp_path / "run", 50_000)), "Ada")
    page.select_option("#reason", "all")
    page.get_by_text("of 50000").wait_for()
    assert "Unstained is not safe" in page.text_content("#warning")
    assert page.locator("body *").count() < 200
