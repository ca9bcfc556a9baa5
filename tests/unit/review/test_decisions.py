import json
import os
import shutil
import threading

import pytest

from sheetlens.common.errors import UserError
from sheetlens.common.files import read_table, write_table
from sheetlens.common.journals import GrowingFile
from sheetlens.review.decisions import NAME, Journal, how_chosen, identify, read_contents, read_entries, standing
from sheetlens.review.queue import open_run
from tests.browser.runs import write_run
from tests.conftest import sheetlens

TIME = "2026-01-01T00:00:00+00:00"


def decision(name="1", **changes):
    facts = {"id": name, "image_id": "s1.jpg", "reviewer": "Ann", "decision": "class", "label": "stained"}
    return facts | {"before": "review", "reasons": [], "time": TIME, "undoes": ""} | changes


def written(path, *lines, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end)
    return path


def ids(path):
    return [entry["id"] for entry in read_entries(path)]


def test_a_run_has_an_identity_of_its_own_that_stays(tmp_path):
    first, second = identify(tmp_path / "a"), identify(tmp_path / "b")
    assert first and second and first != second
    with_decision = Journal(tmp_path / "a" / NAME)
    with_decision.append([decision()])
    with_decision.close()
    assert identify(tmp_path / "a") == first == read_entries(tmp_path / "a" / NAME)[0]["run"]


def test_a_journal_from_before_identities_gets_one_and_keeps_its_decisions(tmp_path):
    path = written(tmp_path / NAME, decision("1"), decision("2"))
    before = path.read_bytes()
    run = identify(tmp_path)
    assert path.read_bytes().startswith(before) and ids(path) == ["1", "2"]
    assert identify(tmp_path) == run


def test_the_decisions_know_their_run_where_the_file_beside_them_is_lost(tmp_path):
    run = identify(tmp_path)
    journal = Journal(tmp_path / NAME)
    journal.append([decision("1")])
    journal.close()
    (tmp_path / "review/decisions.run").unlink()
    assert identify(tmp_path) == run


def test_decisions_of_another_run_are_refused_when_added_and_when_read(tmp_path):
    path = tmp_path / NAME
    journal = Journal(path)
    with pytest.raises(ValueError, match="of another run"):
        journal.append([decision(run="elsewhere")])
    journal.append([decision("1")])
    journal.close()
    with path.open("a") as file:
        file.write(json.dumps(decision("2", run="elsewhere")) + "\n" + json.dumps(decision("3")) + "\n")
    found = read_contents(path)
    assert [entry["id"] for entry in found.entries] == ["1", "3"]
    assert [(line.line, line.reason) for line in found.refused] == [(2, "it is a decision of another run (elsewhere)")]


def begun(folder, *entries):
    """A run of which somebody decided already."""
    run = identify(folder)
    journal = Journal(folder / NAME)
    journal.append(entries)
    journal.close()
    return run


@pytest.mark.parametrize("how", ["copied", "copied after decisions", "appended"])
def test_the_journal_of_another_run_is_none_of_this_run(tmp_path, how):
    other, run = begun(tmp_path / "a", decision("a")), begun(tmp_path / "b")
    path, foreign = tmp_path / "b" / NAME, (tmp_path / "a" / NAME).read_bytes()
    own = how != "copied"
    if own:
        begun(tmp_path / "b", decision("b"))
    path.write_bytes(foreign + path.read_bytes() if how == "copied after decisions" else path.read_bytes() + foreign)
    assert identify(tmp_path / "b") == run != other
    found = read_contents(path)
    assert (found.run, [entry["id"] for entry in found.entries]) == (run, ["b"] * own)
    assert [line.reason for line in found.refused] == [f"it is a decision of another run ({other})"]
    journal = Journal(path)
    journal.append([decision("new")])
    assert journal.run == run and [line.reason for line in journal.refused] == [line.reason for line in found.refused]
    journal.close()
    assert ids(path) == ["b"] * own + ["new"] and foreign in path.read_bytes(), "what is refused is kept"


def test_the_export_takes_no_decision_of_another_run_and_says_so(tmp_path):
    other, run = write_run(tmp_path / "a", 5), write_run(tmp_path / "b", 5)
    begun(other, *(decision(f"a{number}", image_id=f"sheets/00000{number}.jpg") for number in range(3)))
    begun(run)
    (run / NAME).write_bytes((other / NAME).read_bytes())
    result = sheetlens("review", run, "--export", tmp_path / "corrections.csv")
    assert result.returncode == 0 and result.stderr.count("left out") == 1
    assert f"line 1 of {run / NAME} is left out (it is a decision of another run (" in result.stderr
    assert "), and so are 2 more): mend it" in result.stderr
    assert (tmp_path / "corrections.csv").read_text().count("\n") == 1


def test_a_run_that_is_moved_or_copied_as_a_whole_keeps_its_decisions(tmp_path):
    run = begun(tmp_path / "a", decision("1"))
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "a").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        assert identify(tmp_path / name) == run and ids(tmp_path / name / NAME) == ["1"]


def test_an_identity_that_is_lost_is_written_again(tmp_path):
    run = begun(tmp_path, decision("1"))
    (tmp_path / "review/decisions.run").write_text("")
    Journal(tmp_path / NAME).close()
    assert (tmp_path / "review/decisions.run").read_text() == f"{run}\n"


def test_what_is_no_identity_is_refused(tmp_path):
    begun(tmp_path, decision("1"))
    (tmp_path / "review/decisions.run").write_bytes(b"\xff\xfe\n\nab; c")
    for read in (Journal, read_contents):
        with pytest.raises(UserError, match=r"decisions.run names no run: delete it"):
            read(tmp_path / NAME)


@pytest.mark.parametrize("linked", ["review", NAME, "review/decisions.run"])
def test_no_link_leads_to_the_decisions_of_another_run(tmp_path, linked):
    for name in ("a", "b"):
        begun(tmp_path / name, decision(name))
    place = tmp_path / "b" / linked
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(tmp_path / "a" / linked)
    for read in (Journal, read_contents):
        with pytest.raises(UserError, match=f"{linked} is a link"):
            read(tmp_path / "b" / NAME)
    assert ids(tmp_path / "a" / NAME) == ["a"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_last_line_without_its_line_break_counts(tmp_path, count):
    lines = [decision(str(number)) for number in range(count)]
    path = written(tmp_path / NAME, *lines, end="")
    expected = [line["id"] for line in lines]
    assert ids(path) == expected
    journal = Journal(path)
    journal.append([decision("new")])
    journal.close()
    assert ids(path) == [*expected, "new"] and not list(path.parent.glob("*.cut-*"))


def test_a_torn_last_line_is_cut_off_and_kept_beside_the_journal(tmp_path):
    path = written(tmp_path / NAME, decision("1"), '{"id": "torn", "image', end="")
    before = path.read_bytes()
    assert ids(path) == ["1"] and path.read_bytes() == before, "reading changes nothing"
    for number in (1, 2):
        journal = Journal(path)
        (copy,) = journal.cut
        journal.close()
        assert copy.name == f"decisions.jsonl.cut-{number}" and copy.read_text() == '{"id": "torn", "image'
        assert ids(path) == ["1"]
        with path.open("a") as file:
            file.write('{"id": "torn", "image')


def test_a_link_in_the_place_of_the_journal_is_refused_and_what_it_leads_to_is_left_alone(tmp_path):
    target = tmp_path / "thesis.txt"
    target.write_text("no line break at the end")
    (tmp_path / "review").mkdir()
    (tmp_path / NAME).symlink_to(target)
    with pytest.raises(UserError, match="is a link"):
        Journal(tmp_path / NAME)
    assert target.read_text() == "no line break at the end"


def test_a_link_in_the_place_of_any_journal_is_refused_when_it_is_opened(tmp_path):
    (tmp_path / "target").write_text("")
    (tmp_path / "part").symlink_to(tmp_path / "target")
    with pytest.raises(UserError, match="part is a link"):
        GrowingFile(tmp_path / "part")


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "review").mkdir()
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(UserError, match="is no file"):
        Journal(tmp_path / NAME)


BROKEN = {
    "half a character": decision(reviewer="Ann \ud83d"),
    "no JSON": "{",
    "no object": "[1]",
    "nothing but zeros": "\0" * 40,
    "no reviewer": decision(reviewer=""),
    "a number for a name": decision(reviewer=7),
    "an unknown decision": decision(decision="delete", label=""),
    "a class without a label": decision(label=""),
    "no time": decision(time="yesterday"),
    "reasons that are nothing": decision(reasons=None),
    "a run that could be no cookie's name": decision(run="a; b"),
    "reasons that are no texts": decision(reasons=[1]),
    "no number": decision(distance=float("nan")),
    "chosen by nobody knows what": decision(chosen={"how": "guessed"}),
    "random without its probability": decision(chosen={"how": "random"}),
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_one_bad_line_is_left_out_and_no_other(tmp_path, line):
    path = written(tmp_path / NAME, decision("1"), line, decision("3"))
    assert ids(path) == ["1", "3"] and [one.line for one in read_contents(path).refused] == [2]
    journal = Journal(path)
    journal.append([decision("4")])
    journal.close()
    assert ids(path) == ["1", "3", "4"]


@pytest.mark.parametrize("line", [value for value in BROKEN.values() if isinstance(value, dict)])
def test_what_reading_refuses_is_never_written(tmp_path, line):
    journal = Journal(tmp_path / NAME)
    with pytest.raises(ValueError, match=r"\w"):
        journal.append([decision("1"), line | {"id": "2"}])
    journal.close()
    assert ids(tmp_path / NAME) == []


def test_the_export_leaves_out_one_line_and_says_which(tmp_path):
    run = write_run(tmp_path / "run", 5)
    lines = [decision("1", image_id="sheets/000001.jpg"), decision("2", reviewer="Ann \ud83d")]
    path = written(run / NAME, *lines, decision("3", image_id="sheets/000002.jpg", reviewer="Bo"))
    result = sheetlens("review", run, "--export", tmp_path / "corrections.csv")
    assert result.returncode == 0, result.stderr
    assert f"line 2 of {path} is left out (it holds half a character (U+D83D))" in result.stderr
    table = (tmp_path / "corrections.csv").read_text()
    assert "000001" in table and "000002" in table and "s1.jpg" not in table


@pytest.mark.parametrize("name", [NAME, "review/decisions.run", "predictions.parquet"])
def test_no_export_takes_the_place_of_what_a_run_consists_of(tmp_path, name):
    run = write_run(tmp_path / "run", 5)
    written(run / NAME, decision("1", image_id="sheets/000001.jpg"))
    identify(run)
    before = (run / name).read_bytes()
    result = sheetlens("review", run, "--export", run / name)
    assert result.returncode == 1 and "belongs to the run and would be lost" in result.stderr
    assert (run / name).read_bytes() == before


def test_two_sheets_of_one_name_are_told_before_anybody_decides(tmp_path):
    run = write_run(tmp_path / "run", 5)
    for name in ("list.parquet", "predictions.parquet"):
        table = read_table(run / name)
        write_table(run / name, table.assign(image_id=table["image_id"].where(table.index != 1, table["image_id"][0])))
    with pytest.raises(UserError, match="an image_id names more than one sheet"):
        open_run(run)


def test_a_decision_without_reasons_counts_and_stops_no_export(tmp_path):
    run = write_run(tmp_path / "run", 5)
    lines = [decision("1", image_id="sheets/000001.jpg"), decision("2", image_id="sheets/000002.jpg")]
    del lines[0]["reasons"], lines[0]["undoes"]
    written(run / NAME, *lines)
    result = sheetlens("review", run, "--export", tmp_path / "corrections.csv")
    assert result.returncode == 0, result.stderr
    rows = (tmp_path / "corrections.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ['"sheets/000001.jpg"', '"sheets/000002.jpg"']
    journal = Journal(run / NAME)
    journal.append([{name: value for name, value in decision("3").items() if name != "reasons"}])
    assert [entry["reasons"] for entry in journal.entries] == [[], [], []]
    journal.close()


def test_what_is_sent_twice_is_there_once(tmp_path):
    journal = Journal(tmp_path / NAME)
    journal.append([decision("1"), decision("1", label="unstained")])
    journal.append([decision("1"), decision("2")])
    journal.close()
    assert ids(tmp_path / NAME) == ["1", "2"]


@pytest.mark.parametrize("change", ["moved", "replaced", "cut"])
def test_nothing_is_confirmed_that_would_stand_where_nobody_looks(tmp_path, change):
    path = tmp_path / NAME
    journal = Journal(path)
    journal.append([decision("1")])
    if change == "cut":
        os.truncate(path, 10)
    else:
        path.rename(path.with_suffix(".old"))
    if change == "replaced":
        path.write_text("")
    with pytest.raises(OSError, match="moved away, replaced or cut"):
        journal.append([decision("2")])
    journal.close()


def test_lines_that_another_program_adds_meanwhile_are_taken_in(tmp_path):
    path = tmp_path / NAME
    journal = Journal(path)
    with path.open("a") as file:
        file.write(json.dumps(decision("theirs")))
    journal.append([decision("ours")])
    journal.close()
    assert ids(path) == ["theirs", "ours"] == [entry["id"] for entry in journal.entries]


def test_a_full_disk_loses_nothing_that_was_confirmed(tmp_path, monkeypatch):
    """Eight writers; every third write stops in the midst of a line, as on a full disk."""
    path = tmp_path / NAME
    journal, calls, lock = Journal(path), iter(range(10**6)), threading.Lock()
    write, confirmed, faults = os.write, [], []

    def full(file, data):
        with lock:
            number = next(calls)
        if number % 3 == 0:
            file.write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        file.write(data)

    monkeypatch.setattr("sheetlens.common.files.write_all", full)

    def work(writer):
        for number in range(25):
            some = [decision(f"{writer}-{number}-{place}") for place in range(number % 4 + 1)]
            try:
                journal.append(some)
                confirmed.extend(entry["id"] for entry in some)
            except OSError:
                faults.append(number)

    workers = [threading.Thread(target=work, args=(writer,)) for writer in range(8)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    journal.close()
    assert faults and write
    assert sorted(ids(path)) == sorted(confirmed) == sorted(entry["id"] for entry in journal.entries)
    assert not read_contents(path).refused


def test_it_is_on_the_disk_before_it_is_confirmed(tmp_path, monkeypatch):
    journal = Journal(tmp_path / NAME)

    def fail(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        journal.append([decision("1")])
    monkeypatch.undo()
    journal.append([decision("2")])
    journal.close()
    assert ids(tmp_path / NAME) == ["2"] == [entry["id"] for entry in journal.entries]


def test_how_a_sheet_was_chosen_travels_with_its_label(tmp_path):
    journal = Journal(tmp_path / NAME)
    journal.append([decision("1", chosen={"how": "random", "probability": 0.04, "stratum": "A"}), decision("2")])
    journal.close()
    first, second = read_entries(tmp_path / NAME)
    assert first["chosen"]["stratum"] == "A"
    assert [how_chosen(first), how_chosen(second), how_chosen(decision(reasons=["unlike"]))] == [
        "random", "picked", "doubted",
    ]  # fmt: skip


def test_the_last_decision_that_was_not_taken_back_stands():
    made = [decision("1"), decision("2", label="unstained"), decision("3", decision="undo", label="", undoes="2")]
    assert standing(made)["s1.jpg"]["Ann"]["id"] == "1"


def test_a_journal_of_two_names_is_refused(tmp_path):
    path = written(tmp_path / NAME, decision("1"))
    os.link(path, tmp_path / "snapshot")
    with pytest.raises(UserError, match="has a second name"):
        Journal(path)
    assert (tmp_path / "snapshot").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("place", [NAME, "review"])
def test_an_export_counts_nothing_where_there_is_no_journal_to_read(tmp_path, place):
    (tmp_path / NAME).parent.mkdir()
    if place == NAME:
        (tmp_path / NAME).mkdir()
    else:
        (tmp_path / place).rmdir()
        (tmp_path / place).write_text("")
    with pytest.raises(UserError, match=r"is no (file|folder): move it away"):
        read_contents(tmp_path / NAME)


def test_what_an_export_leaves_out_of_a_torn_end_is_told(tmp_path, caplog):
    path = written(tmp_path / NAME, decision("1"))
    with path.open("a") as file:
        file.write('{"id": "2", "image_')
    assert [one.line for one in read_contents(path).refused] == [2]
    identify(tmp_path)
    assert "the last line of" in caplog.text and "was torn" in caplog.text and "decisions.jsonl.cut-1" in caplog.text
