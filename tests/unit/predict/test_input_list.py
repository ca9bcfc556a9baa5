import os

import pytest

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.folders import walk
from sheetlens.predict.input_list import COLUMNS, write_list


def listed(source, folder):
    write_list(source, folder / "list.parquet")
    return files.read_table(folder / "list.parquet")


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_a_folders_files_come_in_the_order_of_their_paths_without_hidden_ones(tmp_path):
    names = ["b.jpg", "a/2.jpg", "a/1.jpg", "a.jpg", "a-b/x.jpg", ".hidden/x.jpg", "a/.x.jpg", "z/y/x/deep.tif"]
    photos = make(tmp_path / "photos", *names)
    table = listed(photos, tmp_path)
    assert list(table.columns) == list(COLUMNS)
    assert table["image_id"].tolist() == sorted(name for name in names if "/." not in f"/{name}")
    assert table["specimen_id"].tolist()[:2] == ["x", "a"]
    assert set(table["status"]) == {"ok"}
    assert [str(found.path) for found in walk(photos) if not found.hidden] == table["path"].tolist()


def test_names_of_any_kind_are_listed_and_what_cannot_be_read_says_why(tmp_path):
    photos = make(tmp_path / "photos", "two\nlines.jpg", "trailing\n", 'quote",\r.jpg', "ordinary.jpg")
    os.mkfifo(photos / "pipe.jpg")
    (photos / "loop").symlink_to(photos)
    (photos / "nowhere.jpg").symlink_to("gone")
    (photos / os.fsdecode(b"\xff.jpg")).write_text("x")
    table = listed(photos, tmp_path).set_index("image_id")
    assert len(table) == 8
    assert table["status"].value_counts().to_dict() == {"ok": 4, "refused": 4}
    assert table.loc[["two\nlines.jpg", "trailing\n", 'quote",\r.jpg'], "status"].tolist() == ["ok"] * 3
    assert table.loc["pipe.jpg", "reason"] == "not a file but a folder, pipe or device"
    assert table.loc["loop", "reason"] == "a link to a folder that holds it: it was not followed again"
    assert table.loc["nowhere.jpg", "reason"] == "cannot be read: No such file or directory"
    assert table.loc["\\udcff.jpg", "reason"] == "the file name is not UTF-8: rename it"


def test_a_table_keeps_its_order_and_what_it_knows(tmp_path):
    make(tmp_path, "b.jpg", "a.jpg")
    (tmp_path / "table.csv").write_text(
        "image_id,Path,specimen_id,status,reason\n"
        f'"second\nline",{tmp_path}/b.jpg,US 00012,,\n'
        f",{tmp_path}/a.jpg,,ok,\n"
        "third,,,ok,\n"
        f"fourth,{tmp_path}/a.jpg,,refused,no licence\n"
        f"fifth,{tmp_path}/gone.jpg,,,\n"
    )
    table = listed(tmp_path / "table.csv", tmp_path)
    assert table["image_id"].tolist() == ["second\nline", f"{tmp_path}/a.jpg", "third", "fourth", "fifth"]
    assert table["specimen_id"].tolist()[:2] == ["US 00012", "a"]
    assert table["status"].tolist() == ["ok", "ok", "refused", "refused", "refused"]
    assert table["reason"].tolist()[2:] == [
        "its row names no file: it was not fetched, or not kept",
        "no licence",
        "cannot be read: No such file or directory",
    ]


def test_a_changed_file_changes_the_list(tmp_path):
    photos = make(tmp_path / "photos", "a.jpg")
    first, again = listed(photos, tmp_path), listed(photos, tmp_path)
    assert first.equals(again)
    (photos / "a.jpg").write_text("b.jpg")
    os.utime(photos / "a.jpg", ns=(1, 1))
    assert not listed(photos, tmp_path).equals(first)


@pytest.mark.parametrize(
    ("make_it", "sentence"),
    [
        (lambda path: (path / "source").mkdir(), "there are no files in"),
        (lambda path: (path / "source").write_text("x"), "neither a folder of photographs nor a table"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, make_it, sentence):
    make_it(tmp_path)
    with pytest.raises(UserError, match=sentence):
        write_list(tmp_path / "source", tmp_path / "list.parquet")
    (tmp_path / "table.csv").write_text("file\nx.jpg\n")
    with pytest.raises(UserError, match="no column 'path'; its columns are file"):
        write_list(tmp_path / "table.csv", tmp_path / "list.parquet")
    assert not (tmp_path / "list.parquet").exists()
