"""An exported model reads sheets as the model itself does, in a process that has nothing of Sheetlens."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.predict import export
from sheetlens.predict.classifier import Classifier
from tests.conftest import sheetlens
from tests.unit.garden import CLASSES, make_model

NUMBERS = (1, 5, 40)  # sheets at a time
READ = """
import sys, numpy, onnxruntime, torch
exported, *tables = sys.argv[1:]
program = torch.export.load(exported + "/model.pt2").module()
network = onnxruntime.InferenceSession(exported + "/model.onnx")
for table in tables:
    sheets = numpy.load(table)
    onnx = network.run(None, {"sheets": sheets})[0]
    numpy.save(table, numpy.stack([program(torch.from_numpy(sheets)).numpy(), onnx]))
assert "sheetlens" not in sys.modules
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    output = tmp_path_factory.mktemp("export")
    result = sheetlens("export", model, "--output", output)
    assert result.returncode == 0, result.stderr
    assert "model.onnx: probabilities of 24 sheets differ by" in result.stderr
    return output


def test_others_read_any_number_of_sheets_without_us(model, exported, tmp_path):
    drawn = export.drawn_sheets("squash")
    tables = {tmp_path / f"{number}.npy": drawn[np.arange(number) % len(drawn)] for number in NUMBERS}
    for path, sheets in tables.items():
        np.save(path, sheets)
    subprocess.run([sys.executable, "-I", "-c", READ, exported, *tables], check=True)
    reader = Classifier(model, "cpu")
    for path, sheets in tables.items():
        expected = reader.read(sheets).probabilities
        for read in np.load(path):
            assert read == pytest.approx(expected, abs=export.TOLERANCE)


def test_the_note_beside_says_what_was_exported(model, exported):
    note = files.read_json(exported / "export.json")
    assert sorted(path.name for path in exported.iterdir()) == ["export.json", "model.onnx", "model.pt2"]
    assert note["classes"] == list(CLASSES) and note["fit"] == "squash"
    assert note["temperature"] == files.read_json(model / "package.json")["temperature"]
    for name, facts in note["files"].items():
        assert facts["sha256"] == files.sha256(exported / name)
        assert facts["largest_difference"] <= note["check"]["tolerance"]


def test_what_does_not_read_as_the_model_is_not_written(model, tmp_path, monkeypatch):
    changed = export.Reader.forward
    monkeypatch.setattr(export.Reader, "forward", lambda self, sheets: changed(self, 255 - sheets))
    with pytest.raises(UserError, match=r"model.pt2 does not read sheets as the model does"):
        export.export_model(model, tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_a_missing_package_is_one_sentence(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PACKAGES", ("onnx", "no-such-package"))
    with pytest.raises(UserError, match="no-such-package is not installed: an export needs"):
        export.export_model(model, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_a_bad_model_is_one_sentence(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    facts = json.loads((tmp_path / "model/package.json").read_text())
    (tmp_path / "model/package.json").write_text(json.dumps(facts | {"classes": ["fern"]}))
    result = sheetlens("export", tmp_path / "model", "--output", tmp_path / "export")
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1 and "contradicts itself" in result.stderr
