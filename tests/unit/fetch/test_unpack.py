"""Archives that nobody vouches for."""

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from sheetlens.common.errors import UserError
from sheetlens.fetch import unpack as unpacking
from sheetlens.fetch.content_checks import BrokenImageError
from sheetlens.fetch.records.archive_files import is_archive
from sheetlens.fetch.unpack import Known, check_archive, unpack
from tests.services.plain import bomb, picture


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, body, *changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            for key, value in dict(changes).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(body))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body, *changes in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in dict(changes).items():
                setattr(info, key, value)
            archive.writestr(info, body)
    return path


def run(path, folder, largest=10**6):
    return {member.name: member for member in unpack(path, folder, largest)}


@pytest.mark.parametrize("write", [tar, zipped])
def test_pictures_come_out_and_everything_is_told(tmp_path, write):
    members = [
        ("sheets/a.jpg", picture("a")), ("sheets/deep/a.jpg", picture("deep")), ("loose.JPG", picture("loose")),
        ("other/a.jpg", picture("other")), ("sheets/notes.txt", b"remember"), ("sheets/broken.jpg", b"no picture"),
        ("sheets/cut.jpg", picture("cut")[:900]), ("sheets/large.jpg", bytes(2 * 10**6)), ("sheets/bomb.png", bomb()),
    ]  # fmt: skip
    found = run(write(tmp_path / "archive", members), tmp_path / "out")
    kept = {name: member.path.read_bytes() for name, member in found.items() if member.path}
    assert kept == {
        "a.jpg": picture("a"), "deep/a.jpg": picture("deep"), "loose.JPG": picture("loose"),
        "other/a.jpg": picture("other"),
    }  # fmt: skip
    reasons = {name: member.refused for name, member in found.items() if member.refused}
    assert reasons.pop("sheets/bomb.png").endswith("megapixels")
    assert reasons.pop("sheets/cut.jpg").startswith("broken image")
    assert reasons == {
        "sheets/notes.txt": "no picture by its name",
        "sheets/broken.jpg": "the file has only 10 bytes",
        "sheets/large.jpg": "larger than the limit of 1,000,000 bytes",
    }
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == {
        member.path for member in found.values() if member.path
    }


@pytest.mark.parametrize("write", [tar, zipped])
def test_nothing_is_written_outside_the_folder(tmp_path, write):
    names = ["../out.jpg", "/tmp/out.jpg", "a/../../out.jpg", "..\\out.jpg", "a/.ssh/keys.jpg", "a/line\nbreak.jpg"]
    before = set(tmp_path.rglob("*"))
    found = run(write(tmp_path / "archive", [(name, picture("x")) for name in names]), tmp_path / "out")
    assert len(found) == len(names)
    assert all(member.refused for member in found.values())
    assert {path for path in set(tmp_path.rglob("*")) - before if path.is_file()} == {tmp_path / "archive"}


def test_links_and_devices_are_no_pictures(tmp_path):
    kinds = {"symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}
    members = [(f"{name}.jpg", b"", ("type", kind), ("linkname", "/etc/passwd")) for name, kind in kinds.items()]
    found = run(tar(tmp_path / "tar", members), tmp_path / "out")
    assert {member.refused for member in found.values()} == {"a link or device"}
    link = ("link.jpg", b"/etc/passwd", ("external_attr", (stat.S_IFLNK | 0o777) << 16), ("create_system", 3))
    assert run(zipped(tmp_path / "zip", [link]), tmp_path / "out")["link.jpg"].refused == "a link or device"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", [tar, zipped])
def test_what_unpacks_beyond_bounds_is_stopped(tmp_path, write, monkeypatch):
    monkeypatch.setattr(unpacking, "LEAST", 10**6)
    path = write(tmp_path / "archive", [(f"{number}.jpg", bytes(10**6)) for number in range(50)])
    with pytest.raises(UserError, match="unpacks to more than"):
        run(path, tmp_path / "out")


@pytest.mark.parametrize("write", [tar, zipped])
def test_an_archive_of_endlessly_many_members_is_stopped(tmp_path, write, monkeypatch):
    monkeypatch.setattr(unpacking, "MEMBERS", 3)
    path = write(tmp_path / "archive", [(f"{number}.txt", b"") for number in range(4)])
    with pytest.raises(UserError, match="more than 3 members"):
        run(path, tmp_path / "out")


def test_a_header_of_absurd_size_is_not_read(tmp_path):
    path = tar(tmp_path / "tar", [("header", bytes(2**21), ("type", tarfile.XHDTYPE))])
    with pytest.raises(UserError, match="a header of absurd size"):
        run(path, tmp_path / "out")


def test_a_broken_archive_is_named(tmp_path):
    path = tar(tmp_path / "tar", [(f"{number}.jpg", picture(str(number))) for number in range(30)])
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"is broken .*delete it and run the same command again"):
        run(path, tmp_path / "out")


BLOCK = 512
LONG = ("x" * 150 + "/b.jpg", picture("b"))  # whose name has a header of its own


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("cut", ["between members", "within a header", "before the end", "damaged header", "long name"])
def test_a_tar_that_ends_without_its_end_is_broken(tmp_path, pack, cut):
    members = [("a.jpg", picture("a")), LONG if cut == "long name" else ("b.jpg", picture("b"))]
    data = tar(tmp_path / "whole", members, "w").read_bytes()
    second = BLOCK + -(-len(picture("a")) // BLOCK) * BLOCK
    end = second + BLOCK + -(-len(picture("b")) // BLOCK) * BLOCK
    kept = {"within a header": second + 200, "before the end": end, "long name": second + BLOCK}.get(cut, second)
    data = data[:second] + b"x" * BLOCK + data[second + BLOCK :] if cut == "damaged header" else data[:kept]
    (tmp_path / "tar").write_bytes(pack(data))
    with pytest.raises(UserError, match=r"tar is broken .*delete it and run the same command again"):
        run(tmp_path / "tar", tmp_path / "out")


def test_one_block_of_zeros_is_an_end(tmp_path):
    data = tar(tmp_path / "whole", [("a.jpg", picture("a"))], "w").read_bytes()
    (tmp_path / "tar").write_bytes(data[: BLOCK + -(-len(picture("a")) // BLOCK) * BLOCK + BLOCK])
    assert list(run(tmp_path / "tar", tmp_path / "out")) == ["a.jpg"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_compressed_in_several_members_is_whole(tmp_path, pack):
    """As bgzip, pigz and pbzip2 write them."""
    data = tar(tmp_path / "whole", [(f"{name}.jpg", picture(name)) for name in "abc"], "w").read_bytes()
    for at in (BLOCK, 700, len(data) // 2):
        (tmp_path / "tar").write_bytes(pack(data[:at]) + pack(data[at:]))
        check_archive(tmp_path / "tar")
        found = run(tmp_path / "tar", tmp_path / f"out{at}")
        assert {name: member.path.read_bytes() for name, member in found.items()} == {
            f"{name}.jpg": picture(name) for name in "abc"
        }


def test_what_is_no_archive_is_told_from_one(tmp_path):
    check_archive(tar(tmp_path / "tar", [("a.jpg", picture("a"))]))
    check_archive(zipped(tmp_path / "zip", [("a.jpg", picture("a"))]))
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(BrokenImageError, match="no archive"):
        check_archive(tmp_path / "page")


def test_unpacking_again_gives_the_same(tmp_path):
    path = tar(tmp_path / "tar", [("x/a.jpg", picture("a")), ("y/a.jpg", picture("b"))])
    assert run(path, tmp_path / "out") == run(path, tmp_path / "out")


def bad_deflate(data: bytearray) -> None:
    data[30 + len("sheets/a.jpg")] = 0xFF  # a kind of block that there is not


def before_the_start(data: bytearray) -> None:
    data[-6] += 10  # the end says that the directory lies further on: so the first member lies at -10


@pytest.mark.parametrize("harm", [bad_deflate, before_the_start])
def test_a_broken_zip_is_one_sentence(tmp_path, harm):
    path = zipped(tmp_path / "archive.zip", [("sheets/a.jpg", picture("a"))])
    data = bytearray(path.read_bytes())
    harm(data)
    path.write_bytes(data)
    with pytest.raises(UserError, match="is broken"):
        run(path, tmp_path / "out")


def test_a_zip_with_broken_lzma_is_one_sentence(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("sheets/a.jpg", picture("a"))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    path.write_bytes(data)
    with pytest.raises(UserError, match="is broken"):
        run(path, tmp_path / "out")


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize(
    ("names", "kept", "why"),
    [
        (["a/x.jpg", "a/x.jpg"], ["x.jpg"], "another member of the archive has this name"),
        (["a/x.jpg", "x.jpg"], ["x.jpg"], "another member of the archive has this name"),
        (["a/x.jpg", "b/x.jpg", "b/x.jpg"], ["b/x.jpg", "x.jpg"], "another member of the archive has this name"),
        # One file to macOS: names that differ in case, or in the form of their accents, only.
        (["a/x.jpg", "a/X.JPG"], ["x.jpg"], "another member of the archive has this name"),
        (["a/x.jpg", "A/x.jpg"], ["x.jpg"], "another member of the archive has this name"),
        (["a/caf\u00e9.jpg", "a/cafe\u0301.jpg"], ["caf\u00e9.jpg"], "another member of the archive has this name"),
        (["a/x.jpg", "b/x.jpg", "b/X.jpg"], ["b/x.jpg", "x.jpg"], "another member of the archive has this name"),
        (["a/x.jpg", "a/x.jpg/y.jpg"], ["x.jpg"], "the name is that of a folder and of a file at once"),
        (["a/x.jpg/y.jpg", "a/x.jpg"], ["x.jpg/y.jpg"], "the name is that of a folder and of a file at once"),
        (["a/x.jpg/y/z.jpg", "a/x.jpg/y"], ["x.jpg/y/z.jpg"], "no picture by its name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_member_takes_the_place_of_another(tmp_path, make, names, kept, why):
    path = make(tmp_path / "archive", [(name, picture(str(number))) for number, name in enumerate(names)])
    members = run(path, tmp_path / "out")
    there = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    found = {file.relative_to(tmp_path / "out").as_posix(): file for file in there}
    assert sorted(found) == kept
    refused = [member.refused for member in members.values() if member.refused]
    assert len(members) == len(names) and [reason.split(":")[0] for reason in refused] == [why]
    assert picture("0") in [file.read_bytes() for file in found.values()], "the first is kept"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("look", [check_archive, is_archive])
def test_the_first_header_fills_no_memory(tmp_path, kind, look):
    """A kilobyte that unpacks to one header of three gigabytes; whoever reads it takes as much memory, or fails."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = kind, 3 * 2**30
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(10**6))
    tracemalloc.start()
    try:
        with contextlib.suppress(BrokenImageError):
            assert not look(tmp_path / "a.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("write", [tar, zipped])
def test_names_that_macos_takes_for_one_in_two_folders_are_two_files(tmp_path, write):
    found = run(write(tmp_path / "archive", [("a/x.jpg", picture("x")), ("b/X.jpg", picture("X"))]), tmp_path / "out")
    assert {name: member.path.read_bytes() for name, member in found.items()} == {
        "x.jpg": picture("x"), "b/X.jpg": picture("X"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["s/\u00e9.jpg", "s/\u00c9.jpg", "s/e\u0301.jpg"])
@pytest.mark.parametrize("write", [tar, zipped])
def test_a_second_archive_takes_no_name_of_the_first(tmp_path, write, name):
    first = write(tmp_path / "1", [("s/\u00e9.jpg", picture("1"))])
    second = write(tmp_path / "2", [(name, picture("2"))])
    known = Known()
    (one,) = unpack(first, tmp_path / "out", 10**6, known=known)
    (other,) = unpack(second, tmp_path / "out", 10**6, known=known)
    assert one.path.read_bytes() == picture("1") and other.refused.startswith("another member")
    assert one.name != other.name


@pytest.mark.parametrize("names", [["s/x.txt", "s/x.txt", "s/x.txt#2"], ["s/x.txt#3", "s/x.txt", "s/x.txt"]])
def test_no_two_rows_have_one_name(tmp_path, names):
    found = list(unpack(tar(tmp_path / "a.tgz", [(name, b"") for name in names]), tmp_path / "out", 100))
    assert len({member.name for member in found}) == 3


def test_dots_before_names_lead_nowhere(tmp_path):
    found = run(tar(tmp_path / "a.tgz", [("./s/a.jpg", picture("a")), ("./../b.jpg", picture("b"))]), tmp_path / "out")
    assert found["a.jpg"].path.read_bytes() == picture("a")
    assert "lead out" in found["../b.jpg"].refused


@pytest.mark.parametrize(("offset", "value", "why"), [(6, 1, "it is encrypted"), (8, 99, "not read (method 99)")])
def test_a_member_that_cannot_be_unpacked_costs_no_other(tmp_path, offset, value, why):
    path = zipped(tmp_path / "a.zip", [("s/a.jpg", picture("a")), ("s/b.jpg", picture("b"))])
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", offset), (b"PK\x01\x02", offset + 2)):
        data[data.index(mark) + place] = value
    path.write_bytes(data)
    found = run(path, tmp_path / "out")
    assert why in found["s/a.jpg"].refused and found["b.jpg"].path.read_bytes() == picture("b")
