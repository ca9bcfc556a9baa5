import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.inputs import KINDS, try_others, try_pictures

from sheetlens.common.errors import UserError
from sheetlens.common.tables import read_rows


def test_broken_pictures_are_read_or_refused_with_a_reason():
    outcomes, faults, _ = try_pictures(150, seed=3)
    assert not faults
    assert all(counts["refused"] for counts in outcomes.values())


@pytest.mark.parametrize("kind", KINDS)
def test_other_broken_files_are_read_or_refused_in_a_sentence(kind):
    outcomes, faults = try_others(20, 3, [kind])
    assert not faults
    # What is odd and sound must be read, what is broken is refused more often than not.
    assert outcomes[kind]["read"] == 20 if kind.endswith("in odd dress") else outcomes[kind]["refused"]


def test_a_parquet_table_of_broken_text_is_one_sentence(tmp_path):
    pq.write_table(pa.table({"path": pa.array([b"\xff"]).view(pa.string())}), tmp_path / "table.parquet")
    with pytest.raises(UserError, match="cannot be read"):
        list(read_rows(tmp_path / "table.parquet", {"path": "path"}))
