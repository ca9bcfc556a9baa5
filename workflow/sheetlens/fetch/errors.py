"""What can go wrong while fetching: now and perhaps not later, or for good."""

from sheetlens.common.errors import UserError


class LaterError(UserError):
    """An answer that may be a better one later: the message is the reason, `seconds` when to come back."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        """Take the reason and the pause that the server asked for."""
        super().__init__(reason)
        self.seconds = seconds


class RefusedError(UserError):
    """A file that is not to be had or not to be kept: the message is the reason.

    `stop` marks an answer by which a server may mean all of us, such as 403.
    """

    def __init__(self, reason: str, stop: bool = False) -> None:
        """Take the reason."""
        super().__init__(reason)
        self.stop = stop
