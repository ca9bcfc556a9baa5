"""SIGTERM to Snakemake, without the hang that it may end in."""

import threading
from typing import Any

from snakemake.scheduling.job_scheduler import JobScheduler  # type: ignore[import-untyped]

_stop = JobScheduler.exit_gracefully


def stop_in_a_thread(scheduler: JobScheduler, *_: Any) -> None:
    """Stop the scheduler from another thread.

    Snakemake 9.27 stops in the handler of the signal, which takes a lock that the interrupted code may hold: both then
    wait for each other, for ever.
    """
    threading.Thread(target=_stop, args=(scheduler,), daemon=True).start()


def install() -> None:
    """Let every scheduler of this process stop so."""
    JobScheduler.exit_gracefully = stop_in_a_thread
