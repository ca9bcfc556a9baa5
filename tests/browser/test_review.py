import csv

from axe_playwright_python.sync_playwright import Axe

from sheetlens.review.journal import NAME, read_entries, standing
from tests.browser.conftest import until
from tests.browser.runs import write_run
from tests.conftest import sheetlens

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


def test_undo_gives_back_what_stood_before(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 60)
    page = reviewer(serve(run), "Ada")
    for key in ("1", "ArrowLeft", "2", "z"):
        page.keyboard.press(key)
    until(page, DELIVERED)
    (given,) = standing(read_entries(run / NAME)).values()
    assert given["Ada"]["label"] == "stained"


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


def test_page_has_no_grave_fault_of_accessibility(tmp_path, serve, reviewer):
    page = reviewer(serve(write_run(tmp_path / "run", 60)), "Ada")
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
