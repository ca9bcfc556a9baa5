"""What can go wrong while fetching: now and perhaps not later, or for good."""

from collections.abc import Iterable

from sheetlens.common.refusals import Reason, RefusedFileError


class LaterError(RefusedFileError):
    """An answer that may be a better one later: the message is the reason, `seconds` when to come back.

    `of_host` tells a fault of the host, for which all its files wait, from one of a single address; `status` is
    that of HTTP, where there is one.
    """

    def __init__(self, reason: str, seconds: float | None = None, of_host: bool = True, status: int = 0) -> None:
        """Take the reason and the pause that the server asked for."""
        super().__init__(reason)
        self.seconds, self.of_host, self.status = seconds, of_host, status


class RefusedError(RefusedFileError):
    """A file that is not to be had or not to be kept: the message is the reason.

    `stop` marks an answer by which a server may mean all of us, such as 403; `status` is that of HTTP, where
    there is one.
    """

    def __init__(self, reason: str, stop: bool = False, status: int = 0) -> None:
        """Take the reason."""
        super().__init__(reason)
        self.stop, self.status = stop, status


def joined(errors: Iterable[RefusedFileError]) -> Reason:
    """One reason for what several addresses of a file answered."""
    reasons = list(dict.fromkeys(error.reason for error in errors))
    codes = {getattr(reason, "code", "other") for reason in reasons}
    return Reason.of(
        {"reason": "; ".join(reasons), "reason_code": codes.pop() if len(codes) == 1 else "no_address_gave_it"}
    )
