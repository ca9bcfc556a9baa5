"""A run on a cluster that is still at work when something happens to it."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.conftest import ROOT

TIMEOUT = 300  # seconds until a run that hangs counts as failed


@contextlib.contextmanager
def started(environment, folder, *arguments, sheets: int) -> Iterator[subprocess.Popen]:
    """A run that draws so many sheets: enough to be at work."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder,
        "--workflow-profile", ROOT / "profiles/default", "results/mercury/listing.parquet", *arguments,
        "--config", f'datasets={{"mercury": {{"demo": {{"sheets": {sheets}}}}}}}',
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    run = subprocess.Popen([str(word) for word in command], env=environment | {"PYTHONUNBUFFERED": "1"}, **pipes)
    try:
        yield run
    finally:
        run.kill()


def running_job(run: subprocess.Popen, queued: Callable[[], str], line: str) -> str:
    """The number of the job that is running, once it is; `line` is how the queue tells it."""
    while run.poll() is None:
        if running := re.search(line, queued(), re.MULTILINE):
            return running[1]
        time.sleep(0.5)
    raise AssertionError(run.stdout.read())


def is_empty_soon(queued: Callable[[], str]) -> bool:
    """Whether the queue empties."""
    deadline = time.monotonic() + TIMEOUT
    while queued() and time.monotonic() < deadline:
        time.sleep(0.5)
    return not queued()
