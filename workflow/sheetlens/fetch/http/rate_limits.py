"""How often and how many at a time a server is asked, and how long we wait when it wants a pause (429, Retry-After)."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from yarl import URL

from sheetlens.common.errors import UserError
from sheetlens.config import Fetch


@dataclass(frozen=True)
class Limit:
    """Requests in a second, connections at a time, and whether the service wants to know whom to write to."""

    rate: float
    connections: int
    contact: bool = False


# What the services ask for or, where they say nothing, what does not trouble them; the longest fit counts.
LIMITS = {
    "": Limit(2, 2),  # publishers' servers
    "api.figshare.com": Limit(1, 1),
    "ndownloader.figshare.com": Limit(1, 1),
    "figshare.com": Limit(1, 1),
    "api.gbif.org": Limit(1, 1, contact=True),
    "api.gbif.org/v1/image/cache": Limit(2, 1, contact=True),
    "search.idigbio.org": Limit(1, 1),
    "api.si.edu": Limit(1000 / 3600, 1, contact=True),  # a registered key
    "ids.si.edu": Limit(2, 2, contact=True),
}


class Turnstile:
    """Lets requests to one service through: spaced in time, few at once, none while it asks for a pause."""

    def __init__(self, limit: Limit) -> None:
        """Take the limit."""
        self._interval = 1 / limit.rate
        self._seats = asyncio.Semaphore(limit.connections)
        self._gate = asyncio.Lock()
        self._next = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold a connection's seat for the length of the block."""
        async with self._seats:
            async with self._gate:  # the next in line looks at the clock only when it may go
                while (wait := self._next - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                self._next = time.monotonic() + self._interval
            yield

    def pause(self, seconds: float) -> None:
        """Let nobody through for a while."""
        self._next = max(self._next, time.monotonic() + seconds)


class Politeness:
    """The turnstiles of all services; who has limits of the config has those."""

    def __init__(self, settings: Fetch, limits: Mapping[str, Limit] | None = None) -> None:
        """Take the config and further limits that a source knows of (host or host/path -> Limit)."""
        self._contact = settings.contact
        self._limits = LIMITS | dict(limits or {})
        for host, own in settings.hosts.items():
            known = self._limits[self._service(URL(f"https://{host}"))]
            self._limits[host] = Limit(own.rate, own.connections, known.contact)
        self._turnstiles: dict[str, Turnstile] = {}

    def at(self, url: URL) -> Turnstile:
        """The turnstile for an address.

        Raises UserError when the service wants a contact and the config names none.
        """
        service = self._service(url)
        limit = self._limits[service]
        if limit.contact and not self._contact:
            raise UserError(
                f"{url.host} wants to know whom to write to: set `fetch.contact` in the config to your e-mail"
                ' or web address (--config \'fetch={"contact": "..."}\')'
            )
        return self._turnstiles.setdefault(service or url.host or "", Turnstile(limit))

    def limit(self, host: str) -> Limit:
        """The limit of a host."""
        return self._limits[self._service(URL.build(scheme="https", host=host))]

    def _service(self, url: URL) -> str:
        full = f"{url.host}{url.path}"
        return max((name for name in self._limits if full == name or full.startswith(name + "/") or not name), key=len)


def retry_after(text: str, now: Callable[[], float] = time.time) -> float | None:
    """Seconds of a Retry-After header, given as a number or as an HTTP date; None where there is none."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, OverflowError, TypeError, LookupError):  # such as a year of eleven digits
        return None
