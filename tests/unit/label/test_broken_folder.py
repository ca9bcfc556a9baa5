"""A labelling's folder in which something was damaged: one sentence, with the way out."""

import json
import os
import sqlite3

import numpy as np
import pytest

from sheetlens.common.errors import UserError
from sheetlens.label.classes import Classes
from sheetlens.label.store import Kept, Store

RENAMED = {"a": "b", "b": "a"}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"5", b"{}", b'{"classes": 5}', b"\xff", b"[" * 100_000, b'{"classes": [], "renamed": []}',
        b'{"classes": [1], "renamed": {}}', b'{"classes": ["a", "a"], "renamed": {}}',
        b'{"classes": ["\\ud800"], "renamed": {}}', b'{"classes": ["a"], "renamed": {"b": 1}}',
        json.dumps({"classes": ["a", "b"], "renamed": RENAMED}).encode(),
    ],
)  # fmt: skip
def test_classes_that_are_damaged_are_one_sentence(tmp_path, content):
    (tmp_path / "classes.json").write_bytes(content)
    with pytest.raises(UserError, match=r"classes\.json is damaged .* put a copy in its place, or move it") as refused:
        Classes(tmp_path / "classes.json")
    assert "\n" not in str(refused.value)
    assert (tmp_path / "classes.json").read_bytes() == content


def test_classes_are_taken_up_as_they_were(tmp_path):
    made = Classes(tmp_path / "classes.json")
    for name in ("fern", "moss"):
        made.add(name)
    made.rename("fern", "ivy")
    made.rename("ivy", "fern")
    again = Classes(tmp_path / "classes.json")
    assert again.names == made.names == ("fern", "moss") and again.now("ivy") == "fern"


def sheet(name, features):
    return Kept(name, "stamp", "", b"jpeg", np.asarray(features, np.float16))


def filled(path):
    store = Store(path, "features")
    store.add([sheet("a", [1, 2]), sheet("b", [3, 4])])
    store.close()
    return path


def changed(*sentences):
    def change(path):
        base = sqlite3.connect(path)
        for sentence in sentences:
            base.execute(sentence)
        base.commit()
        base.close()

    return change


DAMAGE = {
    "garbage": lambda path: path.write_bytes(b"garbage" * 999),
    "cut short": lambda path: os.truncate(path, 5000),
    "another schema": changed("drop table sheet", "create table sheet (x)"),
    "another table of facts": changed("drop table fact", "create table fact (x)"),
    "half a feature": changed("update sheet set features = zeroblob(7)"),
    "no features": changed("update sheet set features = null"),
    "a number": changed("update sheet set features = 7"),
    "features of two lengths": changed("update sheet set features = zeroblob(20) where image_id = 'a'"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_known_of_photographs_can_be_made_anew(tmp_path, damage):
    path = filled(tmp_path / "sheets.sqlite")
    DAMAGE[damage](path)
    with pytest.raises(UserError, match=r"sheets\.sqlite is damaged.*: delete it, with sheets\.sqlite-wal"):
        store = Store(path, "features")
        store.stamps(), store.features(), store.reasons()
    for one in tmp_path.glob("sheets.sqlite*"):
        one.unlink()
    assert filled(path).is_file()


def test_a_folder_in_the_place_of_the_database_is_named(tmp_path):
    (tmp_path / "sheets.sqlite").mkdir()
    with pytest.raises(UserError, match=r"sheets\.sqlite is no file: move it away"):
        Store(tmp_path / "sheets.sqlite", "features")


def test_a_fault_of_the_disk_names_the_database(tmp_path):
    path = filled(tmp_path / "sheets.sqlite")
    store = Store(path, "features")
    store._base.execute("pragma max_page_count = 3")
    with pytest.raises(UserError, match=r"sheets\.sqlite: the disk is full"):
        store.add([sheet(str(number), np.zeros(4000)) for number in range(20)])
    store.close()


@pytest.mark.parametrize("name", ["sheets.sqlite", "classes.json"])
def test_nobody_waits_for_a_pipe(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name} is no file: move it away"):
        Classes(tmp_path / name) if name == "classes.json" else Store(tmp_path / name, "features")


def test_colleagues_may_write_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o002)
    try:
        store = Store(tmp_path / "sheets.sqlite", "features")
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o664}
        store.close()
    finally:
        os.umask(before)


def test_a_picture_that_is_none_is_read_again_from_its_photograph(tmp_path):
    path = filled(tmp_path / "sheets.sqlite")
    base = sqlite3.connect(path)
    base.execute("update sheet set picture = 7")
    base.commit()
    base.close()
    store = Store(path, "features")
    assert {store.picture(name) for name in store.stamps()} == {None}
    store.close()
