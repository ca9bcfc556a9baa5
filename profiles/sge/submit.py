#!/usr/bin/env python3
"""Send a job script of Snakemake to Grid Engine and print the job's number."""

import json
import math
import shlex
import signal
import subprocess
import sys
from pathlib import Path

HEAD = "# properties = "
OUTPUT = Path("logs/sge")


def options(job: dict) -> list[str]:
    """Options of qsub for a job, from its rule, threads and resources."""
    resources, slots = job["resources"], job["threads"]
    name = job.get("rule") or job["groupid"]
    requests = [f"h_rt={60 * resources['runtime']}"]
    if memory := resources.get("sge_memory"):
        requests.append(f"{memory}={resources['mem_mb']}M")
    if memory := resources.get("sge_memory_per_slot"):
        requests.append(f"{memory}={math.ceil(resources['mem_mb'] / slots)}M")
    if gpus := resources.get("gpu"):
        requests.append(f"{resources['sge_gpu']}={gpus}")
    words = ["-terse", "-V", "-cwd", "-S", "/bin/sh", "-N", name, "-j", "y", "-o", f"{OUTPUT}/{name}-$JOB_ID.log"]
    if slots > 1:
        words += ["-pe", resources["sge_environment"], str(slots)]
    return [*words, "-l", ",".join(requests), *shlex.split(resources.get("sge_options", ""))]


def main(script: str) -> None:
    """Call qsub; its own words on standard error are the reason where it refuses."""
    lines = Path(script).read_text(encoding="utf-8").splitlines()
    job = json.loads(next(line for line in lines if line.startswith(HEAD)).removeprefix(HEAD))
    OUTPUT.mkdir(parents=True, exist_ok=True)
    sys.exit(subprocess.call(["qsub", *options(job), script]))  # noqa: S603, S607


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever sends a job must learn its name, to delete it
    main(sys.argv[1])
