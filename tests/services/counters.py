"""What the stand-ins saw: how often, how many at a time, how much of each file."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Host:
    arrivals: list[float] = field(default_factory=list)  # seconds
    active: int = 0
    most_active: int = 0
    most_connections: int = 0
    connections: set = field(default_factory=set)
    agents: Counter = field(default_factory=Counter)


class Counters:
    def __init__(self) -> None:
        self.hosts: dict[str, Host] = defaultdict(Host)
        self.requests: Counter = Counter()
        self.completed: Counter = Counter()  # whole bodies, sent from the first byte to the last
        self.ranges: list[tuple[str, int, str]] = []  # path, first byte, the version it must be of

    def arrive(self, host: str, request: web.Request) -> None:
        seen = self.hosts[host]
        seen.arrivals.append(time.monotonic())
        seen.active += 1
        seen.most_active = max(seen.most_active, seen.active)
        seen.connections = {one for one in seen.connections if not one.is_closing()} | {request.transport}
        seen.most_connections = max(seen.most_connections, len(seen.connections))
        seen.agents[request.headers.get("User-Agent", "")] += 1
        self.requests[request.path] += 1
        if "Range" in request.headers:
            start = int(request.headers["Range"].removeprefix("bytes=").split("-")[0])
            self.ranges.append((request.path, start, request.headers.get("If-Range", "")))

    def leave(self, host: str) -> None:
        self.hosts[host].active -= 1

    def as_json(self) -> dict:
        return {
            "hosts": {
                name: {
                    "arrivals": host.arrivals,
                    "most_active": host.most_active,
                    "most_connections": host.most_connections,
                    "agents": dict(host.agents),
                }
                for name, host in self.hosts.items()
            },
            "requests": dict(self.requests),
            "completed": dict(self.completed),
            "ranges": self.ranges,
        }
