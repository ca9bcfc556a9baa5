"""What an archive holds in another dress than its meta.xml says: read all the same, or named for what it is."""

import gzip
import io
import zipfile

import pytest

from sheetlens.common.errors import UserError
from sheetlens.fetch.records.darwin_core import open_archive
from sheetlens.fetch.unpack import unpack
from tests.services.archives import media, occurrences, write_archive

ROWS = [{"id": "1", "family": "A", "catalogNumber": "K1"}, {"id": "2", "family": "B", "catalogNumber": "K2"}]
PICTURES = [{"id": "1", "accessURI": "https://i.example/1.jpg", "UsageTerms": "CC0"}]


def texts(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewritten(path, **changes):
    """An archive with other contents of its files; names may be changed by `named`."""
    named = changes.pop("named", lambda name: name)
    held = texts(write_archive(path, occurrences(ROWS), media(PICTURES)))
    with zipfile.ZipFile(path, "w") as file:
        for name, text in held.items():
            file.writestr(named(name), changes.get(name.split(".")[0], text))
    return path


def read(path, *wanted):
    with open_archive(path) as archive:
        rows = [dict(values) for _, values in archive.rows(archive.core, wanted)]
        shown = [
            dict(values) for table in archive.media for _, values in archive.rows(table, ("accessURI", "UsageTerms"))
        ]
        return rows, shown, list(archive.sentences())


@pytest.mark.parametrize("folder", ["", "dwca\\", "a\\b\\"])
def test_backslashes_between_folders_are_slashes(tmp_path, folder):
    rows, shown, _ = read(rewritten(tmp_path / "a.zip", named=lambda name: folder + name), "catalogNumber")
    assert rows == [{"catalogNumber": "K1"}, {"catalogNumber": "K2"}]
    assert shown == [{"accessURI": "https://i.example/1.jpg", "UsageTerms": "CC0"}]


def test_pictures_in_a_zip_with_backslashes_keep_their_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("all\\fern\\1.jpg", "all\\moss\\1.jpg", "all\\..\\..\\out.jpg"):
            file.writestr(name, b"x")
    found = list(unpack(tmp_path / "a.zip", tmp_path / "out", 100, check=lambda path: None))
    assert [one.name for one in found if not one.refused] == ["fern/1.jpg", "moss/1.jpg"]
    assert (tmp_path / "out" / "moss" / "1.jpg").exists() and len(found) == 3


@pytest.mark.parametrize("name", ["dwca.zip", "2024/DWCA.ZIP", "export.tar.gz"])
def test_an_archive_in_an_archive_is_named(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.writestr(name, b"PK")
        file.writestr("readme.txt", "x")
    with pytest.raises(UserError) as error, open_archive(tmp_path / "outer.zip"):
        pass
    assert f"outer.zip holds another archive, {name}: unpack it and give that" in str(error.value)


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("occurrences.csv", "id\n")
    return data.getvalue()


@pytest.mark.parametrize("table", ["occurrences", "multimedia"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html>\n<html><body>504, a timeout, sorry</body></html>\n", "it is a web page (HTML)"),
        (gzip.compress(b"id,family,catalogNumber\n1,A,K1\n"), "it is a gzip file: unpack it"),
        (zipped(), "it is a zip archive: unpack it"),
        (b"%PDF-1.7\n", "it is a PDF document"),
    ],
)
def test_a_member_that_is_no_table_is_named_for_what_it_is(tmp_path, table, content, kind):
    path = rewritten(tmp_path / "a.zip", **{table: content})
    with pytest.raises(UserError) as error:
        read(path, "family")
    assert f"the table '{table}.csv' of the archive a.zip cannot be read: {kind}" in str(error.value)


@pytest.mark.parametrize(
    ("header", "moved"),
    [
        ("id,family,accession,catalogNumber", "catalogNumber in column 3 of meta.xml, 4 of the file"),
        (
            "id,dwc:catalogNumber,dwc:family",
            "family in column 2 of meta.xml, 3 of the file, catalogNumber in column 3 of meta.xml, 2 of the file",
        ),
    ],
)
def test_a_header_that_contradicts_meta_xml_is_told_with_its_columns(tmp_path, header, moved):
    path = rewritten(tmp_path / "a.zip", occurrences=f"{header}\n1,A,9001,K1\n".encode())
    rows, _, sentences = read(path, "catalogNumber")
    assert rows == [{"catalogNumber": "9001"}]
    assert any("than meta.xml, which is followed" in one and moved in one for one in sentences)


@pytest.mark.parametrize("header", ["id,family,catalogNumber", "ID,Family,dwc:catalogNumber", "no,Familie,Nummer"])
def test_a_header_that_agrees_or_has_words_of_its_own_is_no_contradiction(tmp_path, header):
    assert read(rewritten(tmp_path / "a.zip", occurrences=f"{header}\n1,A,K1\n".encode()), "family")[2] == []


@pytest.mark.parametrize("change", [str.lower, str.upper, str.capitalize, lambda term: term.replace("URI", "Uri")])
def test_terms_are_known_in_upper_and_lower_case(tmp_path, change):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS), media(PICTURES, defaults={"UsageTerms": "CC BY"}))
    meta = texts(path)["meta.xml"].decode()
    for term in ("family", "catalogNumber", "accessURI", "UsageTerms"):
        meta = meta.replace(f"/{term}'", f"/{change(term)}'").replace(f'/{term}"', f'/{change(term)}"')
    rows, shown, _ = read(rewritten(path, meta=meta.encode()), "family", "catalogNumber")
    assert rows == [{key: row[key] for key in ("family", "catalogNumber")} for row in ROWS]
    assert shown == [{"accessURI": "https://i.example/1.jpg", "UsageTerms": "CC0"}]
    with open_archive(path) as archive:
        assert archive.core.has("FAMILY") and not archive.core.has("families")
