"""What pages call a run: a moved one keeps its name, as browsers keep decisions under it; a copy gets its own."""

import shutil

import pytest

from sheetlens.review.decisions import NAME, PLACE, Journal, identify, name_on_pages


@pytest.fixture
def run(tmp_path):
    return named(tmp_path / "run")[0]


def named(folder):
    """The folder, and what the pages of the run in it call it."""
    journal = Journal(folder / NAME)
    journal.close()
    assert journal.on_pages == name_on_pages(identify(folder), folder)
    return folder, journal.on_pages


def test_a_run_is_called_by_its_identity_as_before(run):
    assert named(run)[1] == identify(run)


def test_a_moved_run_keeps_its_name_also_behind_a_link(run, tmp_path):
    name = named(run)[1]
    (tmp_path / "large").mkdir()
    moved = run.rename(tmp_path / "large/run")
    run.symlink_to(moved)
    assert named(run)[1] == named(moved)[1] == name


def test_a_copy_gets_a_name_that_stays(run, tmp_path, caplog):
    copy = shutil.copytree(run, tmp_path / "copy")
    name = named(copy)[1]
    (said,) = caplog.messages
    assert said == f"review/ in {copy} is a copy of that in {run}: what was decided there before counts here, too"
    assert name != named(run)[1] and named(copy)[1] == name
    assert named(copy.rename(tmp_path / "moved"))[1] == name
    again = shutil.copytree(tmp_path / "moved", tmp_path / "again")
    assert named(again)[1] not in (name, named(run)[1])


def test_a_copy_whose_first_is_gone_is_the_run(run, tmp_path):
    name = named(run)[1]
    copy = shutil.copytree(run, tmp_path / "copy")
    shutil.rmtree(run)
    assert named(copy)[1] == name


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "of another run", "place": "/"}'])
def test_a_damaged_note_is_made_anew(run, text):
    name = named(run)[1]
    (run / PLACE).write_text(text)
    assert named(run)[1] == name
    assert str(run) in (run / PLACE).read_text()


def test_a_run_that_cannot_be_written_is_called_by_its_identity(tmp_path):
    assert name_on_pages("abc", tmp_path) == "abc" and not list(tmp_path.iterdir())
