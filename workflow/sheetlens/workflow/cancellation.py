"""Ctrl-C to Snakemake takes every job on a cluster along, whatever Snakemake is doing just then.

Snakemake 9.27 (its interface for executors 9.4, cluster-generic 1.0) forgets a job while it asks for the job's state or
is still submitting it, and gives the command that deletes jobs two seconds. A job that is left behind goes on, and
writes into a run that follows.
"""

import functools
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from snakemake_executor_plugin_cluster_generic import Executor as ClusterGeneric  # type: ignore[import-untyped]
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor  # type: ignore[import-untyped]

PATIENCE = 60  # seconds for a scheduler to delete jobs


def install() -> None:
    """Let the executors of this process do so."""
    if RemoteExecutor.cancel is not _cancel:
        RemoteExecutor.report_job_submission = _submitted(RemoteExecutor.report_job_submission)
        RemoteExecutor.report_job_success = _ended(RemoteExecutor.report_job_success)
        RemoteExecutor.report_job_error = _ended(RemoteExecutor.report_job_error)
        RemoteExecutor.cancel = _cancel
        ClusterGeneric.run_job = _uninterrupted(ClusterGeneric.run_job)
        ClusterGeneric.cancel_jobs = _delete_jobs


def _unfinished(executor: Any) -> dict[int, Any]:
    """The jobs that were submitted and of which nobody has said yet that they ended."""
    jobs: dict[int, Any] = executor.__dict__.setdefault("sheetlens_unfinished", {})
    return jobs


def _submitted(report: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(report)
    def noted(executor: Any, job: Any, *words: Any, **more: Any) -> None:
        _unfinished(executor)[id(job)] = job
        report(executor, job, *words, **more)

    return noted


def _ended(report: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(report)
    def noted(executor: Any, job: Any, *words: Any, **more: Any) -> None:
        _unfinished(executor).pop(id(job), None)
        report(executor, job, *words, **more)

    return noted


def _cancel(executor: Any) -> None:
    executor.cancel_jobs(list(_unfinished(executor).values()))
    executor.shutdown()


def _uninterrupted(run_job: Callable[..., None]) -> Callable[..., None]:
    """Let an interrupt wait until the job that is being submitted has its number."""

    @functools.wraps(run_job)
    def submitted(executor: Any, job: Any) -> None:
        interrupts: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
        try:
            run_job(executor, job)
        finally:
            signal.signal(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt

    return submitted


def _delete_jobs(executor: Any, jobs: list[Any]) -> None:
    command, names = executor.workflow.executor_settings.cancel_cmd, [job.external_jobid for job in jobs]
    if command and names:
        try:
            subprocess.run([command, *names], check=True, timeout=PATIENCE)  # noqa: S603
        except (OSError, subprocess.SubprocessError) as error:
            executor.logger.error(f"these jobs may go on, delete them by hand: {' '.join(names)} ({error})")
