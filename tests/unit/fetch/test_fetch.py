import json
import os
import subprocess
import sys

import pytest

from sheetlens.common.errors import UserError
from sheetlens.common.files import read_table, sha256
from sheetlens.config import DemoSource, FolderSource
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.sources import demo, folder


@pytest.fixture
def photographs(tmp_path):
    root = tmp_path / "photos"
    for label in ("fern", "moss"):
        for number in range(3):
            path = root / label / f"drawer {number}" / f"{label}_{number} (1).JPG"
            path.parent.mkdir(parents=True)
            path.write_bytes(f"{label}{number}".encode())
    return root


def test_folder_lists_every_file_and_touches_none(photographs):
    (photographs / "moss/notes.txt").write_text("remember")
    (photographs / "loose.jpg").write_bytes(b"loose")
    (photographs / ".hidden").write_text("")
    before = {path: path.stat().st_mtime_ns for path in photographs.rglob("*")}
    table = folder.fetch(FolderSource(path=str(photographs)))
    assert list(table.columns) == list(LISTING)
    assert table["image_id"].tolist() == sorted(table["image_id"])
    assert len(table) == 8
    row = table.set_index("image_id").loc["fern/drawer 1/fern_1 (1).JPG"]
    assert (row["label"], row["specimen_id"], row["bytes"]) == ("fern", "fern_1 (1)", 5)
    assert row["sha256"] == sha256(photographs / "fern/drawer 1/fern_1 (1).JPG")
    assert table.set_index("image_id").loc["loose.jpg", "reason"] == "not in a class folder"
    assert before == {path: path.stat().st_mtime_ns for path in photographs.rglob("*")}


def test_a_name_that_is_not_utf8_is_refused(photographs):
    (photographs / os.fsdecode(b"moss/caf\xe9.jpg")).write_bytes(b"x")
    refused = folder.fetch(FolderSource(path=str(photographs))).query("status == 'refused'")
    assert refused["reason"].tolist() == ["the file name is not UTF-8: rename it"]
    assert refused["image_id"].tolist() == ["moss/caf\\udce9.jpg"]


def test_a_folder_full_of_traps_neither_stops_nor_stalls(photographs):
    (photographs / "moss/folder.jpg").mkdir()
    (photographs / "moss/folder.jpg/inside.jpg").write_bytes(b"x")
    os.mkfifo(photographs / "moss/pipe.jpg")
    (photographs / "moss/to nowhere.jpg").symlink_to("nowhere")
    (photographs / "hornwort").symlink_to("/disk/that/is/not/connected")
    (photographs / "moss/new\nline.jpg").write_bytes(b"x")
    table = folder.fetch(FolderSource(path=str(photographs))).set_index("image_id")
    assert table.loc[["moss/folder.jpg/inside.jpg", "moss/new\nline.jpg"], "status"].tolist() == ["ok", "ok"]
    assert table.loc["moss/pipe.jpg", "reason"] == "not a file but a folder, pipe or device"
    assert table.loc["moss/to nowhere.jpg", "reason"] == "cannot be read: No such file or directory"
    assert table.loc["hornwort", "reason"].startswith("a link that leads nowhere: connect the disk")


def test_a_changed_folder_has_another_fingerprint(photographs):
    source = FolderSource(path=str(photographs))
    first = folder.fingerprint(source)
    assert folder.fingerprint(source) == first
    (photographs / "moss/new.jpg").write_bytes(b"new")
    assert folder.fingerprint(source) != first


def test_faults_of_a_folder_are_named(tmp_path, photographs):
    def fault(path):
        with pytest.raises(UserError) as error:
            folder.check(FolderSource(path=str(path)))
        return str(error.value)

    assert "does not exist" in fault(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "one per class, and has none" in fault(tmp_path / "empty")
    (tmp_path / "empty/one").mkdir()
    assert "has only one, 'one'" in fault(tmp_path / "empty")
    (photographs / "moss/drawer 1/moss_1 (1).JPG").unlink()
    assert "class 'moss'" in fault(photographs)
    assert "has 2 files, fewer than the 3 parts" in fault(photographs)


def test_demo_draws_what_it_lists(tmp_path):
    table = demo.fetch(DemoSource(task="stain", sheets=8), tmp_path / "originals")
    assert set(table["label"]) == {"stained", "unstained"}
    assert [sha256(tmp_path / "originals" / name) for name in table["image_id"]] == table["sha256"].tolist()
    truth = read_table(tmp_path / "originals/truth.parquet")
    assert truth["file"].tolist() == table["image_id"].tolist()


def listed(photographs, folder, *more):
    """What `sheetlens fetch folder` says, and the listing."""
    settings = json.dumps({"path": str(photographs)})
    command = [
        "fetch",
        "folder",
        "--settings",
        settings,
        "--originals",
        folder / "o",
        "--listing",
        folder / "l.parquet",
    ]
    done = subprocess.run([sys.executable, "-m", "sheetlens", *command, *more], capture_output=True, text=True)
    return done, read_table(folder / "l.parquet") if done.returncode == 0 else None


def test_files_found_on_disk_are_rows_and_that_is_said(photographs, tmp_path):
    (photographs / "moss/notes.txt").write_text("remember")
    (photographs / ".hidden").write_text("")
    (photographs / "loose.jpg").write_bytes(b"x")
    done, table = listed(photographs, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Files on disk: 8 (1 hidden ones are left alone). Rows of the listing: 8." in done.stderr
    assert "Files found: 8. Used: 7. Refused: 1." in done.stderr
    assert "  1 not in a class folder" in done.stderr
    assert len(table) == 8


def test_linked_class_folders_are_listed_like_any_other(photographs, tmp_path):
    links = tmp_path / "links"
    (links / "moss").mkdir(parents=True)
    (links / "fern").symlink_to(photographs / "fern")
    for number in range(3):
        (links / "moss" / f"{number}.jpg").symlink_to(photographs / f"moss/drawer {number}/moss_{number} (1).JPG")
    done, table = listed(links, tmp_path)
    assert done.returncode == 0, done.stderr
    assert table["label"].value_counts().to_dict() == {"fern": 3, "moss": 3}
    assert set(table["status"]) == {"ok"}
    before = folder.fingerprint(FolderSource(path=str(links)))
    (photographs / "fern/new.jpg").write_bytes(b"new")
    assert folder.fingerprint(FolderSource(path=str(links))) != before


def test_a_folder_that_cannot_be_listed_is_a_row(photographs, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("moss/locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    (photographs / "moss/locked").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    row = folder.fetch(FolderSource(path=str(photographs))).set_index("image_id").loc["moss/locked"]
    assert (row["label"], row["status"], row["reason_code"]) == ("moss", "refused", "folder_unreadable")
    assert "Permission denied" in row["reason"]
