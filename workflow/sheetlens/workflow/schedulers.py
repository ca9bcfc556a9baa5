"""Slurm and Grid Engine around a run: clusters without accounting, and where a scheduler says why it ended a job."""

import subprocess
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError

LOGS = (".snakemake/slurm_logs", "logs/sge", "logs/kubernetes")  # what the profiles let schedulers write
ANSWER_SECONDS = 60  # as long as Snakemake itself waits for sacct
CHECKS = 3  # a job that ended must be seen by squeue for so many times the pause before the first look


def watch_through_squeue(settings: Any) -> str:
    """Let Snakemake watch its jobs through squeue if sacct does not work: it would wait for finished ones for ever.

    `settings` are those of its Slurm executor, or others, which are left alone. Returns what to tell the user.
    Raises UserError if squeue forgets finished jobs before Snakemake looks.
    """
    if getattr(settings, "status_command", None) != "sacct" or _answers("sacct", "--noheader", "-X", "--jobs", "1"):
        return ""
    settings.status_command = "squeue"
    needed, kept = CHECKS * settings.init_seconds_before_status_checks, _seconds_kept()
    if kept < needed:
        raise UserError(
            f"sacct does not work on this cluster, and squeue forgets finished jobs after {kept} s (MinJobAge): those"
            f" would be waited for for ever. Add --slurm-init-seconds-before-status-checks {max(1, kept // CHECKS)}"
        )
    return "sacct does not work on this cluster (no accounting database?): jobs are watched through squeue"


def _answers(*command: str) -> bool:
    return _ask(*command).returncode == 0


def _seconds_kept() -> int:
    """Seconds for which Slurm knows of a job that has ended."""
    for line in _ask("scontrol", "show", "config").stdout.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MinJobAge":
            return int(value.split()[0])
    return 0


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(command, 1, "", "")


def why_stopped(began: float, folder: Path) -> str:
    """Where to look for the reason of a failed run that began at that time (seconds since 1970), in one sentence."""
    logs = [log for place in LOGS for log in (folder / place).rglob("*.log") if log.stat().st_mtime >= began]
    if not logs:
        return "a line that begins with 'sheetlens' says why"
    newest = max(logs, key=lambda log: log.stat().st_mtime)
    return (
        "a line that begins with 'sheetlens' says why; if there is none, the scheduler ended the job, for its memory or"
        f" its time, and says so in its log ({newest.relative_to(folder)})"
    )
