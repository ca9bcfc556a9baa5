"""Errors for people."""

import errno
import os
import sqlite3

FULL = (errno.ENOSPC, errno.EDQUOT)
_WORDS = {  # errno -> what is wrong and what to do; {place} is a file, or nothing
    errno.ENOSPC: "the disk is full{place}: make room and run the same command again",
    errno.EDQUOT: "the disk is full for you, your quota is used up{place}: make room and run the same command again",
    errno.EACCES: "may not write or read{place}: check its permissions, and those of its folder",
    errno.EPERM: "may not write or read{place}: check its permissions, and those of its folder",
    errno.EROFS: "may not write{place}: its disk can only be read; check its permissions, or work on another disk",
    errno.ESTALE: "the network disk lost a file{place}: see that it is mounted and run the same command again",
    errno.EIO: "the disk has a fault and cannot read or write{place}: check the disk, or work on another one",
    errno.ENOTCONN: "the network disk is not connected{place}: see that it is mounted and run the same command again",
    errno.EHOSTDOWN: "the network disk is not connected{place}: see that it is mounted and run the same command again",
    errno.ETIMEDOUT: "the disk or the network did not answer{place}: run the same command again",
    errno.EXDEV: "cannot rename a file across disks{place}: let the folder and what is in it be on one disk",
    errno.EMFILE: "too many files are open{place}: raise the limit (ulimit -n 4096) or use fewer workers",
    errno.ENFILE: "too many files are open on this machine{place}: end other programs and run the same command again",
    errno.ENOLCK: "the disk cannot lock files{place}: work on another disk, or mount it with locks",
    errno.EOPNOTSUPP: "the disk cannot do that{place}: work on another disk",
    errno.ENOSYS: "the disk cannot do that{place}: work on another disk",
    errno.EFBIG: "the file would be larger than the disk or your limits allow{place}: see ulimit -f",
    errno.ENAMETOOLONG: "the name is too long{place}: work in a folder with a shorter path",
    errno.ENOMEM: "there is not enough memory{place}: use fewer workers or a larger machine",
    errno.ENOENT: "a file is not there{place}: see that nobody moves files away while this runs",
    errno.ENOTDIR: "a file stands where a folder should be{place}: move it away",
    errno.EISDIR: "a folder stands where a file should be{place}: move it away",
    errno.EEXIST: "something stands in the way{place}: move it away",
    errno.ELOOP: "a link leads in a circle, or where none may be{place}: put the file itself there",
}
# What the names in an archive or a listing can bring about by themselves: the disk is not to blame.
_OF_NAMES = {errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP}
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGED = "a database (.sqlite) is damaged: check the disk, delete that file, and run the same command again"
_BASES: dict[int, int | str] = {  # SQLite's code -> errno, or a sentence of its own
    sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES, sqlite3.SQLITE_PERM: errno.EACCES, sqlite3.SQLITE_NOLFS: errno.EFBIG,
    sqlite3.SQLITE_IOERR_LOCK: errno.ENOLCK, sqlite3.SQLITE_IOERR_RDLOCK: errno.ENOLCK,
    sqlite3.SQLITE_IOERR_UNLOCK: errno.ENOLCK, sqlite3.SQLITE_PROTOCOL: errno.ENOLCK,
    # SQLite keeps the system's code to itself, and calls a quota that is used up a fault of the disk, too.
    sqlite3.SQLITE_IOERR: "the disk cannot read or write a database: your quota may be used up, or the disk has a"
    " fault; make room or check the disk, and run the same command again",
    sqlite3.SQLITE_BUSY: "another command is at work on the same database: wait for it, or end it",
    **dict.fromkeys(DAMAGE, _DAMAGED),
}  # fmt: skip


class UserError(Exception):
    """Something a person can put right: the message says what was wrong, where, and what to do."""


def sentence_for(error: BaseException) -> str:
    """One sentence for a fault of the system or its disks: what is wrong, where, what to do; "" for any other."""
    names: list[str | bytes] = []
    code: int | str | None = None
    if isinstance(error, sqlite3.Error):
        code = _BASES.get(getattr(error, "sqlite_errorcode", 0), _BASES.get(kind_of(error)))
    elif isinstance(error, OSError):
        code = error.errno
        names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if code is None or isinstance(code, str):
        return code or ""
    place = f" ({' and '.join(map(os.fsdecode, names))})" if names else ""
    words = _WORDS.get(code, "the system says '{why}'{place}: run the same command again")
    return words.format(place=place, why=os.strerror(code))


def of_the_disk(error: BaseException) -> bool:
    """Whether an error is the disk's or the system's (full, gone, forbidden): what was read is not to blame for it."""
    return isinstance(error, OSError) and error.errno in _WORDS.keys() - _OF_NAMES


def kind_of(error: sqlite3.Error) -> int:
    """SQLite's code of an error without its details, which stand above the lowest byte; 0 for none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
