import bz2
import json
import tracemalloc

import pytest

from sheetlens.common.barcodes import normalise
from sheetlens.common.errors import UserError
from sheetlens.common.files import read_rows, write_table
from sheetlens.config import Records
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.records import specimen_records
from tests.conftest import sheetlens
from tests.services.archives import occurrences, write_archive


def row(barcode, **changes):
    return LISTING | {"image_id": f"{barcode}.jpg", "specimen_id": barcode, "label": "fern", "status": "ok"} | changes


def join(path, rows, **settings):
    return list(specimen_records.join(rows, Records(path=str(path), **settings)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("00068526", "68526.0"),
        ("00068526", "68526"),
        ("US 00068526", "us00068526"),
        ("K000123456", "k-123456"),
        ("0", "000"),
    ],
)
def test_spellings_of_one_barcode_are_the_same(one, other):
    assert normalise(one) == normalise(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("68526", "68527"), ("US68526", "68526"), ("685260", "68526.0"), ("68526.5", "68526")]
)
def test_other_barcodes_stay_apart(one, other):
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_of_your_own_fills_what_the_source_left_empty(tmp_path, ending, caplog):
    import pandas as pd

    caplog.set_level("INFO")
    table = pd.DataFrame(
        {
            "Barcode": [68526.0, 7.0, 68526.0],
            "Collector": ["Núñez", "Ek", "a later one"],
            "eventDate": ["1901", "", ""],
            "Cabinet": ["A-12", "B-3", ""],
            "family": ["Ferns", None, ""],
        }
    )
    write_table(tmp_path / f"mine.{ending}", table)
    rows = [row("00068526"), row("00000007", storageLocation="old", recordedBy="kept"), row("999")]
    columns = {"recordedBy": "collector", "storageLocation": "Cabinet"}
    first, second, third = join(tmp_path / f"mine.{ending}", rows, barcode="barcode", columns=columns)
    expected = {"recordedBy": "Núñez", "eventDate": "1901", "storageLocation": "A-12", "family": "Ferns"}
    assert first == rows[0] | expected
    assert (second["recordedBy"], second["storageLocation"], second["family"]) == ("kept", "B-3", "")
    assert third == row("999")
    assert "2 of 3 images have a record" in caplog.text
    assert "1 of 3 images have no record" in caplog.text
    assert "1 records have the barcode of an earlier one" in caplog.text


def test_a_darwin_core_archive_and_its_storage_location_join(tmp_path):
    core = occurrences([{"id": "1", "catalogNumber": "00000007", "recordedBy": "Ek", "storageLocation": "B-3"}])
    found = join(write_archive(tmp_path / "backup.zip", core), [row("7")])[0]
    assert (found["recordedBy"], found["storageLocation"], found["specimen_id"]) == ("Ek", "B-3", "7")


def test_shards_of_the_smithsonian_join(tmp_path):
    identifier = [{"label": "Barcode", "content": "00000007"}]
    record = {"content": {"freetext": {"identifier": identifier, "name": [{"label": "Collector", "content": "Ek"}]}}}
    (tmp_path / "00.txt.bz2").write_bytes(bz2.compress((json.dumps(record) + "\n").encode()))
    assert join(tmp_path, [row("00000007")])[0]["recordedBy"] == "Ek"


def test_one_pass_makes_a_small_table_that_joins(tmp_path):
    shards = tmp_path / "NMNHBOTANY"
    shards.mkdir()
    for shard in ("00", "ff"):
        lines = ""
        for number in (int(shard, 16), 1000 + int(shard, 16)):
            identifier = [{"label": "Barcode", "content": f"{number:08d}"}]
            free = {"identifier": identifier, "name": [{"label": "Collector", "content": f"Ek {number}"}]}
            lines += json.dumps({"content": {"freetext": free}}) + "\n"
        (shards / f"{shard}.txt.bz2").write_bytes(bz2.compress(lines.encode()))
    (tmp_path / "wanted.csv").write_text("barcode\n255.0\n1000\n7\n")
    result = sheetlens(
        "extract-records", shards, "--wanted", tmp_path / "wanted.csv", "--output", tmp_path / "small.parquet"
    )
    assert "2 records in" in result.stderr
    found = join(tmp_path / "small.parquet", [row("00000255"), row("00001000"), row("00000007")])
    assert [one["recordedBy"] for one in found] == ["Ek 255", "Ek 1000", ""]


def test_a_class_may_come_from_the_record(tmp_path):
    (tmp_path / "mine.csv").write_text("catalogNumber,family\n1,Lycopodiaceae\n2,Selaginellaceae\n3,\n")
    rows = [row("01", label=""), row("02", label="given"), row("03", label="")]
    rows.append(row("04", label="", status="refused", reason="broken"))
    found = join(tmp_path / "mine.csv", rows, label="family")
    assert [(one["label"], one["status"], one["reason"]) for one in found] == [
        ("Lycopodiaceae", "ok", ""),
        ("given", "ok", ""),
        ("", "refused", specimen_records.UNLABELLED),
        ("", "refused", "broken"),
    ]


def test_fields_of_records_stay_text(tmp_path):
    (tmp_path / "mine.csv").write_text(f'catalogNumber,locality\n1,"<script>\nalert(1)</script>{"x" * 5000}"\n')
    place = join(tmp_path / "mine.csv", [row("1")])[0]["locality"]
    assert place.startswith("<script> alert(1)</script>x")
    assert len(place) == 1000


@pytest.mark.parametrize(
    ("text", "settings", "sentence"),
    [
        ("a,b\n1,2\n", {}, "has no column 'catalogNumber'; its columns are a, b"),
        ("catalogNumber\n1\n", {"columns": {"storageLocation": "Cabinet"}}, "has no column 'Cabinet'"),
        ("catalogNumber\n1\n", {"label": "family"}, "has no column 'family'"),
        ("", {}, "cannot be read"),
        (None, {}, "cannot be read"),
    ],
)
def test_a_table_that_will_not_do_is_named(tmp_path, text, settings, sentence):
    if text is not None:
        (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(UserError) as error:
        join(tmp_path / "mine.csv", [row("1")], **settings)
    assert sentence in str(error.value)


def test_memory_does_not_grow_with_records_or_images(tmp_path):
    peaks = []
    for number in (1_000, 20_000):
        (tmp_path / "mine.csv").write_text(
            "catalogNumber,locality\n" + "".join(f"{n},{'y' * 100}\n" for n in range(number))
        )
        tracemalloc.start()
        joined = specimen_records.join((row(str(n)) for n in range(number)), Records(path=str(tmp_path / "mine.csv")))
        assert sum(len(one["locality"]) == 100 for one in joined) == number
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6


NAMED = "catalogNumber,family,class\nK00012345,Right,A\nK000123451,Wrong,B\n123451,Wrong,B\nK00099999-a,Own,A\n"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("K00012345", "Right"), ("K00012345_1", "Right"), ("K00012345-b", "Right"), ("K00012345 (2)", "Right"),
        ("K000123451", "Wrong"), ("00012345_1", ""), ("12345-1", ""), ("K00099999-a", "Own"), ("K00099999_1", ""),
    ],
)  # fmt: skip
def test_a_second_picture_gets_the_record_of_its_specimen_and_of_no_other(tmp_path, name, family):
    (tmp_path / "mine.csv").write_text(NAMED)
    found = join(tmp_path / "mine.csv", [row(name, label="")], label="class")[0]
    assert found["family"] == family
    assert found["status"] == ("ok" if family else "refused")


def test_a_catalogue_number_that_the_source_knows_is_taken_as_it_is(tmp_path):
    (tmp_path / "mine.csv").write_text(NAMED)
    found = join(tmp_path / "mine.csv", [row("x", catalogNumber="K00012345_1")])[0]
    assert found["family"] == ""


SHARED = (
    "catalogNumber,institutionCode,storageLocation,class\n12345,US,US cabinet 1,A\n12345,NY,NY cabinet 9,B\n"
    "777,US,US cabinet 2,A\nK00000001,K,K cabinet,A\n888,,any cabinet,A\n"
)


@pytest.mark.parametrize(
    ("barcode", "institution", "cabinet", "sentence"),
    [
        ("12345", "NY", "NY cabinet 9", ""),
        ("00012345", " us ", "US cabinet 1", ""),
        ("12345", "", "", "have a number that records of several institutions have"),
        ("12345", "BM", "", "have a number that only records of other institutions have"),
        ("777", "", "US cabinet 2", ""),
        ("777", "NY", "", "have a number that only records of other institutions have"),
        ("K00000001", "Royal Botanic Gardens, Kew", "K cabinet", ""),
        ("888", "NY", "any cabinet", ""),
        ("999", "NY", "", "have no record"),
    ],
)
def test_numbers_that_several_institutions_have_are_told_apart_or_said_to_be_ambiguous(
    tmp_path, caplog, barcode, institution, cabinet, sentence
):
    (tmp_path / "mine.csv").write_text(SHARED)
    rows = [row(barcode, institutionCode=institution, label="")]
    found = join(tmp_path / "mine.csv", rows, label="class")[0]
    assert found["storageLocation"] == cabinet
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == bool(sentence) and all(sentence in line and "1 of 1 images" in line for line in warned)
    assert ("several institutions" in found["reason"]) == ("several institutions" in sentence)


PROTECTED = (
    "catalogNumber,locality,decimalLatitude,stateProvince,{}\n1,SECRET,1.5,SECRET,{}\n2,open,2.5,open,0\n"
    "1,SECRET,1.5,SECRET,\n"
)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("recordSecurity", "1"), ("localitySecurity", "1"), ("localitySecurity", "True"), ("recordSecurity", "5"),
        ("informationWithheld", "locality withheld"), ("localitySecurityReason", "rare"), ("geoprivacy", "obscured"),
        ("dwc:informationWithheld", "yes"), ("LOCALITYSECURITY", "2"),
    ],
)  # fmt: skip
def test_a_protected_place_stays_out_of_every_product_of_a_table(tmp_path, flag, value):
    (tmp_path / "mine.csv").write_text(PROTECTED.format(flag, value))
    known = [row("1"), row("2"), row("1", locality="SECRET", decimalLatitude="1.5", image_id="2nd.jpg")]
    found = join(tmp_path / "mine.csv", known)
    assert "SECRET" not in json.dumps(found) and "1.5" not in json.dumps(found)
    assert (found[1]["locality"], found[1]["decimalLatitude"]) == ("open", "2.5")
    specimen_records.extract(Records(path=str(tmp_path / "mine.csv")), tmp_path / "small.parquet")
    again = join(tmp_path / "small.parquet", known)
    assert "SECRET" not in json.dumps(again) and again[1]["locality"] == "open"


def test_a_later_record_that_protects_the_place_counts(tmp_path):
    (tmp_path / "mine.csv").write_text("catalogNumber,locality,localitySecurity\n1,SECRET,0\n1,,1\n")
    assert join(tmp_path / "mine.csv", [row("1")])[0]["locality"] == ""


@pytest.mark.parametrize(
    ("records", "institution"),
    [
        ("K1,SECRET,0,K\nK1,SECRET,1,K\n", "K"),
        ("K1,SECRET,0,K\nK1,,1,\n", "K"),
        ("K1,SECRET,0,K\nK1,,1,Kew\n", "K"),
        ("7,SECRET,0,US\n07,,1,\n", "US"),
        ("7,SECRET,0,\n7,,1,US\n", "US"),
        ("7,SECRET,0,US\n7,SECRET,1,US\n7,open,0,NY\n", "us"),
    ],
)
def test_any_record_of_the_specimen_protects_its_place(tmp_path, caplog, records, institution):
    caplog.set_level("INFO")
    (tmp_path / "mine.csv").write_text("catalogNumber,locality,localitySecurity,institutionCode\n" + records)
    known = [row(records.split(",")[0], institutionCode=institution)]
    found = join(tmp_path / "mine.csv", known)
    assert (found[0]["locality"], found[0]["informationWithheld"]) == ("", "the place")
    assert "the places of 1 of 1 images are withheld" in caplog.text
    specimen_records.extract(Records(path=str(tmp_path / "mine.csv")), tmp_path / "small.parquet")
    small = list(read_rows(tmp_path / "small.parquet"))
    assert "SECRET" not in json.dumps(small) and len(small) == records.count("\n")
    assert [one["locality"] for one in small if one["institutionCode"] == "NY"] == ["open"] * records.count("NY")
    assert "the places of 2 records are withheld" in caplog.text


def test_the_place_of_another_specimen_with_the_number_is_kept(tmp_path):
    text = "7,open,0,US,Botany\n7,SECRET,1,NY,Botany\n7,SECRET,1,US,Birds\n"
    (tmp_path / "mine.csv").write_text(
        "catalogNumber,locality,localitySecurity,institutionCode,collectionCode\n" + text
    )
    found = join(tmp_path / "mine.csv", [row("7", institutionCode="US", collectionCode="Botany")])
    assert found[0]["locality"] == "open"


def test_a_place_that_the_source_protects_does_not_come_back_through_the_records(tmp_path):
    (tmp_path / "cab.csv").write_text(
        "catalogNumber,storageLocation,locality,decimalLatitude\n00000001,cab 1,SECRET,1.5\n00000002,cab 2,open,2.5\n"
    )
    found = join(tmp_path / "cab.csv", [row("1", informationWithheld="the place"), row("2")])
    places = [(one["storageLocation"], one["locality"], one["decimalLatitude"]) for one in found]
    assert places == [("cab 1", "", ""), ("cab 2", "open", "2.5")]
    assert [one["informationWithheld"] for one in found] == ["the place", ""]


COLLECTIONS = "catalogNumber,institutionCode,collectionCode,family\n123,US,Botany,A\n123,US,Birds,B\n5,US,Botany,A\n"


@pytest.mark.parametrize(
    ("barcode", "collection", "family", "sentence"),
    [
        ("123", "Birds", "B", ""),
        ("00123", " botany ", "A", ""),
        ("123", "", "", "records of several collections have: say theirs (collectionCode)"),
        ("123", "Fishes", "", "only records of other collections have"),
        ("5", "Birds", "", "only records of other collections have"),
        ("5", "", "A", ""),
    ],
)
def test_numbers_that_several_collections_have_are_told_apart(tmp_path, caplog, barcode, collection, family, sentence):
    (tmp_path / "mine.csv").write_text(COLLECTIONS)
    rows = [row(barcode, institutionCode="US", collectionCode=collection)]
    assert join(tmp_path / "mine.csv", rows)[0]["family"] == family
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [sentence in line for line in warned] == [True] * bool(sentence)


@pytest.mark.parametrize(
    "value",
    [
        "0", "", "0.0", "False", "no", "None", "NA", "nan", "N/A", "#N/A", "<NA>", "-", "\u2013", "null",
        "not withheld", "public", "nein", "0.00", "0,0", "\\N",
    ],
)  # fmt: skip
def test_a_place_that_is_not_protected_is_kept(tmp_path, value):
    (tmp_path / "mine.csv").write_text(f'catalogNumber,locality,localitySecurity\n1,open,"{value}"\n')
    assert join(tmp_path / "mine.csv", [row("1")])[0]["locality"] == "open"


def test_a_record_with_shifted_cells_is_left_out_and_counted(tmp_path, caplog):
    (tmp_path / "mine.csv").write_text("catalogNumber,family\n1,A,B\n2,C\n")
    assert [one["family"] for one in join(tmp_path / "mine.csv", [row("1"), row("2")])] == ["", "C"]
    assert "1 records are left out: they have more cells than the table has columns" in caplog.text


def test_an_extract_of_nothing_is_an_error_that_says_why(tmp_path):
    core = occurrences([{"id": "1", "eventID": "7", "locality": "x"}], row_type="http://rs.tdwg.org/dwc/terms/Event")
    write_archive(tmp_path / "event.zip", core)
    (tmp_path / "mine.csv").write_text("catalogNumber\n\n1\n")
    (tmp_path / "wanted.csv").write_text("barcode\n7\n")
    for path, wanted, sentence in (
        ("event.zip", None, "(Event) has no term 'catalogNumber'; its terms are eventID, locality"),
        ("mine.csv", "wanted.csv", "none of the 1 records in"),
    ):
        with pytest.raises(UserError) as error:
            settings = Records(path=str(tmp_path / path))
            specimen_records.extract(settings, tmp_path / "small.parquet", wanted and tmp_path / wanted)
        assert sentence in str(error.value)
        assert not (tmp_path / "small.parquet").exists()
