"""Many files from several hosts that fail at random: complete, identical, never more than the limits."""

import hashlib

from sheetlens.config import HostLimit
from sheetlens.fetch.listing import Request
from tests.services.faults import RANDOM
from tests.services.fetching import bring
from tests.services.plain import picture
from tests.unit.fetch.test_transfer import busiest_second

FILES, HOSTS, RATE, CONNECTIONS = 2000, 4, 150, 3


def test_two_thousand_files_survive_faults_in_every_fifth_answer(services, tmp_path):
    kinds = [kind for kind in RANDOM if kind != "html"]  # a page again and again is an answer, and chance brings some
    services.faults(share=0.2, prefix="/images/", seed=7, kinds=kinds)
    requests = []
    for number in range(FILES):
        url = services.url(f"/images/{number}.jpg", 1 + number % HOSTS)
        digest = {"md5": hashlib.md5} if number % 2 else {"sha256": hashlib.sha256}
        known = {name: make(picture(f"{number}.jpg")).hexdigest() for name, make in digest.items()}
        requests.append(Request(f"{number % 7}/{number}.jpg", (url,), **known))
    limits = {f"127.0.0.{host}": HostLimit(rate=RATE, connections=CONNECTIONS) for host in range(1, HOSTS + 1)}
    rows = bring(services.settings(hosts=limits, attempts=15), tmp_path, requests)
    assert [row["reason"] for row in rows.values() if row["status"] != "ok"] == []
    for number in range(FILES):
        assert (tmp_path / f"originals/{number % 7}/{number}.jpg").read_bytes() == picture(f"{number}.jpg")
    counters = services.counters()
    asked = sum(len(host["arrivals"]) for host in counters["hosts"].values())
    assert asked > 1.1 * FILES, "there were hardly any faults"
    for host in counters["hosts"].values():
        assert host["most_active"] <= CONNECTIONS
        assert host["most_connections"] <= CONNECTIONS
        assert busiest_second(host["arrivals"]) <= RATE + 1
