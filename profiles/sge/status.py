#!/usr/bin/env python3
"""Say of a job of Grid Engine whether it is running (or waits), has succeeded or has failed."""

import subprocess
import sys
import time
from pathlib import Path

GONE = Path(".snakemake/sge")  # jobs that left the queue and have no accounting record yet
PATIENCE = 300  # seconds until a job without a record counts as failed; the record is written within 15


def ask(*command: str) -> subprocess.CompletedProcess:
    """Run a command of Grid Engine."""
    return subprocess.run(command, capture_output=True, text=True)  # noqa: S603


def status(job: str) -> str:
    """Ask the queue, then the accounting."""
    queue = ask("qstat", "-j", job)
    if queue.returncode == 0:
        # The job could not even be started, and waits for its owner.
        if any(line.startswith("error reason") for line in queue.stdout.splitlines()):
            ask("qdel", job)
            sys.stderr.write(f"Grid Engine could not start job {job}:\n{queue.stdout}")
            return "failed"
        return "running"
    if "do not exist" not in queue.stdout + queue.stderr:
        return "running"  # no answer from the master: ask again later
    record = ask("qacct", "-j", job)
    if record.returncode == 0:
        (GONE / job).unlink(missing_ok=True)
        facts = dict(line.split(maxsplit=1) for line in record.stdout.splitlines() if len(line.split()) > 1)
        return "success" if facts["failed"].split()[0] == facts["exit_status"].split()[0] == "0" else "failed"
    return _without_record(job)


def _without_record(job: str) -> str:
    GONE.mkdir(parents=True, exist_ok=True)
    if not (GONE / job).exists():
        (GONE / job).touch()
    if time.time() - (GONE / job).stat().st_mtime < PATIENCE:
        return "running"
    sys.stderr.write(f"qacct knows nothing of job {job}, which left the queue: does the accounting work here?\n")
    (GONE / job).unlink()
    return "failed"


if __name__ == "__main__":
    print(status(sys.argv[1]))
