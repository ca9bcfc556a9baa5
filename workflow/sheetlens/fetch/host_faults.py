"""Which hosts fail: all their files wait for them, longer each time, and a host that does not mend is left alone."""

import logging
import math

from yarl import URL

from sheetlens.common.refusals import Reason
from sheetlens.fetch.errors import LaterError, RefusedError
from sheetlens.fetch.http.session import LONGEST_PAUSE, Session

PATIENT = 3  # faults of a host in a row, after which all wait, longer each time
GIVE_UP = 12  # faults in a row after which a host is left alone for this run: half an hour by default
log = logging.getLogger(__name__)


class HostFaults:
    """The faults in a row of each host, and why some are left alone for this run."""

    def __init__(self, session: Session) -> None:
        """Take the session, whose requests are to wait."""
        self._session = session
        self._faults: dict[str, int] = {}
        self._left: dict[str, Reason] = {}

    def left_alone(self, host: str) -> Reason | None:
        """Why a host is not asked any more in this run; None if it is."""
        return self._left.get(host)

    def check(self, host: str) -> None:
        """Raise LaterError for a host that is left alone: it may be back in another run."""
        if reason := self.left_alone(host):
            raise LaterError(reason, math.inf)

    def worked(self, host: str) -> None:
        """A host gave a file."""
        self._faults[host] = 0

    def failed(self, url: str, host: str, error: LaterError | RefusedError) -> None:
        """Count a fault of a host; make all wait for it, or leave it alone."""
        faults = self._faults[host] = self._faults.get(host, 0) + 1
        if isinstance(error, LaterError) and (error.seconds or 0) > LONGEST_PAUSE:
            self._leave(host, Reason.of({"reason": _pause_wanted(host), "reason_code": "host_down"}), error)
        elif faults >= GIVE_UP:
            self._leave(host, Reason("host_down", host=host, times=faults), error)
        elif faults >= PATIENT:
            self._session.politeness.at(URL(url)).pause(self._session.settings.pause * 2 ** (faults - PATIENT))

    def _leave(self, host: str, reason: Reason, error: LaterError | RefusedError) -> None:
        if host not in self._left:
            self._left[host] = reason
            log.info("%s is left alone for this run: %s", host, error)


def _pause_wanted(host: str) -> str:
    return f"{host} asked to be left alone for more than {LONGEST_PAUSE / 60:.0f} minutes: run again later"
