"""A folder is walked so that nothing in it goes unseen."""

import os

import pytest

from sheetlens.common.folders import walk


def names(folder):
    return [(found.path.relative_to(folder).as_posix(), found.refused and found.refused.code) for found in walk(folder)
            if not found.hidden]  # fmt: skip


@pytest.fixture
def photographs(tmp_path):
    for name in ("on disk/a/1.jpg", "on disk/a/2.jpg", "elsewhere/b/3.jpg", "on disk/.DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "on disk"


def test_linked_folders_are_followed(photographs):
    (photographs / "b").symlink_to(photographs.parent / "elsewhere/b")
    (photographs / "a/deep").symlink_to(photographs.parent / "elsewhere")
    assert names(photographs) == [("a/1.jpg", None), ("a/2.jpg", None), ("a/deep/b/3.jpg", None), ("b/3.jpg", None)]


def test_a_link_back_is_named_and_not_followed_for_ever(photographs):
    (photographs / "a/round").symlink_to(photographs)
    (photographs / "self").symlink_to("self")
    assert names(photographs) == [("a/1.jpg", None), ("a/2.jpg", None), ("a/round", "folder_again"), ("self", None)]


def test_hidden_files_are_only_counted(photographs):
    (photographs / ".cache").mkdir()
    (photographs / ".cache/thumb.jpg").write_bytes(b"x")
    assert sum(found.hidden for found in walk(photographs)) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any folder")
def test_a_folder_that_may_not_be_listed_is_named(photographs):
    (photographs / "a").chmod(0)
    try:
        assert names(photographs) == [("a", "folder_unreadable")]
    finally:
        (photographs / "a").chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_named(photographs, monkeypatch):
    """As a stale mount answers, which no user can make."""
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/a"):
            raise OSError(116, os.strerror(116))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (found,) = walk(photographs / "a")
    assert str(found.refused) == (
        "the folder cannot be listed, nor what is in it counted: Stale file handle; make it readable and run again"
    )
