"""The files of a Darwin Core Archive: what a zip, a tar or a folder holds, and where in it the meta.xml lies."""

import posixpath
import shutil
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from tarfile import DIRTYPE, REGULAR_TYPES, EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]
from typing import IO, Any, NoReturn, cast

from sheetlens.common.errors import UserError
from sheetlens.common.formats.file_kinds import GZIP, is_office, listed, unreadable

LONGEST_HEADER = 2**20  # bytes of one tar header, all of which tarfile holds in memory
UNPACKED_LIMIT = 2**36  # bytes that a tar archive of tables may unpack to
LONGEST_NAME = 255  # bytes
DEPTH = 4  # folders below which an archive may hold its tables
PACKED = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
OF_TEXT = "it is text: a table of addresses goes to `source: urls`, one of specimen records to `records`"


class CarefulInfo(tarfile.TarInfo):
    """Refuses headers that are large enough to fill the memory, and an archive that ends without its end.

    The end is a block of zeros; tarfile takes any header that it cannot read for one. Every Python from 3.11 on
    calls both methods for each header; later ones, such as 3.14.8, no longer call `frombuf`.
    """

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        """Read the next member, with the headers of its own before it."""
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(f"cut short or damaged between two members: {error}") from None

    def _proc_member(self, tarfile: Any) -> Any:
        """Read what belongs to a header, whose type and size are known."""
        if self.type not in (*REGULAR_TYPES, DIRTYPE) and self.size > LONGEST_HEADER:
            raise UserError("the archive has a header of absurd size: it is not unpacked")
        return super()._proc_member(tarfile)  # type: ignore[misc]


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not, whose first header can be held in memory."""
    try:
        with tarfile.open(path, tarinfo=CarefulInfo):
            return True
    except (tarfile.TarError, UserError, EOFError):
        return False


def is_archive(path: Path) -> bool:
    """Whether a path is a folder with a meta.xml, or a zip or tar file that is no office document."""
    if path.is_dir():
        return any(_descriptors(path, DEPTH))
    return path.is_file() and ((zipfile.is_zipfile(path) and not is_office(path)) or is_tar(path))


def unpacked(path: Path, stack: ExitStack) -> Any:
    """The folder, or what a zip or tar file holds, as a path."""
    if path.is_dir():
        return path
    if zipfile.is_zipfile(path) and not is_office(path):
        archive = with_slashes(stack.enter_context(zipfile.ZipFile(path)))
        names = Names(path)
        for name in archive.namelist():
            if not name.endswith("/"):
                names.add(name)
        return zipfile.Path(archive)
    if is_tar(path):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _untar(path, folder)
        return folder
    said = unreadable(path)
    raise UserError(f"{path} is no Darwin Core Archive (a zip file or a folder with meta.xml): {said or OF_TEXT}")


def with_slashes(archive: zipfile.ZipFile) -> zipfile.ZipFile:
    """A zip whose members have slashes in their names: .NET wrote backslashes before version 4.6.1."""
    for member in archive.infolist():
        member.filename = member.filename.replace("\\", "/")
    archive.NameToInfo = {member.filename: member for member in archive.infolist()}
    return archive


def _untar(path: Path, folder: Path) -> None:
    """Unpack the files of a tar archive (compressed or not) that lie below it and are not too much together."""
    total, names = 0, Names(path)
    with tarfile.open(path, tarinfo=CarefulInfo) as archive:
        for member in archive:
            if not member.isfile():
                continue
            total += member.size
            if total > UNPACKED_LIMIT:
                raise UserError(f"{path} unpacks to more than {UNPACKED_LIMIT // 2**30} GB: it is no archive of tables")
            # Not `archive.extract`: its filter came with Python 3.11.4, and Debian 12 has 3.11.2.
            inside = names.add(member.name)
            place = folder / inside
            if "\0" in inside or inside == "." or ".." in PurePosixPath(inside).parts:
                raise UserError(f"{path} has a file that would lie outside of it ({member.name!r}): get it again")
            if any(len(part.encode()) > LONGEST_NAME for part in PurePosixPath(inside).parts):
                continue  # no table has such a name, and no disk can hold it
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                shutil.copyfileobj(cast(IO[bytes], archive.extractfile(member)), file)


def same_name(name: str) -> str:
    """What two names have in common that some file system takes for one: macOS minds neither case nor Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


class Names:
    """The names of an archive's files, no two of which may be one to any file system, or a file and a folder."""

    def __init__(self, path: Path) -> None:
        """Take the archive's path, for the message."""
        self._path, self._files, self._folders = path, set[str](), set[str]()

    def add(self, name: str) -> str:
        """The plain form of a name; UserError where the archive has it already."""
        plain = posixpath.normpath(name.lstrip("/"))
        key = same_name(plain.replace("\\", "/"))
        above = {str(folder) for folder in PurePosixPath(key).parents} - {"."}
        if key in self._files:
            raise _double(self._path, name)
        if key in self._folders or above & self._files:
            raise UserError(
                f"{self._path} holds a file and a folder of one name ('{name}'): get it again, or unpack it and give"
                " the folder with the right one"
            )
        self._files.add(key)
        self._folders |= above
        return plain


def _double(path: Path, name: str) -> UserError:
    return UserError(
        f"{path} holds two files named '{name}', and only one can be the table that is meant: get it again, or unpack"
        " it and give the folder with the right one"
    )


def tables_folder(name: str, root: Any) -> Any:
    """The folder with the meta.xml in what an archive holds. Raises UserError where there is none, or more than one."""
    found = list(_descriptors(root, DEPTH))
    if not found:
        _refuse(name, root)
    depth = min(level for level, _ in found)
    nearest = [folder for level, folder in found if level == depth]
    if len(nearest) > 1:
        places = listed([str(folder.name) for folder in nearest])
        raise UserError(f"{name} holds {len(nearest)} archives ({places}): unpack it, and give the one that is meant")
    return nearest[0]


def _refuse(name: str, root: Any) -> NoReturn:
    if packed := list(_packed(root, DEPTH)):
        others = "another archive" if len(packed) == 1 else "other archives"
        raise UserError(f"the archive {name} holds {others}, {listed(packed)}: unpack it and give that")
    held = sorted(child.name for child in root.iterdir())
    raise UserError(
        f"the archive {name} has no meta.xml, without which its tables cannot be read: it holds {listed(held)}. Get it"
        " again as a Darwin Core Archive (a GBIF download of the kind SIMPLE_CSV names no pictures), or unpack it"
        " and give its table as `records`"
    )


def _packed(folder: Any, below: int, before: str = "") -> Iterator[str]:
    """The names of the archives in a folder and some folders down."""
    for child in sorted(folder.iterdir(), key=lambda child: str(child.name)):
        if child.is_file() and child.name.lower().endswith(PACKED):
            yield before + child.name
        elif below and child.is_dir():
            yield from _packed(child, below - 1, f"{before}{child.name}/")


def not_a_table(member: Any) -> str:
    """What a file of an archive is that should be a table of text, and what to do; "" where it may be one."""
    with member.open("rb") as file:
        head = file.read(4)
    for mark, kind in ((b"PK\x03\x04", "zip archive"), (GZIP, "gzip file")):  # within an archive they are not read
        if head.startswith(mark):
            return f"it is a {kind}: unpack it, and give the archive that is meant"
    said = unreadable(member)
    # Control characters alone make no table unreadable: they are taken out when its lines are read.
    return "" if said.startswith("it is no text") else said


def _descriptors(folder: Any, below: int) -> Iterator[tuple[int, Any]]:
    """How deep a folder with a meta.xml lies (0: at the top), and the folder: some archives wrap one another."""
    children = sorted(folder.iterdir(), key=lambda child: str(child.name))
    if any(child.name.lower() == "meta.xml" and child.is_file() for child in children):
        yield 0, folder
    elif below:
        for child in children:
            if child.is_dir() and not child.name.startswith((".", "__")):
                yield from ((level + 1, found) for level, found in _descriptors(child, below - 1))
