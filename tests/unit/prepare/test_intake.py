import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sheetlens.common import files
from sheetlens.config import Images, UrlsSource
from sheetlens.fetch import remote
from sheetlens.prepare.assemble import assemble
from sheetlens.prepare.intake import Intake
from sheetlens.prepare.shards import finished_shards
from tests.unit.prepare.test_image_set import digests, packed, paths, plain, some  # noqa: F401 - fixtures


def records(listing):
    return [row for row in files.read_rows(listing) if row["status"] == "ok"]


def take(intake, record):
    with open(record["path"], "rb") as file:
        return intake.take(record | {"sha256": ""}, file.read())


def assembled(listing, folder):
    assemble(listing, finished_shards(folder / "stream"), "squash", *paths(folder))
    return paths(folder)


@pytest.mark.parametrize("order", [1, 2])
def test_any_order_and_any_thread_gives_the_bytes_of_originals_on_disk(some, plain, tmp_path, monkeypatch, order):  # noqa: F811
    monkeypatch.setattr("sheetlens.prepare.intake.ROW_GROUP", 9)  # several shards
    rows = records(some)
    random.Random(order).shuffle(rows)
    with Intake(tmp_path / "stream", Images(), 2) as intake, ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda record: take(intake, record), rows))
        intake.finish()
    assert len(finished_shards(tmp_path / "stream")) == len(rows) // 9 + 1
    assert digests(assembled(some, tmp_path)) == digests(plain)


def test_a_run_that_stopped_goes_on(some, plain, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("sheetlens.prepare.intake.ROW_GROUP", 9)
    rows = records(some)
    with Intake(tmp_path / "stream", Images(), 1) as intake:
        for record in rows[:15]:
            take(intake, record)
    with Intake(tmp_path / "stream", Images(), 1) as intake:
        left = list(intake.lacking(rows))
        assert [row["image_id"] for row in left] == [row["image_id"] for row in rows[15:]]
        for record in left + rows[3:5]:  # two arrive again, as after a kill between shard and journal
            take(intake, record)
        intake.finish()
    assert digests(assembled(some, tmp_path)) == digests(plain)


def fetched(services, folder, intake=None):
    """Fetch eight pictures of two classes, and return the listing's path."""
    rows = ["url,label,image_id"]
    rows += [f"{services.url(f'/images/{n}.jpg')},{'ab'[n % 2]},{'ab'[n % 2]}/{n}.jpg" for n in range(8)]
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_text("\n".join(rows))
    source = UrlsSource(table=str(folder / "table.csv"))
    places = folder / "originals", folder / "listing.parquet"
    remote.fetch("urls", source, services.settings(), *places, intake=intake)
    return folder / "listing.parquet"


def test_fetched_and_dropped_is_the_same_as_fetched_and_kept(services, tmp_path):
    kept = packed(fetched(services, tmp_path / "kept"), tmp_path / "kept")
    with Intake(tmp_path / "dropped/stream", Images(), 2) as intake:
        listing = fetched(services, tmp_path / "dropped", intake)
    dropped = assembled(listing, tmp_path / "dropped")
    assert digests(dropped)[:2] == digests(kept)[:2]
    assert len(files.read_table(dropped[1])) == 8
    assert not list((tmp_path / "dropped/originals").rglob("*.jpg"))
    assert set(files.read_table(dropped[2])["path"]) == {""}
    assert files.read_table(dropped[2])["sha256"].tolist() == files.read_table(kept[2])["sha256"].tolist()


def test_dropped_files_are_asked_for_again_only_when_they_must_be(services, tmp_path):
    for fit, expected in (("squash", 8), ("squash", 0), ("letterbox", 8)):
        taken = []
        with Intake(tmp_path / "stream", Images(fit=fit), 1) as intake:
            monitor, intake.take = intake.take, lambda record, data: taken.append(record) or monitor(record, data)  # noqa: B023
            fetched(services, tmp_path, intake)
        assert len(taken) == expected, fit


def test_another_fit_begins_anew(some, tmp_path):  # noqa: F811
    rows = records(some)[:3]
    with Intake(tmp_path / "stream", Images(), 1) as intake:
        for record in rows:
            take(intake, record)
        intake.finish()
    with Intake(tmp_path / "stream", Images(fit="letterbox"), 1) as intake:
        assert len(list(intake.lacking(rows))) == 3


def test_facts_say_what_became_of_the_bytes(tmp_path):
    before = threading.active_count()
    with Intake(tmp_path, Images(), 1) as intake:
        facts = intake.take({"image_id": "x.jpg", "path": "x.jpg", "sha256": ""}, b"<html>Request Rejected</html>")
    assert facts["status"] == "refused"
    assert len(facts["sha256"]) == 64
    assert threading.active_count() == before
