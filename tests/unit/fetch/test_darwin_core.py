import errno
import io
import resource
import tarfile
import tracemalloc
import zipfile

import pytest

from sheetlens.common.errors import UserError
from sheetlens.fetch.records import darwin_core
from sheetlens.fetch.records.archive_files import is_archive
from sheetlens.fetch.records.darwin_core import open_archive
from tests.services.archives import AC, gbif, media, occurrences, write_archive

ROWS = [
    {"id": "1", "catalogNumber": "00068526", "recordedBy": "Núñez", "locality": 'by the\nriver, "left" bank'},
    {"id": "2", "catalogNumber": "00068527", "recordedBy": "Øst", "locality": ""},
]
PICTURES = [{"id": "1", "accessURI": "https://a.example/1.jpg"}, {"id": "2", "accessURI": "https://a.example/2.jpg"}]
WANTED = ("catalogNumber", "recordedBy", "locality", "country")


def read(path, wanted=WANTED):
    with open_archive(path) as opened:
        return list(opened.rows(opened.core, wanted))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"delimiter": "\t"},
        {"delimiter": ";", "quote": "'"},
        {"encoding": "ISO-8859-1"},
        {"line_end": "\r\n"},
        {"header": 0},
        {"header": 2},
        {"key": 2},
        {"files": 2},
    ],
)
def test_only_the_descriptor_says_how_rows_are_written(tmp_path, changes):
    rows = read(write_archive(tmp_path / "a.zip", occurrences(ROWS, **changes), media(PICTURES)))
    assert [key for key, _ in rows] == ["1", "2"]
    assert rows[0][1] == {key: value for key, value in ROWS[0].items() if key != "id"} | {"country": ""}
    assert rows[1][1]["recordedBy"] == "Øst"


def test_rows_without_quotes_keep_quotes_and_odd_characters(tmp_path):
    rows = [{"id": "1", "locality": 'he said "here\x85th\rere', "catalogNumber": "7"}]
    path = write_archive(tmp_path / "a.zip", *gbif(rows, PICTURES))
    assert read(path)[0][1]["locality"] == 'he said "here\x85th\rere'
    with open_archive(path) as opened:
        assert [table.row_type for table in opened.extensions] == ["Multimedia", "Occurrence"]
        assert [table.locations for table in opened.media] == [("multimedia.txt",)]


@pytest.mark.parametrize("name", ["multimedia.csv", "images.csv"])
@pytest.mark.parametrize(
    "row_type",
    [f"{AC}Multimedia", "http://rs.gbif.org/terms/1.0/Image", "http://rs.gbif.org/terms/1.0/multimedia",
     "http://eol.org/schema/media/Document"],
)  # fmt: skip
def test_media_are_known_by_their_row_type_and_not_by_their_name(tmp_path, name, row_type):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS), media(PICTURES, name=name, row_type=row_type))
    with open_archive(path) as opened:
        assert [key for key, _ in opened.rows(opened.media[0], ["accessURI"])] == ["1", "2"]


def test_defaults_stand_in_for_columns_that_are_missing_or_empty(tmp_path):
    core = occurrences(ROWS, defaults={"country": "Peru", "locality": "unknown"})
    rows = read(write_archive(tmp_path / "a.zip", core, media(PICTURES)))
    assert [row["country"] for _, row in rows] == ["Peru", "Peru"]
    assert rows[1][1]["locality"] == "unknown"


def test_the_schema_says_what_a_missing_attribute_means(tmp_path):
    meta = (
        '<archive><core rowType="dwc:Occurrence"><files><location>occurrences.csv</location></files>'
        '<field index="1" term="dwc:catalogNumber"/></core></archive>'
    )
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS, header=0), meta=meta)
    assert [(key, row["catalogNumber"]) for key, row in read(path)] == [("", "00068526"), ("", "00068527")]


def test_a_line_end_that_the_xml_parser_took_is_the_usual_one(tmp_path):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS), media(PICTURES))
    with zipfile.ZipFile(path) as file:
        meta = file.read("meta.xml").decode().replace(r"\n", "\n")
    assert len(read(write_archive(tmp_path / "b.zip", occurrences(ROWS), media(PICTURES), meta=meta))) == 2


def test_bytes_that_are_not_of_the_encoding_are_read_as_what_they_are(tmp_path):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS, encoding="ISO-8859-1"))
    with zipfile.ZipFile(path) as file:
        meta = file.read("meta.xml").decode().replace("ISO-8859-1", "UTF-8")
    wrong = write_archive(tmp_path / "b.zip", occurrences(ROWS, encoding="ISO-8859-1"), meta=meta)
    with open_archive(wrong) as opened:
        assert [row["recordedBy"] for _, row in opened.rows(opened.core, WANTED)] == ["Núñez", "Øst"]
        assert "2 lines not in the encoding UTF-8, read as Windows-1252" in next(opened.sentences())
    with zipfile.ZipFile(write_archive(tmp_path / "c.zip", occurrences(ROWS))) as file:
        meta = file.read("meta.xml").decode().replace("UTF-8", "ISO-8859-1")
    other = write_archive(tmp_path / "d.zip", occurrences(ROWS), meta=meta)
    assert [row["recordedBy"] for _, row in read(other)] == ["Núñez", "Øst"]


def test_short_and_long_rows_give_what_they_have(tmp_path):
    core = occurrences(ROWS, lines=("3,00068528", "4,00068529,Ek,here,too,much", ""))
    rows = read(write_archive(tmp_path / "a.zip", core))
    assert [(key, row["catalogNumber"], row["locality"]) for key, row in rows[2:]] == [
        ("3", "00068528", ""),
        ("4", "00068529", "here"),
    ]


def test_a_quote_that_never_ends_costs_nothing(tmp_path):
    core = occurrences(ROWS, lines=('9,00068528,"never ends' + "x" * 200_000, "10,00068530,Ek,here"))
    path = write_archive(tmp_path / "a.zip", core)
    with open_archive(path) as opened:
        rows = list(opened.rows(opened.core, WANTED))
        assert [key for key, _ in rows] == ["1", "2", "9", "10"]
        assert "1 line with a quotation mark that nothing closes" in " ".join(opened.sentences())


def test_an_archive_may_be_a_folder_or_hold_one(tmp_path):
    write_archive(tmp_path / "a.zip", occurrences(ROWS), folder="dwca-7/")
    assert len(read(tmp_path / "a.zip")) == 2
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        file.extractall(tmp_path / "open")
    assert len(read(tmp_path / "open")) == 2
    assert len(read(tmp_path / "open/dwca-7")) == 2


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb">]><archive><core>&b;</core></archive>'
CORE = "<archive><core {}><files><location>{}</location></files></core></archive>"


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        (BOMB, "cannot be used"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><archive/>', "cannot be used"),
        ("<archive><core>", "cannot be used"),
        ("<archive/>", "names no core"),
        (CORE.format("", "../../etc/passwd"), "is outside the archive"),
        (CORE.format("", "/etc/passwd"), "is outside the archive"),
        (CORE.format("", "C:/secret"), "is outside the archive"),
        (CORE.format('encoding="klingon"', "occurrences.csv"), "unknown encoding"),
        (CORE.format('linesTerminatedBy="|"', "occurrences.csv"), "linesTerminatedBy '|' is not supported"),
        (CORE.format('fieldsTerminatedBy="||"', "occurrences.csv"), "is not supported"),
        (CORE.format("", "gone.csv"), "names a table 'gone.csv' that it does not hold"),
        ('<archive><core><field index="99999999999" term="a"/></core></archive>', "cannot have the index"),
        pytest.param(
            f"<archive><core>{'<field/>' * 10_001}</core></archive>", "more than 10,000 columns", id="too many columns"
        ),
    ],
)
def test_a_descriptor_that_cannot_be_trusted_is_refused(tmp_path, meta, sentence):
    with pytest.raises(UserError) as error:
        read(write_archive(tmp_path / "a.zip", occurrences(ROWS), meta=meta))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_archive_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"<html>busy</html>")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("occurrences.csv", "")
    for path, sentence in [("a.zip", "no Darwin Core Archive"), ("b.zip", "no meta.xml"), ("c.zip", "No such file")]:
        with pytest.raises(UserError, match=sentence):
            read(tmp_path / path)


def test_a_broken_table_is_named(tmp_path):
    path = write_archive(tmp_path / "a.zip", occurrences([ROWS[0] | {"locality": str(n)} for n in range(20_000)]))
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(UserError, match="is broken"):
        read(path)


def test_a_table_that_unpacks_without_end_is_stopped(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS * 10_000))
    monkeypatch.setattr(darwin_core, "TABLE_LIMIT", 10**5)
    with pytest.raises(UserError, match="no table of specimens"):
        read(path)


@pytest.mark.parametrize("quote", ['"', ""])
def test_memory_does_not_grow_with_rows_or_lines(tmp_path, quote):
    rows = [{"id": str(n), "catalogNumber": f"{n:08d}", "locality": "y" * 50} for n in range(10_000)]
    core = occurrences(rows, quote=quote, lines=("x" * 8_000_000,))
    path = write_archive(tmp_path / "a.zip", core)
    tracemalloc.start()
    with open_archive(path) as opened:
        count = sum(1 for _ in opened.rows(opened.core, WANTED))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count >= 10_000
    assert peak < 12e6


def test_a_descriptor_that_would_fill_the_memory_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(darwin_core, "DESCRIPTOR_LIMIT", 2000)
    table = occurrences(ROWS).xml("core")
    for padding, fits in ((0, True), (2000, False)):
        path = write_archive(tmp_path / "a.zip", occurrences(ROWS), meta=f"<archive>{table}{' ' * padding}</archive>")
        if fits:
            assert len(read(path)) == len(ROWS)
        else:
            with pytest.raises(UserError, match=r"archive a\.zip cannot be used"):
                read(path)


@pytest.mark.parametrize("stray", ['"El Yunque', '12" rock', '"quoted" town', '"'])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_stray_quotes_swallow_no_rows(tmp_path, stray, delimiter):
    names = ("id", "catalogNumber", "recordedBy", "locality")
    plain = [delimiter.join((str(n), f"{n:08d}", "Ek", stray if n == 10 else "here")) for n in range(3, 60)]
    core = occurrences([dict.fromkeys(names, "2")], delimiter=delimiter, lines=tuple(plain))
    path = write_archive(tmp_path / "a.zip", core)
    with open_archive(path) as opened:
        rows = [row["catalogNumber"] for _, row in opened.rows(opened.core, WANTED)]
        notes = opened.notes["occurrences.csv"]
    assert rows == ["2", *(f"{n:08d}" for n in range(3, 60))]
    assert notes.lines == notes.rows == 59


def test_a_header_that_is_not_described_is_no_record_and_a_record_is_no_header(tmp_path):
    meta = write_archive(tmp_path / "a.zip", occurrences(ROWS[1:], header=1))
    with zipfile.ZipFile(meta) as file:
        described = file.read("meta.xml").decode()
    more = write_archive(tmp_path / "b.zip", occurrences(ROWS[1:]), meta=described.replace('Lines="1"', 'Lines="0"'))
    assert [key for key, _ in read(more)] == ["2"]
    fewer = write_archive(tmp_path / "c.zip", occurrences(ROWS[1:], header=0), meta=described)
    with open_archive(fewer) as opened:
        assert list(opened.rows(opened.core, WANTED)) == []
        assert "looks like a record" in next(opened.sentences())


def packed(folder, path, mode):
    with zipfile.ZipFile(path) as file:
        file.extractall(folder / "open")
    target = folder / f"a.{mode.replace(':', '.')}"
    with tarfile.open(target, f"w:{mode.partition(':')[2]}") as archive:
        archive.add(folder / "open", arcname="download")
    return target


@pytest.mark.parametrize("mode", ["tar:", "tar:gz", "tar:bz2", "tar:xz"])
def test_a_tar_archive_is_read_like_a_zip(tmp_path, mode):
    path = packed(tmp_path, write_archive(tmp_path / "a.zip", occurrences(ROWS)), mode)
    assert len(read(path)) == 2
    assert is_archive(path)


@pytest.mark.parametrize("name", ["../meta.xml", "a/../../meta.xml", "a/b/../../../meta.xml", "meta.xml\0"])
def test_a_tar_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("meta.xml")
        member.pax_headers = {"path": name}
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(UserError, match=r"has a file that would lie outside of it \('.*meta\.xml") as refused:
        read(tmp_path / "a.tar")
    assert "\n" not in str(refused.value) and not (tmp_path.parent / "meta.xml").exists()


@pytest.mark.parametrize("before", ["", "./", "/", "dwca/"])
def test_a_tar_may_name_its_files_in_any_way_that_stays_within(tmp_path, before):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS))
    with zipfile.ZipFile(path) as file, tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        for name in file.namelist():
            member = tarfile.TarInfo(before + name)
            member.size = len(file.read(name))
            archive.addfile(member, io.BytesIO(file.read(name)))
        link = tarfile.TarInfo(f"{before}a link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert len(read(tmp_path / "b.tar.gz")) == 2


def test_a_disk_that_fills_while_a_tar_is_unpacked_is_not_told_of_the_archive(tmp_path):
    path = packed(tmp_path, write_archive(tmp_path / "a.zip", occurrences(ROWS)), "tar:gz")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError) as error:
            read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.errno == errno.EFBIG


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_two_tables_of_one_name_none_is_taken_for_the_other(tmp_path, kind):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS))
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("occurrences.csv", "id\n")
    else:
        path = packed(tmp_path, path, "tar:")
        with tarfile.open(path, "a") as archive:
            archive.add(tmp_path / "open/occurrences.csv", arcname="./download/occurrences.csv")
    with pytest.raises(UserError, match=r"holds two files named '.*occurrences\.csv', and only one"):
        read(path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x/../occurrences.csv", "holds two files named"),
        ("./occurrences.csv", "holds two files named"),
        ("OCCURRENCES.CSV", "holds two files named"),
        ("META.XML", "holds two files named"),
        ("occurrences.csv/x", "a file and a folder of one name"),
    ],
)
def test_no_name_is_two_files_on_any_disk(tmp_path, kind, name, said):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS))
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "id\n")
    else:
        with zipfile.ZipFile(path) as held, tarfile.open(tmp_path / "b.tar", "w") as archive:
            for one, body in (*((one, held.read(one)) for one in held.namelist()), (name, b"id\n")):
                member = tarfile.TarInfo(one)
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
        path = tmp_path / "b.tar"
    with pytest.raises(UserError, match=said):
        read(path)


def test_a_name_that_no_disk_holds_is_no_table(tmp_path):
    path = packed(tmp_path, write_archive(tmp_path / "a.zip", occurrences(ROWS)), "tar:")
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo(f"download/{'x' * 300}")
        archive.addfile(member, io.BytesIO())
    assert len(read(path)) == 2


@pytest.mark.parametrize("repeated", ["<intellectualRights>", "<title"])
def test_metadata_are_read_once_however_often_they_begin(tmp_path, repeated):
    """The square of the time would be an hour."""
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.xml", repeated * 150_000)
    with open_archive(path) as opened:
        assert "licence" not in {name for name, value in opened.citation().items() if value}


@pytest.mark.parametrize("folder", ["dwca/", "a/b/", "a/b/c/d/"])
def test_an_archive_may_lie_some_folders_down(tmp_path, folder):
    assert len(read(write_archive(tmp_path / "A.ZIP", occurrences(ROWS), folder=folder))) == 2
    with zipfile.ZipFile(tmp_path / "A.ZIP") as file:
        file.extractall(tmp_path / "open")
    assert len(read(tmp_path / "open")) == 2


def test_names_differ_in_case_on_windows(tmp_path):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS))
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(tmp_path / "b.zip", "w") as other:
        for name in file.namelist():
            other.writestr(name.upper(), file.read(name))
    assert len(read(tmp_path / "b.zip")) == 2


def test_two_archives_in_one_file_are_a_question(tmp_path):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS), folder="ferns/")
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
            file.writestr(name.replace("ferns", "mosses"), text)
    with pytest.raises(UserError, match=r"holds 2 archives \(ferns, mosses\): unpack it"):
        read(tmp_path / "b.zip")


def office(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        file.writestr("xl/workbook.xml", "")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: (folder / "a.zip").write_text("<html>Log in</html>"), "it is a web page (HTML)"),
        (lambda folder: (folder / "a.zip").write_text("id,family\n1,x\n"), "it is text: a table of addresses goes to"),
        (lambda folder: (folder / "a.zip").write_bytes(b"\x1f\x8b\x08" + bytes(60)), "it is a gzip file"),
        (office, "it is an Excel workbook (.xlsx): save it there as CSV"),
        (lambda folder: write_archive(folder / "a.zip", occurrences(ROWS), meta=CORE.format("", " ")), "names no file"),
        (lambda folder: write_archive(folder / "a.zip", occurrences(ROWS), meta="<archive><core/></archive>"),
         "names no file for its core"),
    ],
)  # fmt: skip
def test_what_is_no_archive_is_said_in_one_sentence(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.zip")
    assert sentence in str(error.value) and str(error.value).isprintable()


EML = (
    '<eml:eml packageId="x"><dataset><alternateIdentifier>https://doi.org/10.15468/abc123</alternateIdentifier>'
    "<title>Ferns of\n  Peru</title><intellectualRights><para>CC BY 4.0 <ulink"
    ' url="http://creativecommons.org/licenses/by/4.0/legalcode"/></para></intellectualRights></dataset></eml:eml>'
)


def test_an_archive_says_how_to_cite_it(tmp_path):
    path = write_archive(tmp_path / "a.zip", occurrences(ROWS))
    with open_archive(path) as opened:
        assert opened.citation() == {}
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(tmp_path / "b.zip", "w") as other:
        for name in ("meta.xml", "occurrences.csv"):
            other.writestr(name, file.read(name))
        other.writestr("eml.xml", EML)
    with open_archive(tmp_path / "b.zip") as opened:
        licence = "creativecommons.org/licenses/by/4.0/legalcode"
        assert opened.citation() == {"doi": "10.15468/abc123", "title": "Ferns of Peru", "licence": licence}
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as other:
        other.writestr(
            "citations.txt", "GBIF Occurrence Download https://doi.org/10.15468/dl.xyz789.\n10.15468/other\n"
        )
    with open_archive(tmp_path / "b.zip") as opened:
        assert opened.citation()["doi"] == "10.15468/dl.xyz789"
