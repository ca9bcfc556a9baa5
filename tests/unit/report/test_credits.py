import csv

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sheetlens.common.errors import UserError
from sheetlens.common.tables import plain_cell, safe_cell
from sheetlens.fetch.listing import LISTING
from sheetlens.report.credits import COLUMNS, compare_routes, count_licences, write_credits, write_derived_dataset


def row(number, **changes):
    values = LISTING | {"image_id": f"{number}.jpg", "label": "fern", "licence": "CC0-1.0", "licence_asserted": True}
    return values | changes


def write(tmp_path, rows):
    pd.DataFrame(rows).to_parquet(tmp_path / "manifest.parquet", index=False)
    write_credits(tmp_path / "manifest.parquet", tmp_path / "credits.csv")
    return list(csv.DictReader((tmp_path / "credits.csv").open(encoding="utf-8", newline="")))


def test_each_picture_used_has_its_credit(tmp_path):
    rows = [row(1, creator="Ann"), row(2, status="refused"), row(3, licence="CC BY-NC-SA", licence_asserted=False)]
    found = write(tmp_path, rows)
    assert [one["image_id"] for one in found] == ["1.jpg", "3.jpg"]
    assert [one["licence_asserted"] for one in found] == ["yes", "no"]
    assert found[0]["creator"] == "Ann"
    assert list(found[0]) == list(COLUMNS)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(tmp_path, start):
    found = write(
        tmp_path, [row(1, creator=f'{start}cmd("/c calc")!A0', rights_holder='a "quoted", name\nin two lines')]
    )
    assert found[0]["creator"].startswith(f"'{start}cmd")
    assert found[0]["rights_holder"] == 'a "quoted", name\nin two lines'


@pytest.mark.parametrize("text", ["=1", "'=1", "''=1", "'quoted'", "plain", "", "'", "-1"])
def test_a_safe_cell_can_be_taken_back(text):
    assert plain_cell(safe_cell(text)) == text
    assert safe_cell(text)[:1] not in ("=", "-")


def test_html_and_absurd_lengths_stay_text(tmp_path):
    html, long = "<script>alert(1)</script>", "x" * 100_000
    found = write(tmp_path, [row(1, creator=html, rights_holder=long)])[0]
    assert (found["creator"], found["rights_holder"]) == (html, long)


def test_the_same_manifest_gives_the_same_bytes(tmp_path):
    write(tmp_path, [row(n) for n in range(5)])
    first = (tmp_path / "credits.csv").read_bytes()
    write(tmp_path, [row(n) for n in range(5)])
    assert (tmp_path / "credits.csv").read_bytes() == first


def test_a_derived_dataset_counts_the_records_used_by_data_set(tmp_path):
    rows = [row(n, datasetKey="b" if n % 3 else "a", specimen_id=f"s{n // 2}") for n in range(6)]
    rows += [row(7, datasetKey="a", status="refused"), row(8)]
    pd.DataFrame(rows).to_parquet(tmp_path / "manifest.parquet", index=False)
    counts = write_derived_dataset(tmp_path / "manifest.parquet", tmp_path / "derived.csv")
    assert counts == {"a": 2, "b": 3}  # records, not pictures
    assert (tmp_path / "derived.csv").read_text() == "a,2\nb,3\n"
    pd.DataFrame([row(1)]).to_parquet(tmp_path / "manifest.parquet", index=False)
    with pytest.raises(UserError, match="comes from GBIF"):
        write_derived_dataset(tmp_path / "manifest.parquet", tmp_path / "derived.csv")


def test_licences_that_nobody_asserted_are_counted():
    rows = [
        row(1),
        row(2),
        row(3, licence="CC BY-NC-SA", licence_asserted=False),
        row(4, licence="", licence_asserted=True),
    ]
    counted = count_licences(pd.DataFrame([*rows, row(5, status="refused")]))
    assert (counted["sheets"], counted["unasserted"], counted["more"]) == (4, 2, 0)
    assert counted["shown"][0] == {"licence": "CC0-1.0", "rights_holder": "", "licence_asserted": True, "sheets": 2}


def test_classes_that_came_by_other_routes_are_told_apart():
    same = [row(n, label="ab"[n % 2], route="iiif 512") for n in range(40)]
    assert compare_routes(pd.DataFrame(same)) == []
    mixed = [one | {"route": "delivery 512"} if one["label"] == "b" and n > 29 else one for n, one in enumerate(same)]
    assert compare_routes(pd.DataFrame(mixed)) == [
        {"route": "delivery 512", "shares": {"a": 0, "b": 0.25}},
        {"route": "iiif 512", "shares": {"a": 1, "b": 0.75}},
    ]
    assert compare_routes(pd.DataFrame(mixed).drop(columns="route")) == []
    assert compare_routes(pd.DataFrame([one | {"status": "refused"} for one in mixed])) == []


def test_a_manifest_of_many_rows_is_read_a_part_at_a_time(tmp_path):
    rows = pa.Table.from_pylist([row(n) for n in range(1000)])
    with pq.ParquetWriter(tmp_path / "manifest.parquet", rows.schema) as writer:
        for _ in range(3):
            writer.write_table(rows)
    write_credits(tmp_path / "manifest.parquet", tmp_path / "credits.csv")
    assert len((tmp_path / "credits.csv").read_text().splitlines()) == 3001
