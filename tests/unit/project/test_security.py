"""What SECURITY.md claims and no other test holds."""

import ast
import asyncio
import re
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from sheetlens.common.errors import UserError
from sheetlens.prepare.image_set import open_image_set
from sheetlens.review.access import HEADERS
from sheetlens.review.decisions import NAME, Journal
from sheetlens.review.queue import open_run
from sheetlens.review.server import make_app
from tests.browser.runs import write_run
from tests.conftest import ROOT

PACKAGE = ROOT / "workflow/sheetlens"
CALLS = [
    (path.relative_to(ROOT), call)
    for path in sorted(PACKAGE.rglob("*.py"))
    for call in ast.walk(ast.parse(path.read_text()))
    if isinstance(call, ast.Call)
]


class Bomb:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_executed_and_no_shell_is_called():
    for path, call in CALLS:
        name, keys = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert name not in {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}, path
        assert not re.match(r"c?pickle\.|joblib\.|subprocess\.get", name), path
        assert keys.get("shell", "False") == "False", path
        assert keys.get("allow_pickle", "False") == "False", path
        assert name != "torch.load" or keys.get("weights_only") == "True", path


def test_pixels_that_are_a_pickle_are_not_read(tmp_path):
    np.save(tmp_path / "pixels.npy", np.array([Bomb(tmp_path / "ran")], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        open_image_set(tmp_path / "pixels.npy")
    assert not (tmp_path / "ran").exists()


def test_every_page_carries_the_policy():
    whole = [path for path in (PACKAGE / "pages/templates").glob("*.html") if "<html" in path.read_text()]
    assert [path.name for path in whole] == ["base.html"]
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', whole[0].read_text()).group(1)
    assert policy.split("; ")[0] == "default-src 'none'" and "script" not in policy
    for path in (PACKAGE / "pages/templates").glob("*.html"):
        assert "autoescape" not in path.read_text(), "escaping is for pages.py to say"


def test_the_review_page_carries_the_policy(tmp_path):
    run = write_run(tmp_path / "run", 5)

    async def headers():
        journal = Journal(run / NAME)
        async with TestClient(TestServer(make_app(open_run(run), journal, ""))) as client:
            answer = await client.get("/")
            journal.close()
            return answer.headers

    found = asyncio.run(headers())
    assert {name: found.get(name) for name in HEADERS} == HEADERS
    assert "script-src 'self'" in found["Content-Security-Policy"]
    assert "unsafe" not in found["Content-Security-Policy"]


def test_temporary_files_are_the_owners_alone():
    made = [name for _, call in CALLS if (name := ast.unparse(call.func)).startswith("tempfile.")]
    assert set(made) == {"tempfile.TemporaryDirectory"}
    with tempfile.TemporaryDirectory() as folder:
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"['\"]/(var/)?tmp\b", path.read_text()), path


def test_the_page_names_tests_that_are_there():
    page = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"[\w./]*\btest_\w+\.py", page))
    found = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert named and {Path(name).name for name in named} <= found
    for name in named:
        if "/" in name:
            assert (ROOT / "tests/unit" / name).resolve().is_file(), name


def test_licences_of_every_locked_package_are_listed_and_those_of_the_image_are_named():
    listed = (ROOT / "envs/licences.tsv").read_text().splitlines()[1:]
    lock = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert [line.split("\t")[0] for line in listed] == lock and all(line.split("\t")[2] for line in listed)
    assert any(line.startswith("nvidia") and "roprietary" in line for line in listed), "as the page says"
    assert "python:3.13-slim-bookworm" in (ROOT / "envs/Dockerfile").read_text(), (
        "a Debian image keeps the copyright files"
    )
