import os

import pytest

from sheetlens.common.errors import UserError
from sheetlens.review.decisions import NAME
from sheetlens.workflow import product_hashes
from tests.conftest import sheetlens


@pytest.fixture
def results(tmp_path):
    """Products of a run that ended: two files, and a folder that is one product."""
    folder = tmp_path / "results"
    (folder / "figures").mkdir(parents=True)
    (folder / "code").mkdir()
    (folder / "code/.snakemake_timestamp").touch()
    for name in ("results.csv", "figures/figure-1.png", "code/Snakefile", "code/config.yaml"):
        product_hashes.begin(folder)
        (folder / name).write_text(name)
    assert product_hashes.note(folder) == []
    return folder


def damage(path, text):
    """Change a file and leave its size and time as they were."""
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_nothing_changed(results):
    assert product_hashes.changed(results) == []
    assert sheetlens("check", results).returncode == 0


def test_a_flipped_bit_is_named_and_the_product_removed(results):
    damage(results / "results.csv", "results.csw")
    product_hashes.begin(results)
    product_hashes.note(results)  # of a run with nothing to do
    told = sheetlens("check", results)
    assert told.returncode == 1 and "results.csv is not what the run made" in told.stderr and "--remove" in told.stderr
    assert sheetlens("check", "--remove", results).returncode == 0
    assert not (results / "results.csv").exists() and (results / "figures/figure-1.png").exists()


def test_a_folder_that_is_one_product_goes_as_a_whole(results):
    damage(results / "code/Snakefile", "code/snakefile")
    product_hashes.remove(results, product_hashes.changed(results))
    assert not (results / "code").exists() and (results / "results.csv").exists()


def test_what_somebody_changed_between_runs_is_named_at_the_end_of_the_next(results):
    (results / "results.csv").write_text("mine")
    os.utime(results / "results.csv", ns=(1, 1))
    (results / "figures/figure-1.png").touch()  # as a checkout does
    product_hashes.begin(results)
    assert product_hashes.note(results) == ["results.csv"]
    assert product_hashes.changed(results) == ["results.csv"]


def test_what_a_run_makes_anew_is_noted_even_if_a_kill_came_between(results):
    product_hashes.begin(results)
    (results / "results.csv").write_text("new")
    product_hashes.begin(results)  # of the run after the kill
    assert product_hashes.note(results) == []
    assert product_hashes.changed(results) == []


def test_decisions_of_reviewers_are_no_product(results):
    (results / "own/review").mkdir(parents=True)
    for decisions in ("one\n", "one\ntwo\n"):
        (results / "own" / NAME).write_text(decisions)
        assert product_hashes.changed(results) == []
        product_hashes.begin(results)
        assert product_hashes.note(results) == []
    damage(results / "own" / NAME, "ONE\nTWO\n")
    assert sheetlens("check", "--remove", results).returncode == 0
    assert (results / "own" / NAME).read_text() == "ONE\nTWO\n"


def test_a_product_that_is_gone_is_named(results):
    (results / "results.csv").unlink()
    assert product_hashes.changed(results) == ["results.csv"]


def test_without_notes_the_way_out_is_said(tmp_path):
    with pytest.raises(UserError, match="first run that ends well writes it"):
        product_hashes.changed(tmp_path / "results")


@pytest.mark.parametrize("damaged", [b"results.csv\t11", b"a\tb\tc\td", b"\xff\xfe", b'"'])
def test_damaged_notes_are_refused_in_words(results, damaged):
    (results.parent / product_hashes.NOTES).write_bytes(damaged)
    told = sheetlens("check", results)
    assert (
        told.returncode == 1
        and "damaged or from an earlier version: delete it" in told.stderr
        and "Traceback" not in told.stderr
    )


@pytest.mark.parametrize("lines", [0, 1, 3, -1])
def test_notes_that_were_cut_short_are_noticed(results, lines):
    path = results.parent / product_hashes.NOTES
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    told = sheetlens("check", results)
    assert told.returncode == 1 and "hashes.tsv is cut short" in told.stderr


def test_notes_that_were_cut_within_a_line_or_changed_are_noticed(results):
    path = results.parent / product_hashes.NOTES
    whole = path.read_text()
    for text in (whole[:-5], whole[: len(whole) // 2], whole.replace("results.csv", "results.tsv"), whole + whole):
        path.write_text(text)
        with pytest.raises(UserError, match="cut short"):
            product_hashes.changed(results)
    path.write_text(whole)
    assert product_hashes.changed(results) == []


def test_what_is_no_file_stops_no_notes(results, tmp_path):
    os.mkfifo(results / "pipe")
    (results / "gone").symlink_to("nowhere")
    (results / "circle").symlink_to("circle")
    (results / "device").symlink_to("/dev/zero")
    (tmp_path / "kept.csv").write_text("kept")
    (results / "linked.csv").symlink_to(tmp_path / "kept.csv")  # as DVC may link what it keeps
    product_hashes.begin(results)
    assert product_hashes.note(results) == [] and product_hashes.all_noted(results)
    assert product_hashes.changed(results) == []
    damage(tmp_path / "kept.csv", "kepd")
    assert product_hashes.changed(results) == ["linked.csv"]


def test_names_that_are_no_utf_8_are_noted_as_they_are(results):
    name = os.fsdecode(b"\xff\xfe/plan \xe9.csv")
    (results / name).parent.mkdir()
    (results / name).write_text("a")
    product_hashes.begin(results)
    assert product_hashes.note(results) == [] and product_hashes.changed(results) == []
    damage(results / name, "b")
    assert product_hashes.changed(results) == [name]
    assert sheetlens("check", results).returncode == 1
    assert sheetlens("check", "--remove", results).returncode == 0 and not (results / name).exists()


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff\xfe", b"9" * 5000])
def test_a_beginning_that_was_damaged_is_that_of_its_file(results, content):
    began = results.parent / product_hashes.BEGAN
    (results / "results.csv").write_text("mine")
    os.utime(results / "results.csv", ns=(10**9, 10**9))
    (results / "figures/figure-1.png").write_text("the run's")
    os.utime(results / "figures/figure-1.png", ns=(9 * 10**9, 9 * 10**9))
    began.write_bytes(content)
    os.utime(began, ns=(5 * 10**9, 5 * 10**9))
    product_hashes.begin(results)
    assert product_hashes.note(results) == ["results.csv"] and not began.exists()
