import errno
from types import SimpleNamespace

import pandas as pd
import pytest

from sheetlens.common.files import read_table, whole, write_json, write_table


def test_a_product_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep/product.txt"
    with pytest.raises(RuntimeError), whole(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert not any(path.parent.iterdir())
    with whole(path) as part:
        part.write_text("all")
        assert not path.exists()
    assert [file.name for file in path.parent.iterdir()] == ["product.txt"]


def test_a_fault_leaves_the_former_product(tmp_path):
    write_json(tmp_path / "a.json", {"value": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"value": object()})
    assert '"value": 1' in (tmp_path / "a.json").read_text()


@pytest.mark.parametrize(
    ("free", "said"),
    [(1000, "unexpected pos 576 vs 534"), (10**9, "I/O error: No space left on device (os error 28)")],
    ids=["torch", "safetensors, which has removed its file by then"],
)
def test_a_full_disk_is_called_so_whatever_the_library_says(tmp_path, monkeypatch, free, said):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(OSError, match="no space left") as error, whole(tmp_path / "weights"):
        raise RuntimeError(said)
    assert error.value.errno == errno.ENOSPC


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet"])
def test_tables_come_back_with_awkward_names(tmp_path, ending):
    table = pd.DataFrame({"image_id": ["a\tb", "new\nline", 'quo"te', "NA", "", "ünï"], "label": list("xyzxyz")})
    write_table(tmp_path / f"t.{ending}", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / f"t.{ending}"), table, check_dtype=False)
