"""Whether a file is what it was fetched for."""

from pathlib import Path

from sheetlens.common.refusals import COSTLY, RefusedFileError
from sheetlens.config import LIMITS, Limits
from sheetlens.fetch.errors import RefusedError
from sheetlens.prepare.decoding.decode import RefusedImageError
from sheetlens.prepare.decoding.decoder_processes import shared_readers


class BrokenImageError(RefusedFileError):
    """A file that is no whole image; perhaps it is one the next time."""


def check_image(path: Path, limits: Limits = LIMITS) -> None:
    """Decode an image once, in a process with limits, at the lowest resolution that reads every byte of it.

    Raises BrokenImageError, or RefusedError for one that takes more than the limits allow.
    """
    try:
        shared_readers(limits).check(path)
    except RefusedImageError as error:
        if getattr(error.reason, "code", "") in COSTLY:
            raise RefusedError(error.reason) from None
        raise BrokenImageError(error.reason) from None
