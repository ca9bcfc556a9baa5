import asyncio
import logging

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from sheetlens.common import files
from sheetlens.common.files import sha256, write_json
from sheetlens.features import product
from sheetlens.review import likeness
from sheetlens.review.access import MARK
from sheetlens.review.decisions import NAME, Journal
from sheetlens.review.likeness import open_likeness
from sheetlens.review.queue import open_run
from sheetlens.review.server import make_app
from tests.unit.finished_study import MadeUp, make_study


@pytest.fixture
def study(tmp_path):
    """The folder of a finished study whose manifest says how its labels were chosen, as one of `sheetlens label`."""
    make_study(tmp_path, MadeUp(seeds=(1,)))
    folder = tmp_path / "results/mercury"
    manifest = files.read_table(folder / "manifest.parquet")
    files.write_table(folder / "manifest.parquet", manifest.assign(chosen="random"))
    return folder


def write_features(study, values, name="features", index_sha256=""):
    (study / "features").mkdir(exist_ok=True)
    np.save(study / f"features/{name}.npy", values.astype(product.TYPE))
    digest = index_sha256 or sha256(study / "images/index.parquet")
    write_json(study / f"features/{name}.json", {"index_sha256": digest})


def features_of(study, size=16):
    index = files.read_table(study / "images/index.parquet")
    values = np.random.default_rng(3).normal(5, [0.01, *np.linspace(1, 30, size - 2), 0], (len(index), size))
    return index, values


def test_the_nearest_are_those_of_cosine_similarity_on_standardised_features(study, monkeypatch):
    monkeypatch.setattr(likeness, "CHUNK", 7)  # so that there are several
    _, values = features_of(study)
    write_features(study, values)
    queue = open_run(study)
    rows = queue.sheets["row"].to_numpy()
    some = (values - values.mean(axis=0))[:, :-1] / values.std(axis=0)[:-1]
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    for place in (0, 11):
        similarity = some[rows] @ some[rows[place]]
        similarity[place] = -2
        assert open_likeness(queue).nearest(place, 9) == np.argsort(-similarity)[:9].tolist()


def test_of_several_backbones_the_built_in_one_is_asked(study):
    _, values = features_of(study)
    write_features(study, values[:, ::-1] * 0, name="another")
    write_features(study, values)
    assert open_likeness(open_run(study))._features.std() > 0


def test_features_that_are_none_of_these_sheets_are_left_alone_and_said(study, caplog):
    assert open_likeness(open_run(study)) is None and not caplog.messages
    _, values = features_of(study)
    write_features(study, values, index_sha256="0" * 64)
    with caplog.at_level(logging.WARNING):
        assert open_likeness(open_run(study)) is None
    assert "cannot show which sheets are alike (they are of other sheets)" in caplog.text


@pytest.mark.parametrize("there", [True, False])
def test_the_page_is_told_whether_it_can_ask(study, there):
    _, values = features_of(study)
    if there:
        write_features(study, values)
    queue = open_run(study)
    key = queue.sheets["key"][0]

    async def walk():
        journal = Journal(study / NAME)
        async with TestClient(TestServer(make_app(queue, journal, "", likeness=open_likeness(queue)))) as client:
            assert (await (await client.get("/queue.json")).json())["likeness"] is there
            answer = await client.get(f"/alike/{key}.json")
            assert answer.status == (200 if there else 404)
            if there:
                keys = (await answer.json())["keys"]
                assert (
                    len(keys) == likeness.MOST and key not in keys and all(queue.find(one) is not None for one in keys)
                )
            entry = {
                "id": "1", "key": key, "reviewer": "Ada", "decision": "unsure", "label": "", "undoes": "",
                "time": "2026-11-29T10:00:00Z", "blind": True,
            }  # fmt: skip
            posted = await client.post(
                "/decisions", json=[entry, entry | {"id": "2", "blind": "yes"}], headers={MARK: "1"}
            )
            assert posted.status == 200, await posted.text()
        chosen = [entry["chosen"] for entry in journal.entries]
        journal.close()
        return chosen

    first, second = asyncio.run(walk())
    assert first["blind"] is True and second["blind"] is False and first["how"] in ("doubted", "picked")
