import errno
import os
from types import SimpleNamespace

import pandas as pd
import pytest

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.files import read_json, read_rows, read_table, whole, write_json, write_table


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
    with pytest.raises(OSError, match="No space left") as error, whole(tmp_path / "weights"):
        raise RuntimeError(said)
    assert error.value.errno == errno.ENOSPC


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet"])
def test_tables_come_back_with_awkward_names(tmp_path, ending):
    table = pd.DataFrame({"image_id": ["a\tb", "new\nline", 'quo"te', "NA", "", "ünï"], "label": list("xyzxyz")})
    write_table(tmp_path / f"t.{ending}", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / f"t.{ending}"), table, check_dtype=False)


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.ESTALE, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_other_faults_of_a_disk_keep_their_number(tmp_path, code, kind):
    said = kind(f"Error writing bytes: {os.strerror(code)}") if kind is RuntimeError else OSError(code, "told")
    with pytest.raises(OSError, match=r"\w") as error, whole(tmp_path / "weights"):
        raise said
    assert (error.value.errno, error.value.filename) == (code, str(tmp_path / "weights"))


def test_a_disk_that_is_gone_does_not_hide_what_went_wrong(tmp_path, monkeypatch):
    def gone(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("shutil.disk_usage", gone)
    monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok: None if path.exists() is False else gone())
    with pytest.raises(RuntimeError, match="the reason"), whole(tmp_path / "weights"):
        raise RuntimeError("the reason")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_are_those_of_the_umask_whatever_the_library_does(tmp_path, mask, mode):
    import torch
    from safetensors.torch import save_file

    before = os.umask(mask)
    try:
        with whole(tmp_path / "weights.safetensors") as part:
            save_file({"a": torch.zeros(2)}, part)
        write_json(tmp_path / "model.json", {})
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"weights.safetensors": mode, "model.json": mode}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("read", [read_table, files.count_rows, lambda path: list(read_rows(path))])
def test_a_table_that_was_cut_short_is_one_sentence(tmp_path, read, share):
    path = tmp_path / "table.parquet"
    write_table(path, pd.DataFrame({"image_id": [str(number) for number in range(1000)]}))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"table\.parquet cannot be read"):
        read(path)


def test_a_table_with_a_damaged_middle_is_one_sentence(tmp_path):
    path = tmp_path / "table.parquet"
    write_table(path, pd.DataFrame({"image_id": [str(number) for number in range(1000)]}))
    data = bytearray(path.read_bytes())
    data[100:400] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(UserError, match="cannot be read"):
        read_table(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe{"])
def test_json_that_is_none_is_one_sentence(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"model\.json cannot be read"):
        read_json(path)
