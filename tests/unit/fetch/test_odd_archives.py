"""Archives and tables in odd dress lose no row and no cell; where python-dwca-reader reads them right, it agrees."""

import numpy as np
import pytest

from sheetlens.common.tables import read_rows
from sheetlens.fetch.records.darwin_core import open_archive
from tests.services.odd_archives import SHAPES, TABLES, build, build_table, plain

TERMS = ("catalogNumber", "locality", "family", "recordedBy")


def number(row):
    return int(row["id"])


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_archive_in_odd_dress_loses_nothing(tmp_path, name, seed):
    path, records, pictures = build(tmp_path, name, np.random.default_rng(seed))
    with open_archive(path) as archive:
        found = [{"id": key, **row} for key, row in archive.rows(archive.core, TERMS)]
        shown = [{"id": key, **row} for key, row in archive.rows(archive.media[0], ("identifier", "creator"))]
        for notes in archive.notes.values():
            assert notes.lines == notes.rows + notes.continued + notes.empty
    assert sorted(plain(found), key=number) == plain(records)
    assert sorted(plain(shown), key=number) == plain(pictures)


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape.reference])
def test_the_reference_reads_the_same(tmp_path, name):
    reader = pytest.importorskip("dwca.read", reason="python-dwca-reader, of the extra `dev`, is not installed")
    path, records, _ = build(tmp_path, name, np.random.default_rng(1))
    with reader.DwCAReader(path) as archive:
        rows = [
            {term.rsplit("/", 1)[-1]: value for term, value in row.data.items()} | {"id": row.id} for row in archive
        ]
    assert [{key: row[key] for key in records[0]} for row in plain(rows)] == plain(records)


@pytest.mark.parametrize("name", list(TABLES))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_table_in_odd_dress_loses_nothing(tmp_path, name, seed):
    path, rows = build_table(tmp_path, name, np.random.default_rng(seed))
    assert plain(list(read_rows(path, {term: term for term in rows[0]}))) == plain(rows)
