"""One reviewer's whole day: two browsers, two runs at one address, a restart, a full disk, a laptop asleep.

Nothing is lost, nothing is in the wrong run, and the page says each time what happened. Needs root for the small disk.
SHEETLENS_SCREENSHOTS names a folder for pictures of the page at each turn.
"""

import os
from pathlib import Path

import pytest
from benchmarks.decisions import fill
from benchmarks.mishaps import small_disk

from sheetlens.review.decisions import NAME, read_contents
from tests.browser.conftest import Server, until
from tests.browser.runs import write_run

pytestmark = pytest.mark.long
EMPTY = "!Object.keys(localStorage).some((name) => name.startsWith('sheetlens-review:'))"


def says(page, words, place="trouble", seconds=60):
    until(page, f"document.getElementById('{place}').textContent.includes({words!r})", seconds)


def waiting(page):
    return page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('sheetlens-review:')).length")


def look(page, name):
    if folder := os.environ.get("SHEETLENS_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def press(page, keys):
    for key in keys:
        page.keyboard.press(key)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_reviewers_day(tmp_path, reviewer):
    with small_disk(tmp_path / "disk", 64):
        disk, made = tmp_path / "disk", {"Ada": 0, "Bo": 0}
        ferns, mosses = (write_run(disk / name, 120) for name in ("ferns", "mosses"))
        server = Server(ferns)
        server.start()
        try:
            ada, bo = reviewer(server, "Ada"), reviewer(server, "Bo")
            # The morning: both decide, the server is killed and comes back.
            press(ada, "1" * 10)
            until(ada, EMPTY)
            press(bo, "2" * 10)
            server.kill()  # while Bo's are on their way
            press(ada, "1" * 5)
            says(ada, "5 decisions are kept in this browser until the server takes them (the server does not answer")
            look(ada, "1-server-away")
            server.start()
            says(ada, "has taken 5 decisions that were kept in this browser", "told")
            until(
                ada, "document.getElementById('picture').naturalWidth > 0 && document.getElementById('unshown').hidden"
            )
            look(ada, "2-server-back")
            made["Ada"], made["Bo"] = 15, 10
            # Noon: the disk is full for a while.
            fill(disk / "filler", 0)
            press(ada, "2" * 40)  # more than the last block of the journal has room for
            says(ada, "the disk is full")
            look(ada, "3-disk-full")
            assert waiting(ada) > 0
            (disk / "filler").unlink()
            says(ada, "The server answers again and has taken", "told")
            until(ada, EMPTY)
            until(bo, EMPTY)  # his of the morning may have waited for the disk
            made["Ada"] += 40
            # The afternoon: Bo's laptop sleeps, wakes without a network, and finds it again.
            bo.context.set_offline(True)
            press(bo, "1" * 3)
            says(bo, "3 decisions are kept in this browser")
            os.kill(server.process.pid, 19)  # SIGSTOP: the connection is there, and nobody answers
            bo.context.set_offline(False)
            bo.wait_for_timeout(3000)
            os.kill(server.process.pid, 18)
            until(bo, EMPTY)
            made["Bo"] += 3
            # The evening: another run is served at the same address while Ada's page is open and has decisions.
            server.kill()
            press(ada, "1" * 3)
            says(ada, "3 decisions are kept")
            server.arguments[0] = mosses
            server.start()
            says(ada, "another run is served here now: mosses")
            look(ada, "4-another-run")
            ada.reload()
            until(ada, "document.getElementById('run').textContent === 'mosses'")
            says(ada, "3 decisions in this browser did not reach the server", "elsewhere")
            assert "“ferns”" in ada.text_content("#elsewhere")
            look(ada, "5-decisions-of-another-run")
            press(ada, "2" * 6)
            until(ada, "document.getElementById('progress').textContent.includes('6 decided by you')")
            until(ada, "Object.keys(localStorage).filter((name) => name.startsWith('sheetlens-review:')).length === 3")
            # The next morning: the first run again, and what was kept is handed over.
            server.kill()
            server.arguments[0] = ferns
            server.start()
            ada.reload()
            until(ada, EMPTY)
            made["Ada"] += 3
            until(ada, "document.getElementById('run').textContent === 'ferns'")
            assert ada.text_content("#elsewhere") == ""
            look(ada, "6-handed-over")
        finally:
            server.kill()
        found = {run: read_contents(run / NAME) for run in (ferns, mosses)}
        counted = {name: sum(entry["reviewer"] == name for entry in found[ferns].entries) for name in made}
        assert counted == made and len(found[mosses].entries) == 6
        for run, contents in found.items():
            assert not contents.refused and {entry["run"] for entry in contents.entries} == {contents.run}, run
            assert len(contents.entries) == len({entry["id"] for entry in contents.entries})
        assert found[ferns].run != found[mosses].run


def test_a_name_that_is_cut_within_an_emoji_is_text(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 30)
    page = reviewer(serve(run), "Ann")
    page.evaluate("document.getElementById('reviewer').value = 'Ann \\ud83d'")
    press(page, "1")
    until(page, EMPTY)
    (entry,) = read_contents(run / NAME).entries
    assert entry["reviewer"] == "Ann"


def test_a_fault_of_the_servers_holds_no_other_decision_up_and_is_not_asked_for_ever(tmp_path, serve, reviewer):
    run = write_run(tmp_path / "run", 30)
    page = reviewer(serve(run), "Ann")
    asked = []

    def fault(route):
        if route.request.method == "POST" and '"bad"' in (route.request.post_data or ""):
            asked.append(1)
            return route.fulfill(status=500, body="a fault")
        return route.continue_()

    page.route("**/decisions", fault)
    page.fill("#reviewer", "bad")
    page.press("#reviewer", "Enter")
    press(page, "1")
    page.fill("#reviewer", "Ann")
    page.press("#reviewer", "Enter")
    press(page, "12")
    until(page, EMPTY)
    says(page, "The server refused 1 decision, which does not count (a fault)", "aside")
    assert len(asked) < 10 and len(read_contents(run / NAME).entries) == 2
