import errno
import sqlite3
from pathlib import Path

import pytest
import torch

from sheetlens import cli
from sheetlens.common.errors import sentence_for
from sheetlens.common.formats.file_kinds import unreadable
from sheetlens.common.tables import read_rows
from sheetlens.config import Recipe
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.fetch.records.edan import read_shard
from sheetlens.fetch.unpack import unpack
from sheetlens.train.checkpoint import Progress
from sheetlens.train.optimisation import make_optimiser

FAULTY = Path("/proc/self/mem")  # can be opened, and not be read: EIO

FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full for you, your quota is used up",
    errno.ESTALE: "the network disk lost a file",
    errno.EIO: "the disk has a fault",
    errno.EXDEV: "cannot rename a file across disks",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open on this machine",
    errno.EACCES: "may not write or read",
    errno.EROFS: "may not write",
    errno.ENOLCK: "the disk cannot lock files",
    errno.ENOTCONN: "the network disk is not connected",
    errno.EBADMSG: "the system says 'Bad message'",  # one that nobody thought of
}


@pytest.mark.parametrize("names", [(), ("a.parquet",), ("a.parquet.part", None, "a.parquet"), (b"a.parquet",)])
@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_of_a_disk_ends_a_command_with_one_sentence(monkeypatch, code, names):
    def fail():
        raise OSError(code, "told", *names)

    monkeypatch.setattr(cli, "cli", fail)
    monkeypatch.setattr("sys.argv", ["sheetlens", "predict"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = str(ended.value.code)
    assert said.startswith(f"sheetlens predict: error: {FAULTS[code]}") and "\n" not in said and "None" not in said
    assert ("a.parquet" in said) == bool(names) and "b'" not in said
    assert ": " in said.removeprefix("sheetlens predict: error: "), "what to do"


def test_a_full_disk_below_sqlite_is_called_so(tmp_path):
    base = sqlite3.connect(tmp_path / "base")
    base.executescript("PRAGMA page_size = 4096; CREATE TABLE t (x); PRAGMA max_page_count = 3;")
    with pytest.raises(sqlite3.OperationalError) as error:
        base.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    base.close()
    assert sentence_for(error.value).startswith("the disk is full")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_IOERR_WRITE, "the disk cannot read or write a database: your quota may be used up, or"),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk cannot read or write a database: your quota may be used up, or"),
        (sqlite3.SQLITE_IOERR_LOCK, "the disk cannot lock files"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "may not write or read"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "may not write"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another command is at work"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "a database (.sqlite) is damaged"),
        (sqlite3.SQLITE_ERROR, ""),  # a bug
    ],
)
def test_each_fault_below_sqlite_has_its_sentence(code, said):
    error = sqlite3.OperationalError("told")
    error.sqlite_errorcode = code
    assert sentence_for(error).startswith(said) and bool(sentence_for(error)) == bool(said)


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("words alone"), sqlite3.ProgrammingError("a bug")])
def test_what_is_no_fault_of_the_system_keeps_its_traceback(error):
    assert sentence_for(error) == ""


def opened(path):
    with open_archive(path):
        pass


def continued(path):
    network = torch.nn.Linear(1, 1)
    progress = Progress(network, *make_optimiser(network, 1e-3, 1, Recipe()), path.parent, {})
    assert progress.checkpoint == path
    progress.load()


@pytest.mark.skipif(not FAULTY.exists(), reason="no file here can be opened and not be read")
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("labels.csv", lambda path: list(read_rows(path, {"label": "label"}))),
        ("labels.csv", unreadable),
        ("archive.tar", opened),
        ("pictures.tar", lambda path: list(unpack(path, path.parent, 100))),
        ("shard.txt", lambda path: list(read_shard(path))),
        ("checkpoint.pt", continued),
    ],
)
def test_a_fault_of_a_disk_is_not_told_of_what_lies_on_it(tmp_path, name, read):
    (tmp_path / name).symlink_to(FAULTY)
    with pytest.raises(OSError) as error:
        read(tmp_path / name)
    assert sentence_for(error.value).startswith("the disk has a fault")
