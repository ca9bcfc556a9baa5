"""A fetch that is killed at random moments loses nothing and fetches nothing twice."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from sheetlens.common.files import read_table, sha256
from sheetlens.config import HostLimit, UrlsSource
from tests.services.plain import picture

KILLS, FILES, HOSTS, CONNECTIONS = 50, 2000, 4, 2
RATE = 12  # of each host: slow enough that 50 kills find work to interrupt


def noted(folder):
    """The addresses of the files that the journal knows to be here."""
    try:
        base = sqlite3.connect(f"file:{folder / 'fetch/journal.sqlite'}?mode=ro", uri=True)
        return {url for (url,) in base.execute("SELECT source_url FROM files WHERE state = 'ok'")}
    except sqlite3.OperationalError:
        return set()  # killed before there was one


@pytest.mark.open
def test_fifty_kills_lose_nothing_and_fetch_nothing_twice(services, tmp_path):
    hosts = [f"127.0.0.{host}" for host in range(1, HOSTS + 1)]
    lines = ["url,label"]
    lines += [f"{services.url(f'/images/{number}.jpg', 1 + number % HOSTS)},fern" for number in range(FILES)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    services.faults(share=0.1, prefix="/images/", seed=3, kinds=["503", "reset", "drop", "short", "drip"])
    limits = {host: HostLimit(rate=RATE, connections=CONNECTIONS) for host in hosts}
    settings = services.settings(hosts=limits, attempts=20, patience=2)
    command = [
        sys.executable, "-m", "sheetlens", "fetch", "urls",
        "--settings", UrlsSource(table=str(tmp_path / "table.csv")).model_dump_json(),
        "--originals", str(tmp_path / "originals"), "--listing", str(tmp_path / "listing.parquet"),
    ]  # fmt: skip
    environment = os.environ | {"SHEETLENS_FETCH": settings.model_dump_json()}
    moments, before = random.Random(11), {}
    for kill in range(KILLS):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        seen = sum(services.counters()["requests"].values())
        until = time.monotonic() + (moments.uniform(0, 2) if kill % 5 == 0 else 60)  # every fifth kill while starting
        while sum(services.counters()["requests"].values()) == seen and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.8))
        assert process.poll() is None, f"it was done before kill {kill}"
        process.send_signal(signal.SIGKILL)
        process.wait()
        asked = services.counters()["requests"]
        assert {path: asked[path] for path in before} == before, "a file that was noted was asked for again"
        before = {path: asked[path] for url in noted(tmp_path) if (path := url.split(str(services.port))[1])}
    assert len(before) > 100, "the kills found nothing to interrupt"
    quick = settings.model_copy(update={"hosts": {host: HostLimit(rate=500, connections=4) for host in hosts}})
    environment["SHEETLENS_FETCH"] = quick.model_dump_json()
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    asked, completed = (services.counters()[what] for what in ("requests", "completed"))
    assert {path: asked[path] for path in before} == before
    table = read_table(tmp_path / "listing.parquet")
    assert table["status"].tolist() == ["ok"] * FILES
    for row in table.to_dict("records"):
        name = row["source_url"].rsplit("/", 1)[1]
        with open(row["path"], "rb") as file:
            assert file.read() == picture(name)
        assert row["sha256"] == sha256(row["path"] and tmp_path / "originals" / row["image_id"])
    # Sent whole, but killed before the last bytes were read: at most what was on its way at each kill.
    twice = sum(times - 1 for times in completed.values())
    assert twice <= KILLS * HOSTS * CONNECTIONS
    print(json.dumps({"kills": KILLS, "noted at the last kill": len(before), "bodies sent twice": twice}))
