"""Slurm and Grid Engine around a run: clusters without accounting, and where a scheduler says why it ended a job."""

import math
import subprocess
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError

LOGS = (".snakemake/slurm_logs", "logs/sge", "logs/kubernetes")  # what the profiles let schedulers write
ANSWER_SECONDS = 60  # as long as Snakemake itself waits for sacct
DONE = b"(100%) done"  # what Snakemake writes into the log of a job that ended well
NAMED = 3  # logs in one sentence
USUALLY_KEPT = 300  # seconds, where a cluster does not tell
CHECKS = 3  # a job that ended must be seen by squeue for so many times the pause before the first look


def watch_through_squeue(settings: Any) -> str:
    """Let Snakemake watch its jobs through squeue if sacct does not work: it would wait for finished ones for ever.

    `settings` are those of its Slurm executor, or others, which are left alone. Returns what to tell the user.
    Raises UserError if squeue forgets finished jobs before Snakemake looks.
    """
    asked = getattr(settings, "status_command", None)
    if asked not in ("sacct", "squeue"):
        return ""
    if asked == "sacct" and _answers("sacct", "--noheader", "-X", "--jobs", "1"):
        return ""
    settings.status_command = "squeue"
    needed, kept = CHECKS * settings.init_seconds_before_status_checks, _seconds_kept()
    if kept < needed:
        seconds = int(kept // CHECKS)
        add = f"Add --slurm-init-seconds-before-status-checks {seconds}" if seconds else "Ask for a longer MinJobAge"
        raise UserError(
            f"jobs are watched through squeue, which on this cluster forgets finished ones after {kept:g} s"
            f" (MinJobAge): those would be waited for for ever. {add}"
        )
    if asked == "squeue":
        return ""
    return "sacct does not work on this cluster (no accounting database?): jobs are watched through squeue"


def _answers(*command: str) -> bool:
    return _ask(*command).returncode == 0


def _seconds_kept() -> float:
    """Seconds for which Slurm knows of a job that has ended: for ever where its setting is 0."""
    for line in _ask("scontrol", "show", "config").stdout.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MinJobAge":
            return int(value.split()[0]) or math.inf
    return USUALLY_KEPT


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(command, 1, "", "")


def why_stopped(began: float, folder: Path) -> str:
    """Where to look for the reason of a failed run that began at that time (seconds since 1970), in one sentence."""
    logs = [log for place in LOGS for log in (folder / place).rglob("*.log") if log.stat().st_mtime >= began]
    logs = [log for log in logs if DONE not in log.read_bytes()]
    if not logs:
        return "a line that begins with 'sheetlens' says why"
    ended = sorted(logs, key=lambda log: log.stat().st_mtime, reverse=True)
    named = ", ".join(str(log.relative_to(folder)) for log in ended[:NAMED])
    return (
        "a line that begins with 'sheetlens' says why; if there is none, the scheduler ended the job, for its memory or"
        f" its time (the newest logs of jobs that did not end well: {named})"
    )
