"""Programs compare codes: a sentence may be reworded at any time."""

import ast
from pathlib import Path

import pandas as pd
import pytest

from sheetlens.common import refusals
from sheetlens.common.refusals import COSTLY, OURS, REASONS, Reason, code_of, refused, tally
from sheetlens.config import Limits
from sheetlens.pages.thumbnails import embed_refused
from sheetlens.prepare.decoding.decoder_processes import Readers
from sheetlens.report.quality import group_refused
from tests.unit.prepare.test_resize import encode, sheet

PACKAGE = Path(refusals.__file__).parents[1]
ERRORS = ("RefusedImageError", "RefusedError", "LaterError", "BrokenImageError", "SpoiltError")


def test_each_code_has_a_heading_and_a_sentence():
    assert all(len(texts) == 2 and all(texts) for texts in REASONS.values())
    assert set(COSTLY) | set(OURS) <= set(REASONS)


def test_a_reason_is_its_sentence_and_knows_its_code():
    reason = Reason("too_small", width=30, height=40, least=128)
    assert reason == "too small: 30x40 pixels, less than 128 on a side"
    assert refused(reason) == {"status": "refused", "reason": reason, "reason_code": "too_small"}
    assert (code_of("left out: E could not tell"), code_of("")) == ("other", "")


def test_no_module_that_refuses_has_sentences_of_its_own():
    """Engine, transfer, HTTP and decoding raise with a Reason, so that each refusal has a code."""
    places = [PACKAGE / name for name in ("prepare", "fetch/http")]
    modules = [path for place in places for path in place.rglob("*.py")]
    modules += [PACKAGE / "fetch" / f"{name}.py" for name in ("engine", "content_checks", "download")]
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                assert not isinstance(node.args[0], ast.Constant | ast.JoinedStr), f"{path}:{node.lineno}"


def test_rewording_every_refusal_changes_no_behaviour(tmp_path, monkeypatch):
    """The words go, and what is costly is still left alone, counted together and tried no second time."""
    reworded = {code: (f"heading {code}", f"xyz {code}") for code in REASONS}
    monkeypatch.setattr(refusals, "REASONS", reworded)
    data = encode(sheet(300, 400), "JPEG")
    with Readers(1, "squash", Limits(megapixels=1)) as pool:
        monkeypatch.setattr("sheetlens.prepare.decoding.decoder_processes.PATIENCE", 0)
        hung = pool.read({"image_id": "a", "path": "a.jpg", "sha256": ""}, data).facts
        assert len(pool._all) == 0  # ended, and not asked again
    assert (hung["reason"], hung["reason_code"]) == ("xyz hung", "hung")
    (tmp_path / "a.jpg").write_bytes(data)
    for code in COSTLY:
        assert embed_refused(tmp_path / "a.jpg", code, 96) == ""
    rows = [{"image_id": f"{number}", "path": "", **refused(Reason(code))} for number, code in enumerate(COSTLY * 2)]
    counted = tally([*rows, {"status": "ok", "reason": ""}])
    assert (counted.found, counted.used, counted.refused) == (2 * len(COSTLY) + 1, 1, 2 * len(COSTLY))
    assert {name: count for name, count, _ in counted.reasons} == dict.fromkeys(
        (f"heading {code}" for code in COSTLY), 2
    )

    groups = group_refused(pd.DataFrame(rows), tmp_path)
    assert {group["kind"]: group["count"] for group in groups} == dict.fromkeys((f"heading {c}" for c in COSTLY), 2)


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([], ["Files found: 0. Used: 0. Refused: 0."]),
        (
            [{"status": "ok", "reason": ""}, *[refused(Reason("status", host="h", status="404"))] * 2],
            ["Files found: 3. Used: 1. Refused: 2.", "  2 refused by the server, for instance: h answered 404"],
        ),
        (
            [refused("left out: E could not tell its class"), refused("left out: F could not tell its class")],
            [
                "Files found: 2. Used: 0. Refused: 2.",
                "  2 left out, for instance: left out: E could not tell its class",
            ],
        ),
    ],
)
def test_a_tally_says_what_became_of_files(rows, lines):
    assert tally(rows).lines() == lines
