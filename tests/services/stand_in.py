"""Start the stand-ins in a process of their own, and talk to them from a test."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from sheetlens.config import Fetch, HostLimit

ROOT = Path(__file__).parents[2]


class StandIn:
    """The running server; `with StandIn() as services:`."""

    def __enter__(self) -> "StandIn":
        command = [sys.executable, "-m", "tests.services"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def url(self, path: str, host: int = 1) -> str:
        """The address of a path at one of the plain hosts 127.0.0.1 to 127.0.0.4."""
        return f"http://127.0.0.{host}:{self.port}{path}"

    def settings(self, *services: str, **changes) -> Fetch:
        """A quick and impatient section `fetch` that asks the stand-ins in place of the services."""
        hosts = [f"127.0.0.{number}" for number in range(1, 5)] + list(services)
        values = {
            "contact": "tests@example.org",
            "mirrors": {service: self.url(f"/{service}") for service in services},
            "allow": ["127.0.0.0/8"],
            "hosts": {host: HostLimit(rate=1000, connections=4) for host in hosts},
            "pause": 0.01,
            "patience": 5,
        }
        return Fetch.model_validate(values | changes)

    def faults(self, **orders) -> None:
        """`next={path: [kind, ...]}`, `always={path: kind}`, or `share=0.2, prefix="/", seed=1, kinds=[...]`."""
        self._post("/control/faults", orders)

    def store(self, **values) -> None:
        """Tell the services what to hold."""
        self._post("/control/store", values)

    def reset(self) -> None:
        """Forget faults, counts and what tests stored."""
        self._post("/control/reset", {})

    def counters(self) -> dict:
        """What the server saw (see counters.py)."""
        with urllib.request.urlopen(self.url("/control/counters")) as response:
            return json.load(response)

    def _post(self, path: str, values: dict) -> None:
        body = json.dumps(values).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(self.url(path), body, headers)).read()
