"""Unpack an archive that nobody vouches for: pictures only, into one folder only, of bounded size."""

import bz2
import errno
import gzip
import hashlib
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason
from sheetlens.fetch.content_checks import BrokenImageError, check_image
from sheetlens.fetch.errors import RefusedError
from sheetlens.fetch.http.addresses import check_name, place, text
from sheetlens.fetch.http.session import PIECE
from sheetlens.fetch.records.archive_files import CarefulInfo, is_tar, same_name, with_slashes

EXPANSION, LEAST = 20, 2**28  # an archive may unpack to 20 times its size, small ones to 256 MB
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
MEMBERS = 2_000_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".jp2", ".gif", ".bmp")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive: where it lies now, or why it does not."""

    name: str
    path: Path | None = None
    bytes: int = 0
    sha256: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """Names (see `same_name`) of files that archives have brought below a folder, and of all members told of."""

    taken: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)


def check_archive(path: Path) -> None:
    """Raise BrokenImageError for a file that is no tar (compressed or not) and no zip."""
    if not zipfile.is_zipfile(path) and not is_tar(path):
        raise BrokenImageError("no archive (tar, tar.gz, zip) that can be read")


def is_picture(name: str) -> bool:
    """Whether a name is that of a picture."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def unpack(
    path: Path,
    folder: Path,
    largest: int,
    progress: Callable[[int], None] = lambda done: None,
    check: Callable[[Path], None] = check_image,
    known: Known | None = None,
) -> Iterator[Member]:
    """Unpack the pictures of a tar (compressed or not) or zip below `folder`, giving every member in turn.

    A member keeps its path without the first folder, where no other member has taken that already. What is no
    regular file, is larger than `largest` bytes, has a name that leads out of the folder, or is no whole
    picture is refused with a reason. Raises UserError for an archive that is broken or unpacks beyond bounds.
    """
    most = max(EXPANSION * path.stat().st_size, LEAST)
    known = known or Known()
    walk = _zip_members if zipfile.is_zipfile(path) else _tar_members
    try:
        for number, (name, size, refused, file) in enumerate(walk(path, most), start=1):
            if number > MEMBERS:
                raise UserError(f"{path} has more than {MEMBERS:,} members: it is not unpacked")
            if not is_picture(name):
                refused = refused or Reason("no_picture_name")
            elif size > largest:
                refused = refused or Reason("too_many_bytes", limit=largest)
            member = Member(text(name), refused=refused)
            if not refused:
                member = _write(file(), name, folder, known.taken, size, check)
            # A listing has a row for each member, and no two rows of one name.
            while member.name in known.told:
                member = replace(member, name=f"{member.name}#{number}")
            known.told.add(member.name)
            yield member
            progress(number)
    except (tarfile.TarError, OSError, *files.BROKEN_ZIP) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: seeks before the start
            raise
        raise UserError(f"{path} is broken ({error}): delete it and run the same command again") from None


def _tar_members(path: Path, most: int) -> Iterator[tuple[str, int, str, Callable[[], Any]]]:
    with _decompressed(path) as file, tarfile.open(fileobj=file, mode="r|", tarinfo=CarefulInfo) as archive:
        for member in archive:
            if member.isdir():
                continue
            if member.offset_data + member.size > most:
                raise UserError(f"{path} unpacks to more than {most:,} bytes: it is not unpacked any further")
            refused = "" if member.isreg() and not member.issparse() else Reason("link")
            yield member.name, member.size, refused, lambda member=member: archive.extractfile(member)  # type: ignore[misc]
            archive.members.clear()  # type: ignore[attr-defined] # else the archive remembers all of them


def _decompressed(path: Path) -> IO[bytes]:
    """Open a tar, compressed or not: in one member or in many, as bgzip and pigz write them."""
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"\x1f\x8b"):
        return gzip.open(path)  # type: ignore[return-value]
    if head.startswith(b"BZh"):
        return bz2.open(path)
    if head.startswith((b"\xfd7zXZ", b"\x5d\0\0\x80")):
        return lzma.open(path)
    return path.open("rb")


def _zip_members(path: Path, most: int) -> Iterator[tuple[str, int, str, Callable[[], Any]]]:
    total = 0
    with with_slashes(zipfile.ZipFile(path)) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            total += member.file_size
            if total > most:
                raise UserError(f"{path} unpacks to more than {most:,} bytes: it is not unpacked any further")
            kind = member.external_attr >> 28  # of a Unix file: 8 regular, 10 link; 0 where it says nothing
            refused = "" if kind in (0, 8) else Reason("link")
            if member.flag_bits & 1:
                refused = refused or Reason("encrypted")
            elif member.compress_type not in METHODS:
                refused = refused or Reason("packed_otherwise", what=member.compress_type)
            yield member.filename, member.file_size, refused, lambda member=member: archive.open(member)  # type: ignore[misc]


def _write(
    source: IO[bytes], name: str, folder: Path, taken: set[str], size: int, check: Callable[[Path], None]
) -> Member:
    name = str(PurePosixPath(name))  # `tar c ./sheets` begins all names so
    inner = PurePosixPath(name).parts
    short = "/".join(inner[1:] if len(inner) > 1 else inner)
    try:
        check_name(name)  # the whole name must be harmless, not only what is left of it
        chosen = name if same_name(short) in taken else short
        if same_name(chosen) in taken:
            raise RefusedError(Reason("member_again"))
        final = place(folder, chosen)
        digest = hashlib.sha256()
        with source, files.whole(final) as part:
            with part.open("wb") as file:
                while piece := source.read(PIECE):
                    file.write(piece)
                    digest.update(piece)
            check(part)
    except (RefusedError, BrokenImageError) as error:
        return Member(text(name), refused=error.reason)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return Member(text(name), refused=Reason("name_folder"))
    # The whole name, too: a second member of it is another file of the same sheet.
    taken.update((same_name(chosen), same_name(name)))
    return Member(chosen, final, size, digest.hexdigest())
