import asyncio
import csv
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from sheetlens.common.errors import UserError
from sheetlens.config import LIMITS, FolderSource
from sheetlens.fetch.sources import folder as folder_source
from sheetlens.label.export import write_labels
from sheetlens.label.numbers import describe
from sheetlens.label.server import make_app
from sheetlens.label.session import AGAIN_EVERY, Session
from sheetlens.label.sheets import Sheets
from sheetlens.label.store import Kept
from sheetlens.label.suggestions import suggest
from sheetlens.review.decisions import NAME, Journal
from sheetlens.split.parts import split_random

COUNT = 80


@pytest.fixture
def photographs(tmp_path):
    """80 small pictures, every fourth of them dark; the name says it."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(COUNT):
        kind = "dark" if number % 4 == 0 else "light"
        Image.new("L", (40, 60), 60 if kind == "dark" else 200).save(folder / f"{kind}{number:02}.png")
    return folder


@pytest.fixture
def session(tmp_path, photographs):
    """A session whose features are known: the class, with noise."""
    journal = Journal(tmp_path / "labels" / NAME)
    sheets = Sheets(photographs, tmp_path / "labels", journal.run, LIMITS, journal.entries)
    random = np.random.default_rng(0)
    for row, name in enumerate(sheets.table["image_id"]):
        sheets._note(row, (name.startswith("dark") + 0.1 * random.standard_normal(8)).astype(np.float32))
    opened = Session(sheets, journal, tmp_path / "labels", ("dark", "light"))
    yield opened
    opened.close()
    sheets.close()
    journal.close()


def decide(session, given, label=None, reviewer="Ada", decision="class"):
    name = given["image_id"]
    label = (name.rstrip("0123456789.png")) if label is None and decision == "class" else label or ""
    entry = {
        "id": f"{reviewer}{len(session.journal.entries)}", "image_id": name, "reviewer": reviewer, "decision": decision,
        "label": label, "before": "", "time": "2026-11-29T10:00:00+00:00", "chosen": session.chosen(given["key"]),
    }  # fmt: skip
    session.decide([entry])
    return entry


def fitted(session):
    """Let the head follow, as its thread does."""
    features, known, _ = session.sheets.read()
    session._last = suggest(features, known, features, session.labels(), set(session.decided()))


def test_the_random_sample_depends_on_no_label(session):
    """Whatever else is labelled, it is the beginning of an order that was there before the first label."""
    order = session.sheets.table["image_id"].tolist()
    for _ in range(12):
        (given,) = session.next_sheets("Ada", "random", 1, set())
        decide(session, given)
    assert session.random_rows() == 12
    later = session.sheets.row_of[order[20]]
    decide(session, {"image_id": order[later], "key": session.sheets.table["key"][later]})
    assert session.random_rows() == 12
    labels = write_labels(session, session.folder / "labels.csv")
    table = pd.read_csv(session.folder / "labels.csv").set_index("image_id")
    assert labels == 13 and set(table.index[table["chosen"] == "random"]) == set(order[:12])


def test_every_fifth_sheet_is_random_and_the_others_follow_the_head(session):
    while min(Counter((*session.labels().values(), "dark", "light")).values()) < 4:
        (given,) = session.next_sheets("Ada", "random", 1, set())
        decide(session, given)
    fitted(session)
    some = session.next_sheets("Ada", "suggested", 10, set())
    hows = [given["chosen"]["how"] for given in some if not given["chosen"].get("again")]
    assert hows.count("random") == 2 and hows.count("suggested") >= 7
    rare = session.next_sheets("Bea", "more:dark", 3, set())
    assert all(given["image_id"].startswith("dark") for given in rare)


def test_sheets_come_again_and_agreement_is_counted(session):
    for _ in range(40):
        (given,) = session.next_sheets("Ada", "random", 1, set())
        decide(session, given)
    again = [
        given for given in session.next_sheets("Bea", "random", 2 * AGAIN_EVERY, set()) if given["chosen"].get("again")
    ]
    assert again and all(
        given["image_id"] in {entry["image_id"] for entry in session.journal.entries} for given in again
    )
    decide(session, again[0], reviewer="Bea")
    found = describe(session)
    assert found["again"] >= 1 and found["agreement"] is not None


def test_unsure_and_disagreement_give_no_label(session):
    first, second = session.next_sheets("Ada", "random", 2, set())
    decide(session, first, decision="unsure")
    decide(session, second, "dark")
    decide(session, second, "light", reviewer="Bea")
    assert session.labels() == {} and session.random_rows() == 2
    found = describe(session)
    assert found["unsure"] == 1 and found["disagreements"] == 1


def test_a_class_gets_another_name_and_what_was_decided_counts_under_it(session):
    (given,) = session.next_sheets("Ada", "random", 1, set())
    decide(session, given, "dark")
    session.rename_class("dark", "stained")
    assert list(session.labels().values()) == ["stained"] and session.classes == ("stained", "light")
    with pytest.raises(UserError, match="no class 'dark'"):
        session.rename_class("dark", "x")
    with pytest.raises(UserError, match="cannot name a class"):
        session.add_class("review")
    again = Session(session.sheets, session.journal, session.folder, ())
    assert again.classes == ("stained", "light")


def test_labels_go_into_a_split_that_tests_on_random_sheets_alone(session, photographs):
    for _ in range(24):
        (given,) = session.next_sheets("Ada", "random", 1, set())
        decide(session, given)
    for row in range(50, 80):
        sheet = session.sheets.table.iloc[row]
        session._handed[sheet["key"]] = {"how": "suggested"}
        decide(session, {"image_id": sheet["image_id"], "key": sheet["key"]})
    output = session.folder / "labels.csv"
    assert write_labels(session, output) == 54
    listed = folder_source.fetch(FolderSource(path=str(photographs), labels=str(output)))
    assert listed["status"].value_counts().to_dict() == {"ok": 54, "refused": COUNT - 54}
    assert listed.loc[listed["status"] == "refused", "reason"].unique() == ["the table of labels has no label for it"]
    split = split_random(listed[listed["status"] == "ok"], (0.7, 0.2, 0.1), 1)
    tested = split.loc[split["part"] != "train", "image_id"]
    chosen = listed.set_index("image_id")["chosen"]
    assert len(tested) == 16 and set(chosen[tested]) == {"random"}
    with pytest.raises(UserError, match="labels are of randomly chosen sheets, and 20 or more"):
        split_random(listed[listed["chosen"] == "suggested"], (0.7, 0.2, 0.1), 1)


def test_labels_that_are_none_are_named(tmp_path, photographs):
    for rows, sentence in (
        ([("light01.png", "a"), ("light01.png", "b")], "two labels"),
        ([("elsewhere.png", "a")], "not in"),
        ([("light01.png", "")], "has no labels"),
    ):
        with (tmp_path / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image_id", "label"), *rows])
        with pytest.raises(UserError, match=sentence):
            folder_source.fetch(FolderSource(path=str(photographs), labels=str(tmp_path / "labels.csv")))


def test_what_was_read_stays_and_a_changed_photograph_is_read_again(tmp_path, photographs, session):
    sheets = session.sheets
    name, stamp = sheets.table["image_id"][3], sheets.table["stamp"][3]
    sheets.store.add([Kept(name, stamp, "", b"jpeg", np.ones(8, np.float16))])
    again = Sheets(photographs, session.folder, session.journal.run, LIMITS, session.journal.entries)
    assert again.known.sum() == 1 and again.known[3] and again.store.picture(name) == b"jpeg"
    Image.new("L", (40, 61)).save(photographs / name)
    changed = Sheets(photographs, session.folder, session.journal.run, LIMITS, session.journal.entries)
    assert not changed.known.any()
    again.close()
    changed.close()


def test_a_file_that_is_no_photograph_is_not_handed_out_and_stops_no_random_sample(photographs, session):
    table = session.sheets.table
    session.sheets.store.add([Kept(table["image_id"][2], table["stamp"][2], "no image", b"", np.empty(0, np.float16))])
    sheets = Sheets(photographs, session.folder, session.journal.run, LIMITS, session.journal.entries)
    again = Session(sheets, session.journal, session.folder, ())
    given = [decide(again, again.next_sheets("Ada", "random", 1, set())[0])["image_id"] for _ in range(5)]
    assert given == table["image_id"][[0, 1, 3, 4, 5]].tolist() and again.random_rows() == 6
    found = describe(again)
    assert (found["sheets"], found["refused"], found["random"]) == (COUNT - 1, 1, 5)
    sheets.close()


def test_the_page_asks_decides_and_undoes(session):
    async def walk():
        async with TestClient(TestServer(make_app(session, "", "127.0.0.1", LIMITS))) as client:
            facts = await (await client.get("/start.json")).json()
            (given,) = await (await client.get("/next.json", params={"reviewer": "Ada", "count": "1"})).json()
            picture = await client.get(f"/pictures/{given['key']}.jpg")
            assert picture.status == 200 and (await picture.read())[:2] == b"\xff\xd8"
            entry = {
                "id": "1" * 32, "run": facts["run"], "key": given["key"], "reviewer": "Ada", "decision": "class",
                "label": "dark", "undoes": "", "time": "2026-11-29T10:00:00Z", "blind": True,
            }  # fmt: skip
            headers = {"X-Sheetlens-Review": "1"}
            kept = await client.post("/decisions", json=[entry], headers=headers)
            assert (await kept.json())["kept"] == ["1" * 32] and len(session.labels()) == 1
            undo = entry | {"id": "2" * 32, "decision": "undo", "label": "", "undoes": "1" * 32}
            assert (await client.post("/decisions", json=[undo], headers=headers)).status == 200
            assert session.labels() == {}
            another = await client.post("/decisions", json=[entry | {"run": "x"}], headers=headers)
            assert another.status == 409 and "another run is served here now" in await another.text()
            for wrong in (entry | {"label": "fern"}, entry | {"key": "none"}):
                assert (await client.post("/decisions", json=[wrong], headers=headers)).status == 400
            assert (await client.post("/decisions", json=[entry])).status == 403  # not from our page
            added = await client.post("/classes", json={"name": "torn"}, headers=headers)
            assert (await added.json())["classes"] == ["dark", "light", "torn"]
            assert (await client.get("/numbers.json")).status == 200

    asyncio.run(walk())
    assert (session.folder / "labels.csv").is_file()


def test_features_of_another_length_are_not_read_on_with(session, caplog):
    """A damaged database whose features are all as short: one sentence, and labelling goes on."""
    session.sheets._read_all()
    (said,) = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    assert "sheets.sqlite is damaged, or none of a labelling (features of length 8, not " in said
    assert said.endswith("labelling goes on in random order") and "Traceback" not in caplog.text
    assert session.sheets.store.stamps() == {}


HEADERS = {"X-Sheetlens-Review": "1"}


def given_decisions(session, keys, label):
    return [
        {
            "id": f"{place:032}", "run": session.journal.on_pages, "key": key, "reviewer": "Ada", "decision": "class",
            "label": label, "undoes": "", "time": "2026-11-29T10:00:00Z", "blind": True,
        }
        for place, key in enumerate(keys)
    ]  # fmt: skip


def with_client(session, walk):
    async def served():
        async with TestClient(TestServer(make_app(session, "", "127.0.0.1", LIMITS))) as client:
            await walk(client)

    asyncio.run(served())


def test_decisions_of_many_at_once_are_all_confirmed_and_the_table_is_whole(session):
    entries = given_decisions(session, session.sheets.table["key"], "dark")

    async def walk(client):
        answers = await asyncio.gather(*(client.post("/decisions", json=[entry], headers=HEADERS) for entry in entries))
        assert {answer.status for answer in answers} == {200}

    with_client(session, walk)
    with (session.folder / "labels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == COUNT


def test_a_decision_under_the_name_before_counts_under_todays(session):
    async def walk(client):
        renamed = await client.post("/classes", json={"rename": "dark", "name": "stained"}, headers=HEADERS)
        assert renamed.status == 200
        entry = given_decisions(session, session.sheets.table["key"][:1], "dark")
        assert (await client.post("/decisions", json=entry, headers=HEADERS)).status == 200

    with_client(session, walk)
    assert list(session.labels().values()) == ["stained"]


def test_a_class_is_not_confirmed_where_it_cannot_be_kept(session):
    folder = session.folder

    async def walk(client):
        folder.rename(folder.with_name("moved"))
        answer = await client.post("/classes", json={"name": "torn"}, headers=HEADERS)
        assert answer.status == 503 and "was moved away" in await answer.text()
        folder.with_name("moved").rename(folder)
        (folder / "classes.json.part").mkdir()
        answer = await client.post("/classes", json={"name": "torn"}, headers=HEADERS)
        assert answer.status == 503 and "a folder stands where a file should be" in await answer.text()

    with_client(session, walk)
    assert "torn" not in session.classes and not (folder / "moved").exists()


@pytest.fixture
def labelled(session):
    """A session in which 6 photographs are labelled; their decisions know how large the files are."""
    entries = given_decisions(session, session.sheets.table["key"][:6], "dark")

    async def walk(client):
        assert (await client.post("/decisions", json=entries, headers=HEADERS)).status == 200

    with_client(session, walk)
    return session


def again(session, photographs):
    sheets = Sheets(photographs, session.folder, session.journal.run, LIMITS, session.journal.entries)
    try:
        return Session(sheets, session.journal, session.folder, ("dark", "light"))
    finally:
        sheets.close()


def test_the_labels_of_other_photographs_do_not_count_for_these(labelled, photographs):
    assert len(again(labelled, photographs.rename(photographs.with_name("moved"))).labels()) == 6
    photographs.mkdir()
    for number in range(COUNT):
        for kind in ("dark", "light"):
            Image.effect_noise((50, 60), 90).save(photographs / f"{kind}{number:02}.png")
    with pytest.raises(UserError, match="holds the labels of 6 other photographs: give those, or another --output"):
        again(labelled, photographs)


def test_it_is_said_whose_photograph_is_gone_or_has_changed(labelled, photographs, caplog):
    first, second = (photographs / name for name in labelled.sheets.table["image_id"][:2])
    first.unlink()
    second.write_bytes(second.read_bytes() + bytes(9))
    assert len(again(labelled, photographs).labels()) == 5
    assert f"1 labels are left out, their photographs are not there, such as {first.name}" in caplog.text
    assert f"1 labelled photographs have changed, such as {second.name}: look at them again" in caplog.text
    for path in photographs.iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(UserError, match="of 6 other photographs"):
        again(labelled, photographs)


def test_one_image_id_names_one_photograph(tmp_path, photographs):
    names = sorted(photographs.iterdir())[:3]
    table = tmp_path / "table.csv"
    table.write_text(
        "".join(["image_id,path\n", *(f"{name},{path}\n" for name, path in zip("xxy", names, strict=True))])
    )
    with pytest.raises(UserError, match=r"gives 1 names to more than one photograph \(x\)"):
        Sheets(table, tmp_path / "labels", "run", LIMITS, [])


@pytest.mark.parametrize("label", ["review", "a\u00a0b", "x" * 101])
def test_a_label_that_names_no_class_stops_no_labelling(labelled, photographs, caplog, label):
    entry = labelled.journal.entries[0]
    labelled.journal.append([entry | {"id": "9" * 32, "label": label, "reviewer": "Bob"}])
    assert len(again(labelled, photographs).labels()) == 6
    assert f"decisions in {labelled.journal.path} are left out: '{label[:100]}' cannot name a class" in caplog.text
