import gzip
import io
import json
import tarfile
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sheetlens.common.errors import UserError
from sheetlens.common.formats.file_kinds import is_office, unreadable
from sheetlens.common.tables import REFUSED, read_rows
from sheetlens.prepare.corrections import read_corrections

TEXT = "url,label,specimen_id\nhttps://a.example/1.jpg,Ähre,S1\nhttps://a.example/2.jpg,moss,S2\n"
COLUMNS = {"url": "url", "label": "label", "specimen_id": "specimen_id"}
ROWS = [
    {"url": "https://a.example/1.jpg", "label": "Ähre", "specimen_id": "S1"},
    {"url": "https://a.example/2.jpg", "label": "moss", "specimen_id": "S2"},
]


def read(folder, data, name="table.csv", columns=COLUMNS, needed=("url", "label"), shifted=False):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_rows(path, columns, needed, keep_shifted=shifted))


def error(folder, data, name="table.csv", **changes):
    with pytest.raises(UserError) as caught:
        read(folder, data, name, **changes)
    sentence = str(caught.value)
    assert sentence.isprintable() and len(sentence) < 1500
    return sentence


def parquet(frame):
    data = io.BytesIO()
    frame.to_parquet(data)
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("TABLE.CSV", TEXT.encode()),
        ("table.CSV", TEXT.replace("\n", "\r\n").encode("utf-8-sig")),
        ("gbif.csv", TEXT.replace(",", "\t").encode()),
        ("excel.csv", TEXT.replace(",", ";").encode("cp1252")),
        ("excel.csv", ("sep=;\n" + TEXT.replace(",", ";")).encode()),
        ("libre.csv", ('"sep=;"\n' + TEXT.replace(",", ";")).encode()),
        ("libre.csv", ('\ufeff"sep=\t"\r\n' + TEXT.replace(",", "\t")).encode()),
        ("dos.csv", TEXT.encode() + b"\x1a"),
        ("pipes.txt", TEXT.replace(",", "|").encode()),
        ("table.TSV", TEXT.replace(",", "\t").encode()),
        ("commas.tsv", TEXT.encode()),
        ("unicode.txt", TEXT.replace(",", "\t").encode("utf-16")),
        ("unicode.csv", TEXT.encode("utf-16-be")),
        ("packed.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),  # the same name in every worker
        ("old.csv", TEXT.replace("\n", "\r").encode("latin-1")),
        ("table.PARQUET", parquet(pd.DataFrame(ROWS))),
        ("parquet.csv", parquet(pd.DataFrame(ROWS))),
        ("wide.csv", TEXT.replace("\n", ",,,\n").encode()),
        ("blank.csv", ("\n" + TEXT.replace("\n", "\n\n")).encode()),
        ("names.csv", TEXT.replace("url,label,specimen_id", "\u200b URL , dwc:label,http://x.example/terms/specimen_id").encode()),
    ],
)  # fmt: skip
def test_a_table_is_known_by_its_content_and_not_by_its_name(tmp_path, name, data):
    assert read(tmp_path, data, name) == ROWS


def zipped(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in names:
            file.writestr(name, "<x/>")
    return data.getvalue()


def tarred():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.csv"))
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("book.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        ("book.csv", zipped("[Content_Types].xml", "xl/workbook.xml"), "save it there as CSV"),
        ("book.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "an old Office file"),
        ("book.ods", zipped("mimetype", "content.xml"), "an OpenDocument file"),
        ("a.zip", zipped("occurrence.txt", "META.XML"), "a Darwin Core Archive"),
        ("a.csv", zipped("one.csv", "two.csv"), "a zip archive with one.csv, two.csv"),
        ("a.csv", b"PK\x03\x04 cut", "a zip archive that is cut short"),
        ("login.csv", b"\n <!DOCTYPE html><html><form>Log in</form>", "a web page (HTML)"),
        ("login.csv", "<html><body>Anmelden</body>".encode("utf-16"), "a web page (HTML)"),
        ("eml.csv", b"<?xml version='1.0'?><eml/>", "an XML file"),
        ("a.csv", json.dumps([{"url": 1}]).encode(), "JSON"),
        ("a.csv", b'{\n "count": 1}', "JSON"),
        ("a.csv", b"%PDF-1.7 ...", "a PDF document"),
        ("a.csv", b"\xff\xd8\xff\xe0" + bytes(range(256)), "a JPEG picture"),
        ("a.csv", b"SQLite format 3\0" + bytes(100), "an SQLite database"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        ("a.csv", tarred(), "a tar archive"),
        ("a.csv", bytes(range(256)) * 10, "no text"),
        ("old.xls", b'<table border="1"><tr><td>url</td></tr></table>', "a table in HTML"),
        ("old.xls", b'<meta charset="utf-8"><Table><tr><td>url</td></tr></Table>', "a table in HTML"),
        ("long.csv", b"<!-- " + b"x" * 5000 + b" --><html>", "an XML or HTML file"),
        ("a.xml", '<records><record url="x"/></records>'.encode("utf-16"), "an XML or HTML file"),
        ("a.xml", b"\xef\xbb\xbf <Records/>", "an XML or HTML file"),
        ("none.csv", b"[]", "JSON"),
        ("none.csv", b"[\n]\n", "JSON"),
        ("a.feather", b"ARROW1\0\0" + bytes(200), "an Arrow (Feather) table"),
        ("a.bin", b"HEAD12\0\0" + bytes(2000), "no text"),
        ("a.bin", b"HEAD12\0\0" + bytes(2000) + b"text" * 100, "no text"),
    ],
)
def test_what_is_no_table_is_named_with_what_to_do(tmp_path, name, data, sentence):
    said = error(tmp_path, data, name)
    assert sentence in said and "is no table: it is" in said and ": " in said.split("it is", 1)[1]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (tarred(), "a gzip file around a tar archive: unpack it"),
        (zipped("xl/workbook.xml"), "a gzip file around a zip archive or an Excel workbook: unpack it"),
        (b"<!DOCTYPE html><html><body>login</body></html>", "a gzip file around a web page (HTML)"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4, "a gzip file around a JPEG picture: unpack it"),
        (b'{"error": "login"}', "a gzip file around JSON"),
        (gzip.compress(TEXT.encode(), mtime=0), "a gzip file around a gzip file: unpack it"),
        (parquet(pd.DataFrame(ROWS)), "a gzip file around a Parquet table: unpack it"),
        (bytes(range(256)) * 10, "a gzip file around no text"),
    ],
)
def test_what_gzip_holds_is_named_too(tmp_path, data, sentence):
    assert sentence in error(tmp_path, gzip.compress(data, mtime=0), "table.csv.gz")


def test_a_gzip_file_that_is_damaged_is_said_to_be(tmp_path):
    data = gzip.compress("".join(f"https://a.example/{n}.jpg,fern\n" for n in range(30_000)).encode(), mtime=0)
    assert "a gzip file that is cut short or damaged" in error(tmp_path, data[:30])
    for broken in (data[:-40], data[: len(data) // 2] + b"\xff" * 99 + data[len(data) // 2 :]):
        said = error(tmp_path, broken, columns={"url": "https://a.example/0.jpg"}, needed=("url",), shifted=True)
        assert "cannot be read" in said


def test_a_table_of_text_is_nothing_else(tmp_path):
    for number, text in enumerate((TEXT, '"[id]",name\n', "a<b>,c\n<html>,x\n", "é;ü\n", "x\n")):
        (tmp_path / str(number)).write_text(text)
        assert unreadable(tmp_path / str(number)) == ""
    (tmp_path / "a.zip").write_bytes(zipped("meta.xml"))
    assert not is_office(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "header", ["url,label,label", "url,label, Label ", "url,label,dwc:Label,LABEL", "label;url;label"]
)
def test_a_column_that_is_there_twice_is_an_error_where_it_is_used(tmp_path, header):
    text = header + "\n" + "x,y,z,w"[: header.count(",") * 2 + 1] + "\n"
    assert "has a column twice: 'label' (column" in error(tmp_path, text).lower().replace("' label '", "'label'")
    assert read(tmp_path, "url,label,note,note\nx,y,1,2\n") == [{"url": "x", "label": "y"}]
    frame = pa.table([["x"], ["y"], ["z"]], names=["url", "label", "label"])
    pq.write_table(frame, tmp_path / "twice.parquet")
    with pytest.raises(UserError, match="has a column twice: 'label'"):
        list(read_rows(tmp_path / "twice.parquet", COLUMNS, ("url", "label")))


@pytest.mark.parametrize(
    "name", ["Locality Security", "locality_security", "LOCALITY-SECURITY", "dwc: locality Security"]
)
def test_blanks_and_signs_between_words_of_a_name_do_not_count(tmp_path, name):
    columns = {"flag": "localitySecurity", "specimen_id": "specimen_id"}
    assert read(tmp_path, f"{name},SpecimenID\n1,S1\n", columns=columns, needed=()) == [
        {"flag": "1", "specimen_id": "S1"}
    ]
    said = error(tmp_path, f"{name},localitySecurity\n1,0\n".replace("dwc: ", ""), columns=columns, needed=())
    assert "has a column twice" in said and "'localitySecurity' (column 2)" in said


def test_names_that_are_both_asked_for_are_two(tmp_path):
    columns = {"a": "probability_moss a", "b": "probability_moss_a", "c": "probability_Moss_a"}
    text = "probability_moss a,probability_moss_a,probability_Moss_a\n1,2,3\n"
    assert read(tmp_path, text, columns=columns, needed=tuple(columns)) == [{"a": "1", "b": "2", "c": "3"}]
    columns = {"licence": "License", "license": "license"}
    assert read(tmp_path, "License\nCC0\n", columns=columns, needed=()) == [{"licence": "CC0", "license": "CC0"}]


def test_a_header_that_lacks_the_name_of_the_row_names_is_told(tmp_path, caplog):
    table = "url\tlabel\n1\thttps://a.example/1.jpg\tfern\n2\thttps://a.example/2.jpg\tmoss\n"
    assert [row["refused"] for row in read(tmp_path, table, shifted=True)] == [REFUSED] * 2
    assert "table.csv: every row has one cell more than the header has names" in caplog.text
    caplog.clear()
    read(tmp_path, table + "https://a.example/3.jpg\tfern\n", shifted=True)
    assert "every row" not in caplog.text


def test_a_column_that_is_missing_is_named_beside_those_that_are_there(tmp_path):
    assert "has no column 'label'; its columns are url, class" in error(tmp_path, "url;class\nx;y\n")
    assert "and 70 more" in error(tmp_path, ",".join(f"c{n}" for n in range(100)) + "\n")
    assert "it is empty" in error(tmp_path, "")
    assert "it is empty" in error(tmp_path, "\n\n")


def test_rows_are_kept_with_what_is_odd_about_them(tmp_path, caplog):
    rows = read(tmp_path, TEXT + "x,y,z,w\nv\n" + 'u,"stray,S3\n', shifted=True)
    assert [row["url"] for row in rows][2:] == ["x", "v", "u"]
    assert [row.get("refused", "") for row in rows] == ["", "", REFUSED, "", ""]
    assert (rows[3]["label"], rows[4]["label"]) == ("", '"stray')
    assert "table.csv: 1 line with more cells than the table has columns; the first is line 4" in caplog.text
    assert "1 line with a quotation mark that nothing closes" in caplog.text


def test_a_row_that_is_shifted_is_an_error_where_nobody_looks_at_it(tmp_path):
    assert "row 3 of the table" in error(tmp_path, TEXT + "x,y,z,w\n")
    with pytest.raises(UserError, match=r"row 1 of the table .* has more cells than it has columns"):
        read_corrections(
            written(tmp_path, "image_id,label_before,label_after,decision,reviewer,time\na,b,,c,unsure,E,1\n")
        )


def written(folder, text):
    (folder / "corrections.csv").write_text(text)
    return folder / "corrections.csv"


def test_corrections_that_a_spreadsheet_saved_are_read(tmp_path):
    text = "image_id;label_before;label_after;decision;reviewer;time\ntray/Málaga.jpg;moss;fern;changed;Núñez;1\n"
    (tmp_path / "Corrections.CSV").write_bytes(text.encode("cp1252"))
    assert read_corrections(tmp_path / "Corrections.CSV")["tray/Málaga.jpg"]["reviewer"] == "Núñez"


def test_rows_of_empty_cells_are_no_rows(tmp_path):
    assert read(tmp_path, TEXT + ",,\n" + ' , ,""\n') == ROWS
