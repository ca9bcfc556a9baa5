"""Where --export may write: over an earlier export, and over nothing that a run is or was made into."""

import pytest

from sheetlens.review.agreement import COLUMNS as AGREEMENT
from sheetlens.review.decisions import NAME, Journal
from tests.browser.runs import write_run
from tests.conftest import sheetlens


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of which two reviewers decided on one sheet."""
    run = write_run(tmp_path_factory.mktemp("export") / "run", 5)
    journal = Journal(run / NAME)
    for name in ("Ada", "Bo"):
        decided = {"id": name, "image_id": "sheets/000000.jpg", "reviewer": name, "decision": "class", "before": ""}
        journal.append([decided | {"label": "stained", "time": "2026-11-29T10:00:00+00:00"}])
    journal.close()
    return run


def refused(run, output, named, why):
    before = named.read_bytes()
    result = sheetlens("review", run, "--export", output)
    assert result.returncode == 1 and named.read_bytes() == before
    assert f"{named} {why} and would be lost: give --export another name" in result.stderr


@pytest.mark.parametrize("name", ["check/sample.csv", "predictions.csv", "audits/labels.csv", "review/decisions.jsonl"])
def test_no_product_of_a_run_becomes_an_export(run, name):
    (run / name).parent.mkdir(exist_ok=True)
    if not (run / name).exists():
        (run / name).write_text("rank,image_id,label\n1,0.jpg,a\n")
    refused(run, run / name, run / name, "belongs to the run")


def test_a_product_that_is_a_link_is_kept(run, tmp_path):
    (tmp_path / "sample.csv").write_text("image_id\n0.jpg\n")
    (run / "linked.csv").symlink_to(tmp_path / "sample.csv")
    refused(run, run / "linked.csv", run / "linked.csv", "belongs to the run")
    assert (run / "linked.csv").is_symlink()


def test_the_table_of_agreement_takes_no_other_files_place(run, tmp_path):
    for folder in (run, tmp_path):
        (folder / "notes-agreement.csv").write_text("by hand\n")
        named = folder / "notes-agreement.csv"
        refused(run, folder / "notes.csv", named, "is no table of an earlier export")
        assert not (folder / "notes.csv").exists()


@pytest.mark.parametrize("inside", [True, False])
def test_an_export_takes_the_place_of_an_earlier_one(run, tmp_path, inside):
    output = (run if inside else tmp_path) / "corrections.csv"
    found = []
    for _ in range(2):
        assert sheetlens("review", run, "--export", output).returncode == 0
        found.append((output.read_text(), output.with_name("corrections-agreement.csv").read_text()))
    assert found[0] == found[1] and found[0][1].startswith(",".join(AGREEMENT))
