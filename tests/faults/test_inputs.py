"""What strangers send: mutated archives, tables, configs, journals and model folders end in one sentence, or work."""

import json
import shutil
from pathlib import Path

import pytest
from benchmarks.inputs import MUTATIONS, originals, try_images
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from sheetlens import files
from sheetlens.classifier import Classifier
from sheetlens.config import read_files
from sheetlens.corrections import read_corrections
from sheetlens.errors import UserError
from sheetlens.fetch.unpack import unpack
from sheetlens.package import PARTS
from sheetlens.review.journal import read_entries, standing
from sheetlens.tables import read_rows
from tests.services.plain import picture
from tests.unit.test_answers import model  # noqa: F401 - a fixture
from tests.unit.test_unpack import tar, zipped

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
# Where to change a file (a share of its length) and how: another byte there, or its end there.
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(-1, 255)), min_size=1, max_size=6)


def changed(data: bytes, changes) -> bytes:
    for place, byte in changes:
        spot = int(place * len(data))
        data = data[:spot] + (bytes([byte]) + data[spot + 1 :] if byte >= 0 and data else b"")
    return data


def refuses_or_works(function, *arguments) -> str:
    """The sentence of a refusal, or ""; any other exception is a fault of ours."""
    try:
        function(*arguments)
    except UserError as error:
        assert str(error).strip()
        return str(error)
    return ""


def test_mutated_images_are_read_or_refused_with_a_reason():
    """A short pass of benchmarks/inputs.py, every mutation several times."""
    outcome = try_images(originals(None, 3), 5 * len(MUTATIONS), seed=2)
    assert outcome.tried == 5 * len(MUTATIONS)
    assert outcome.faults == []
    assert outcome.read and outcome.refused


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_mutated_archives(tmp_path, kind):
    members = [(f"sheets/{name}.jpg", picture(name)) for name in "abc"]
    path = tmp_path / "whole"
    zipped(path, members) if kind == "zip" else tar(path, members, "w:" + kind[4:])
    data = path.read_bytes()

    @QUICK
    @given(CHANGES)
    def check(changes):
        other = tmp_path / "other"
        other.write_bytes(changed(data, changes))
        refuses_or_works(lambda: list(unpack(other, tmp_path / "out", 10**6)))

    check()


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_mutated_tables(tmp_path, kind):
    import pandas as pd

    path = tmp_path / f"whole.{kind}"
    files.write_table(path, pd.DataFrame({"path": ["a é.jpg", "b.jpg"] * 20, "sha256": ["x" * 64, ""] * 20}))
    data = path.read_bytes()

    @QUICK
    @given(CHANGES)
    def check(changes):
        other = tmp_path / f"other.{kind}"
        other.write_bytes(changed(data, changes))
        refuses_or_works(lambda: list(read_rows(other, {"path": "path", "sha256": "sha256"})))

    check()


@QUICK
@given(st.text(max_size=200))
@example('image_id,label_before,label_after,decision,reviewer,time\n"\n')
def test_any_text_as_corrections(tmp_path, content):
    path = tmp_path / "corrections.csv"
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    refuses_or_works(read_corrections, path)


@QUICK
@given(st.binary(max_size=80) | st.text(alphabet="ab:-[]{}&*!?|>'\"#%@`, \n0129.", max_size=80).map(str.encode))
@example(b"- a\n")
@example(b"\xff\xfe\xff")
@example(b"a: 2026-99-99\n")
@example(b"{[a]: 1}\n")
@example(b"[" * 3000)
def test_any_bytes_as_config(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    assert refuses_or_works(read_files, [path])


@QUICK
@given(st.lists(JSON, max_size=4))
@example([1])
@example([{"decision": "undo"}])
@example([{"decision": "class", "image_id": [], "reviewer": "Ada", "id": "1"}])
def test_any_lines_as_journal(tmp_path, lines):
    path = tmp_path / "decisions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refuses_or_works(lambda: standing(read_entries(path)))


@pytest.fixture(scope="module")
def copy(model, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("copy") / "model"
    shutil.copytree(model, folder)
    return folder


def seal(folder: Path) -> None:
    """Give package.json the hashes of the files beside it, as who wants to deceive would."""
    facts = files.read_json(folder / "package.json")
    facts["files"] = {name: files.sha256(folder / name) for name in PARTS}
    (folder / "package.json").write_text(json.dumps(facts))


@pytest.mark.parametrize("name", ["package.json", "model.json"])
def test_mutated_facts_of_a_model(model, copy, name):  # noqa: F811
    facts = files.read_json(model / name)

    @settings(QUICK, max_examples=12)
    @given(st.sampled_from(sorted(facts)), JSON)
    @example("files", [])
    @example("fit", [])
    @example("temperature", 0)
    @example("limit", None)
    @example("thresholds", [{}])
    @example("thresholds", None)
    @example("normalisation", {})
    @example("settings", [])
    @example("network", [])
    def check(key, value):
        for part in ("package.json", *PARTS):
            shutil.copy(model / part, copy / part)
        if key in facts:
            (copy / name).write_text(json.dumps(facts | {key: value}))
        if name == "model.json":
            seal(copy)
        refuses_or_works(lambda: Classifier(copy).threshold(0.1))

    check()


@pytest.mark.parametrize("name", ["package.json", *PARTS])
def test_mutated_files_of_a_model(model, copy, name):  # noqa: F811
    data = (model / name).read_bytes()

    @settings(QUICK, max_examples=6)
    @given(CHANGES)
    def check(changes):
        for part in ("package.json", *PARTS):
            shutil.copy(model / part, copy / part)
        (copy / name).write_bytes(changed(data[:2000], changes) + data[2000:])
        if name != "package.json":
            assert ((copy / name).read_bytes() == data) or refuses_or_works(Classifier, copy)
            seal(copy)
        refuses_or_works(Classifier, copy)

    check()


@pytest.mark.parametrize("name", ["weights.safetensors", "typical.safetensors"])
def test_numbers_that_are_none(model, copy, name):  # noqa: F811
    """A file whose hash is right can still hold what gives no answer: nothing may be answered in silence."""
    for part in ("package.json", *PARTS):
        shutil.copy(model / part, copy / part)
    tensors = load_file(copy / name)
    save_file(
        {key: value * float("nan") if value.dtype.kind == "f" else value for key, value in tensors.items()}, copy / name
    )
    seal(copy)
    assert "contradicts itself" in refuses_or_works(Classifier, copy)
