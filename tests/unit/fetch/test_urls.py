import hashlib

import pandas as pd
import pytest

from sheetlens.common.barcodes import specimen
from sheetlens.common.errors import UserError
from sheetlens.common.files import read_table
from sheetlens.config import UrlsSource
from sheetlens.fetch import remote
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.sources import urls
from sheetlens.fetch.summary import summarise
from tests.services.plain import picture


def fetch(services, folder, table, columns=None, **changes):
    source = UrlsSource(table=str(table), columns=columns or {})
    settings = services.settings(**changes)
    remote.fetch("urls", source, settings, folder / "originals", folder / "listing.parquet")
    return read_table(folder / "listing.parquet").set_index("image_id")


def write(folder, rows, suffix):
    path = folder / f"table{suffix}"
    if suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        pd.DataFrame(rows).to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_each_kind_of_table_gives_the_same_listing(services, tmp_path, suffix):
    rows = [
        {"accessURI": services.url(f"/images/{name}.jpg"), "genus": label, "sha256": digest, "locality": place}
        for name, label, digest, place in [
            ("a", "Huperzia", hashlib.sha256(picture("a.jpg")).hexdigest(), 'near "Rio",\nby the <i>road</i>'),
            ("b", "Selaginella", "", None),
        ]
    ]
    table = write(tmp_path, rows, suffix)
    found = fetch(services, tmp_path, table, {"url": "accessURI", "label": "genus"})
    assert [found.index.name, *found.columns] == list(LISTING)
    assert found["status"].tolist() == ["ok", "ok"]
    row = found.iloc[0]
    assert found.index[0].startswith("Huperzia/a-") and found.index[0].endswith(".jpg")
    assert (row["label"], row["locality"]) == ("Huperzia", 'near "Rio",\nby the <i>road</i>')
    assert (row["route"], row["source_url"]) == ("urls", services.url("/images/a.jpg"))
    assert row["specimen_id"] == found.index[0].removeprefix("Huperzia/").removesuffix(".jpg")
    sums = (tmp_path / "originals/SHA256SUMS").read_text()
    assert sums.splitlines()[0] == f"{row['sha256']}  {found.index[0]}"
    assert sums.count("\n") == 2


def test_the_last_lines_say_how_many_places_are_withheld(services, tmp_path, caplog):
    caplog.set_level("INFO")
    rows = [
        {"url": services.url(f"/images/{name}.jpg"), "label": "fern", "locality": "here", "recordSecurity": flag}
        for name, flag in (("a", "1"), ("b", "NA"))
    ]
    found = fetch(services, tmp_path, write(tmp_path, rows, ".csv"), {})
    assert sorted(zip(found["locality"], found["informationWithheld"], strict=True)) == [
        ("", "the place"),
        ("here", ""),
    ]
    summarise(tmp_path / "listing.parquet")
    assert "Places withheld because the source protects them: 1." in caplog.text


def test_each_bad_row_is_refused_with_its_reason(services, tmp_path):
    good = services.url("/images/a.jpg")
    lines = [
        "url,label,image_id,bytes,licence,licence_asserted",
        f"{good},fern,good.jpg,,https://creativecommons.org/publicdomain/zero/1.0/,",
        f"{good},,no label.jpg,,,",
        f"{good},fern,size.jpg,many,,",
        f"{good},fern,cells.jpg,,CC0-1.0,yes,too,many",
        ",fern,empty.jpg,,,",
        f"{good},fern,../../outside.jpg,,,",
        f"{good},fern,good.jpg,,,",
        f"{good},fern,\udce9.jpg,,,",
    ]
    (tmp_path / "t.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    found = fetch(services, tmp_path, tmp_path / "t.csv", missing=1)
    assert len(found) == 8
    assert found.loc["good.jpg", ["status", "licence", "licence_asserted"]].tolist() == ["ok", "CC0-1.0", True]
    reasons = found.loc[found["status"] == "refused", "reason"].to_dict()
    assert reasons["no label.jpg"] == "the row has no label"
    assert reasons["size.jpg"] == "`bytes` is no number: 'many'"
    assert reasons["cells.jpg"] == "the row has more cells than the table has columns"
    assert "only http and https" in reasons["empty.jpg"]
    assert "would lead out" in reasons["../../outside.jpg"]
    assert reasons["good.jpg#7"] == "a second row of its image_id"
    assert services.counters()["requests"] == {"/images/a.jpg": 2}


@pytest.mark.parametrize(
    ("text", "columns", "sentence"),
    [
        ("address,label\nx,y\n", {}, "has no column 'url'; its columns are address, label"),
        ("url,label\nx,y\n", {"label": "genus"}, "has no column 'genus'"),
        ("url,label\nx,y\n", {"colour": "url"}, "cannot give 'colour'"),
    ],
)
def test_a_table_that_lacks_something_is_named(services, tmp_path, text, columns, sentence):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        fetch(services, tmp_path, tmp_path / "t.csv", columns)
    with pytest.raises(UserError, match="cannot be read"):
        fetch(services, tmp_path, tmp_path / "none.csv")


def test_a_picture_under_another_licence_is_refused(services, tmp_path):
    stated = {"free": "https://creativecommons.org/publicdomain/zero/1.0/", "nc": "CC BY-NC 4.0", "default": "CC BY-NC"}
    rows = [
        {"url": services.url(f"/images/{name}.jpg"), "label": "fern", "image_id": f"{name}.jpg", "licence": licence}
        for name, licence in stated.items()
    ]
    source = UrlsSource(table=str(write(tmp_path, rows, ".csv")), licences=("CC0", "CC-BY"))
    remote.fetch("urls", source, services.settings(), tmp_path / "originals", tmp_path / "listing.parquet")
    found = read_table(tmp_path / "listing.parquet").set_index("image_id")
    assert found["status"].to_dict() == {"free.jpg": "ok", "nc.jpg": "refused", "default.jpg": "refused"}
    assert found["reason"]["nc.jpg"] == "its licence is none of those wanted: CC-BY-NC-4.0"
    assert found["reason"]["default.jpg"] == "its licence is none of those wanted: CC-BY-NC"
    assert services.counters()["requests"] == {"/images/free.jpg": 1}


def test_too_many_missing_files_stop_the_step_and_the_next_run_goes_on(services, tmp_path):
    rows = [{"url": services.url(f"/images/{number}.jpg"), "label": "fern"} for number in range(10)]
    table = write(tmp_path, rows, ".csv")
    services.faults(always={"/images/3.jpg": "503", "/images/4.jpg": "404", "/images/5.jpg": "404"})
    with pytest.raises(UserError, match=r"class 'fern' lacks 3 of 10 files, mostly because: .*404.*5 % that may"):
        fetch(services, tmp_path, table, attempts=2)
    assert read_table(tmp_path / "listing.parquet")["status"].value_counts()["refused"] == 3
    assert fetch(services, tmp_path, table, attempts=2, missing=0.3)["status"].value_counts()["ok"] == 7
    services.faults(always={"/images/3.jpg": ""})
    assert fetch(services, tmp_path, table, missing=0.2)["status"].value_counts()["ok"] == 8
    assert services.counters()["requests"]["/images/1.jpg"] == 1


def test_second_pictures_in_a_table_of_addresses_are_of_one_specimen(tmp_path):
    names = ("K00012345_1.jpg", "K00012345_2.jpg", "iiif/K00012345/full/max/0/default.jpg", "other/default.jpg")
    table = write(tmp_path, [{"url": f"https://a.example/{name}", "label": "fern"} for name in names], ".csv")
    source = UrlsSource(table=str(table))
    found = [urls.request(source, row, row["url"], "urls").fields["specimen_id"] for row in urls.rows(source)]
    assert found[:2] == ["K00012345_1", "K00012345_2"] and len({specimen(one) for one in found[:2]}) == 1
    assert len(set(found[2:])) == 2, "a name of no barcode is that of one address"


@pytest.mark.parametrize("url", ["user:hunter2@a.example", "http://user:hunter2@a.example/K00012345.jpg"])
def test_no_password_stands_in_the_names_that_are_made_of_an_address(tmp_path, url):
    source = UrlsSource(table=str(write(tmp_path, [{"url": url, "label": "fern"}], ".csv")))
    (found,) = [urls.request(source, row, row["url"], "urls") for row in urls.rows(source)]
    assert "hunter2" not in f"{found.image_id} {found.fields['specimen_id']}"
