"""How far a long job is: a bar on a terminal, sparse lines in a log."""

import logging
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

SECONDS = 10  # between two lines in a log
log = logging.getLogger(__name__)


def reporter(what: str) -> Callable[[int, int], None]:
    """Return a function to call with (done, total) as often as one likes."""
    return _bar(what) if sys.stderr.isatty() else _lines(what)


def _bar(what: str) -> Callable[[int, int], None]:
    bar = tqdm(desc=what, unit="")

    def report(done: int, total: int) -> None:
        if bar.total is None:
            bar.initial = done  # what an earlier run did is no part of the rate
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return report


def _lines(what: str) -> Callable[[int, int], None]:
    start = told = time.monotonic()
    before: int | None = None  # done by an earlier run: not by the rate of this one

    def report(done: int, total: int) -> None:
        nonlocal told, before
        now = time.monotonic()
        before = done if before is None else before
        if done == total:
            log.info("%s: %d done", what, total)
        elif now - told >= SECONDS:
            told = now
            rate = max(done - before, 1) / (now - start)
            log.info("%s: %d of %d, %.0f a second, %.0f s left", what, done, total, rate, (total - done) / rate)

    return report
