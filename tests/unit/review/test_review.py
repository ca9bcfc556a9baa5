import asyncio
import io
import logging
import re
from decimal import Decimal

import pandas as pd
import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.config import Limits
from sheetlens.prepare.decoding.decode import RefusedImageError
from sheetlens.review import server
from sheetlens.review.access import MARK
from sheetlens.review.decisions import NAME, Journal
from sheetlens.review.overlays import Evidence
from sheetlens.review.photographs import read_picture
from sheetlens.review.queue import REASONS, open_run
from sheetlens.review.server import make_app
from sheetlens.review.static_page import write_static
from tests.browser.runs import TORN, write_model, write_run
from tests.conftest import sheetlens
from tests.unit.prepare.test_resize import encode, sheet


def answer(run, method, path, token="", host="127.0.0.1", **options):
    """One request to a server of the run: its answer, without the body."""

    async def once():
        journal = Journal(run / NAME)
        async with TestClient(TestServer(make_app(open_run(run), journal, token, host=host))) as client:
            given = await client.request(method, path, **options)
            journal.close()
            return given

    return asyncio.run(once())


def ask(*arguments, **options):
    """The status of `answer`."""
    return answer(*arguments, **options).status


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("review") / "run", 30)


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("localhost:1", 200), ("evil.example", 403)])
def test_names_that_were_made_to_point_here_are_refused(run, host, status):
    assert ask(run, "GET", "/queue.json", headers={"Host": host}) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [({MARK: "1"}, 200), ({}, 403), ({MARK: "1", "Origin": "http://evil.example"}, 403)],
)
def test_only_the_own_page_writes(run, headers, status):
    assert ask(run, "POST", "/decisions", headers=headers, json=[]) == status


@pytest.mark.parametrize(("path", "status"), [("/", 403), ("/?token=wrong", 403), ("/?token=right", 200)])
def test_other_machines_need_the_token(run, path, status):
    assert ask(run, "GET", path, token="right") == status


def test_what_is_no_json_is_taken_from_no_page(run):
    headers = {MARK: "1", "Content-Type": "text/plain"}
    assert ask(run, "POST", "/decisions", headers=headers, data="[]") == 403


@pytest.mark.parametrize(("host", "status"), [("192.168.1.7:8000", 200), ("localhost", 200), ("evil.example", 403)])
def test_the_token_is_for_those_who_name_an_address(run, host, status):
    assert ask(run, "GET", "/?token=right", token="right", headers={"Host": host}) == status


def test_the_token_becomes_a_cookie_for_this_page_alone(run):
    cookie = answer(run, "GET", "/?token=right", token="right").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie


@pytest.mark.parametrize(("host", "asked"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("here", True)])
def test_whoever_is_served_beyond_this_machine_needs_a_token(run, host, asked, monkeypatch, caplog):
    async def begin(app, door, host, port, ready):
        ready(port)

    monkeypatch.setattr(server, "run_app", begin)
    with caplog.at_level(logging.INFO):
        server.serve(open_run(run), host, 8000, None)
    assert bool(re.search(r"\?token=[\w-]{32}", caplog.text)) == asked


def test_a_decision_that_does_not_exist_is_refused(run):
    key, label = open_run(run).sheets["key"].iloc[0], open_run(run).classes[0]
    facts = {"id": "1", "reviewer": "Ada", "time": "2026-11-28T10:00:00Z", "undoes": "", "key": key, "label": ""}
    for decision, status in (("class", 200), ("unsure", 200), ("delete", 400)):
        entry = facts | {"id": decision, "decision": decision, "label": label if decision == "class" else ""}
        assert ask(run, "POST", "/decisions", headers={MARK: "1"}, json=[entry]) == status


def test_what_is_no_decision_is_refused(run):
    assert ask(run, "POST", "/decisions", headers={MARK: "1"}, json=[{"key": "x"}]) == 400
    assert ask(run, "GET", "/pictures/x.jpg") == 404
    assert ask(run, "GET", "/server.py") == 404


def test_a_second_server_of_a_run_is_refused(run):
    first = Journal(run / NAME)
    with pytest.raises(UserError, match="another process is writing"):
        Journal(run / NAME)
    first.close()


def test_refused_files_stand_behind_the_doubtful_in_the_queue_with_their_reason(tmp_path):
    queue = open_run(write_run(tmp_path / "run", 6, refused=2))
    light = queue.light()
    assert sorted(filter(None, light["marks"])) == list(filter(None, light["marks"])), "in the order of REASONS"
    places = [place for place, mark in enumerate(light["marks"]) if mark == 1 << list(REASONS).index("refused")]
    assert [light["current"][place] for place in places] == [-1, -1]
    shown = [queue.detail(place) for place in places]
    assert [(sheet["reason"], sheet["before"], sheet["probabilities"]) for sheet in shown] == [(TORN, "", None)] * 2


def test_what_is_left_of_a_refused_file_is_shown_but_no_bomb_is_opened(tmp_path):
    run = write_run(tmp_path / "run", 3, refused=1)
    key = open_run(run).sheets["key"].iloc[-1]
    assert ask(run, "GET", f"/pictures/{key}.jpg") == 200
    Image.new("1", (30_000, 30_000)).save(run / "photographs/torn.jpg", "PNG")
    for reason in ("too large: 30000x30000 pixels", TORN):
        answers = files.read_table(run / "predictions.parquet")
        answers.loc[answers["status"] == "refused", "reason"] = reason
        files.write_table(run / "predictions.parquet", answers)
        assert ask(run, "GET", f"/pictures/{key}.jpg?large") == 404


def test_a_photograph_that_became_a_bomb_is_not_shown(tmp_path):
    run = write_run(tmp_path / "run", 3)
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    for path in (run / "photographs").iterdir():
        path.write_bytes((tmp_path / "bomb.png").read_bytes())
    assert ask(run, "GET", f"/pictures/{open_run(run).sheets['key'].iloc[0]}.jpg") == 404
    assert write_static(open_run(run), tmp_path / "page")["shown"] == 0


def test_evidence_is_for_those_who_gave_its_model(run, tmp_path):
    key = open_run(run).sheets["key"].iloc[0]
    assert ask(run, "GET", f"/evidence/{key}.json") == 404
    model = write_model(tmp_path / "model", ["fern", "moss"])
    for arguments, sentence in (((model,), "tells fern, moss apart, and the sheets"), ((run,), "is no model")):
        result = sheetlens("review", run, "--model", *arguments)
        assert result.returncode == 1
        assert sentence in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(("fit", "shape"), [("squash", "photograph"), ("letterbox", ""), ("crop_sheet", "")])
def test_a_map_is_laid_over_the_photograph_or_over_what_the_network_saw_of_it(run, tmp_path, fit, shape):
    model = write_model(tmp_path / "model")
    facts = files.read_json(model / "package.json")
    files.write_json(model / "package.json", facts | {"fit": fit})
    queue = open_run(run)
    found = Image.open(io.BytesIO(Evidence(queue, model).overlay(0).picture))
    width, height = Image.open(queue.photograph(0)).size
    expected = width / height if shape == "photograph" else 1
    assert width != height and found.width / found.height == pytest.approx(expected, rel=0.01)


def test_the_page_as_files_goes_on_where_it_was(tmp_path):
    run = write_run(tmp_path / "run", 12)
    found = [write_static(open_run(run), tmp_path / "page")]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "page/pictures").iterdir()}
    (gone := min(before)).unlink()
    found.append(write_static(open_run(run), tmp_path / "page"))
    assert found[0] == found[1] and found[0]["sheets"] == found[0]["shown"] == len(before) > 1
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "page/pictures").iterdir()}
    assert after.keys() == before.keys() and [path for path in after if after[path] != before[path]] == [gone]


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path):
    result = sheetlens("review", tmp_path)
    assert result.returncode == 1
    assert "is no run: give the folder that" in result.stderr


def told(**model):
    """A summary that says something else of its model."""
    return lambda run: files.write_json(
        run / "summary.json", (found := files.read_json(run / "summary.json")) | {"model": found["model"] | model}
    )


def asked(threshold):
    return lambda run: files.write_json(
        run / "summary.json", files.read_json(run / "summary.json") | {"asked": {"threshold": threshold}}
    )


def column(values, *names):
    """Another column in the tables of a run."""

    def change(run):
        for name in ("predictions", "list"):
            table = files.read_table(run / f"{name}.parquet")
            files.write_table(run / f"{name}.parquet", table.assign(**{one: values for one in names if one in table}))

    return change


def without(name):
    """The table of predictions without a column."""
    return lambda run: files.write_table(
        run / "predictions.parquet", files.read_table(run / "predictions.parquet").drop(columns=name)
    )


UNREAL = {
    "classes in an object": told(classes={"stained": 0, "unstained": 1}),
    "classes in a text": told(classes="stained"),
    "classes that are numbers": told(classes=[1, 2]),
    "no classes": told(classes=[]),
    "nothing of classes": told(classes=None),
    "a title of no text": told(title=["x"]),
    "a model in a list": lambda run: files.write_json(run / "summary.json", {"model": [], "asked": {}}),
    "a summary in a list": lambda run: (run / "summary.json").write_text("[]"),
    "a threshold of text": asked("x"),
    "a threshold without end": asked(10**400),
    "numbers for names": column(range(5), "image_id"),
    "numbers for barcodes": column(range(5), "barcode"),
    "numbers for decisions": column(range(5), "decision"),
    "numbers for paths": column(range(5), "path"),
    "texts for probabilities": column("x", "probability_stained"),
    "texts for distances": column("x", "distance"),
    "numbers for the run's sentences": column(range(5), "reason"),
    "no sentences of the run": without("reason"),
    "no distances": without("distance"),
    "no probabilities of a class": without("probability_stained"),
}


@pytest.mark.parametrize("fault", UNREAL)
def test_a_damaged_run_is_one_sentence_when_it_is_opened(tmp_path, fault):
    run = write_run(tmp_path / "run", 5)
    open_run(run)
    UNREAL[fault](run)
    with pytest.raises(UserError, match=r"a table or summary in .*: make it again with this version") as refused:
        open_run(run)
    assert "\n" not in str(refused.value)


def test_numbers_of_another_kind_are_numbers_when_a_sheet_is_shown(tmp_path):
    """Decimals, one of them missing: their None is no NaN."""
    run = write_run(tmp_path / "run", 5)
    values = [Decimal("0.5"), *(Decimal(number) for number in range(3)), None]
    column(values, "distance", "probability_stained")(run)
    queue = open_run(run)
    found = {one["image_id"]: one for one in map(queue.detail, range(5))}
    first, last = found["sheets/000000.jpg"], found["sheets/000004.jpg"]
    assert (first["distance"], first["probabilities"][0]) == (0.5, 0.5)
    assert (last["distance"], last["probabilities"]) == (None, None)


def write_study(folder):
    """A finished study of four sheets, as far as a review reads it, with its audit of labels."""
    names = [f"{number}.jpg" for number in range(4)]
    table = pd.DataFrame({"image_id": names, "label": ["a", "b", "a", "b"]})
    known = table.assign(specimen_id=names, path=names, status="ok", reason="")
    answers = table.assign(part="test", probability_a=[0.9, 0.2, 0.4, 0.1], probability_b=[0.1, 0.8, 0.6, 0.9])
    files.write_table(folder / "manifest.parquet", known)
    files.write_table(folder / "images/index.parquet", table[["image_id"]].assign(row=range(4)))
    files.write_table(folder / "models/table1/random-1/predictions.parquet", answers)
    files.write_table(folder / "audits/labels.csv", table.assign(rank=range(1, 5), suspect=[False, True, False, False]))
    return folder


def test_a_study_begins_with_its_suspect_labels(tmp_path):
    queue = open_run(write_study(tmp_path / "study"))
    assert queue.sheets["image_id"][0] == "1.jpg" and queue.sheets["reasons"][0] == ["suspect"]
    files.write_table(tmp_path / "study/manifest.parquet", queue.sheets.assign(status=["refused", "ok", "ok", "ok"])[
        ["image_id", "label", "specimen_id", "path", "status", "reason"]
    ])  # fmt: skip
    assert "1.jpg" not in set(open_run(tmp_path / "study").sheets["image_id"])


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("manifest.parquet", "status"), ("manifest.parquet", "reason"), ("manifest.parquet", "label"),
        ("audits/labels.csv", "suspect"), ("audits/labels.csv", "rank"),
        ("models/table1/random-1/predictions.parquet", "part"),
    ],
)  # fmt: skip
def test_a_study_whose_table_lacks_a_column_is_one_sentence(tmp_path, table, name):
    study = write_study(tmp_path / "study")
    files.write_table(study / table, files.read_table(study / table).drop(columns=name))
    with pytest.raises(UserError, match=rf"a table or summary in .* has no '{name}': make it again with this version"):
        open_run(study)


def test_photographs_are_decoded_within_the_limits(run):
    """A photograph that has grown since it was read: the page says so, and no other process decodes it."""
    queue = open_run(run, Limits(megapixels=1))
    place = next(
        n for n in range(len(queue.sheets)) if queue.photograph(n) and "refused" not in queue.sheets["reasons"][n]
    )
    path = queue.photograph(place)
    kept = path.read_bytes()
    try:
        path.write_bytes(encode(sheet(1000, 1200), "JPEG"))
        with pytest.raises(RefusedImageError, match="too large"):
            read_picture(queue, place)
    finally:
        path.write_bytes(kept)
