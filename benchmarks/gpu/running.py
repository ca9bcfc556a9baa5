"""Run commands that may hang or crash, each with a time limit, and keep every line that they printed before."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Any

GRACE = 5  # seconds from the request to end to the kill
TOLD = 12  # last lines of standard error that are kept of a command that failed

Facts = dict[str, Any]


def run_limited(command: Sequence[str], limit: float, take: Callable[[Facts], None]) -> str | None:
    """Run a command and give each JSON line that it prints to `take` at once; why it failed, None if it did not.

    Standard error is passed on. After `limit` seconds the command and all it started in its session are ended.
    """
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    errors: deque[str] = deque(maxlen=TOLD)
    readers = [
        threading.Thread(target=_take_lines, args=(process.stdout, take), daemon=True),
        threading.Thread(target=_pass_on, args=(process.stderr, errors), daemon=True),
    ]
    for reader in readers:
        reader.start()
    why = None
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        why = f"ran into its limit of {limit:.0f} s"
    finally:
        _end(process)
    deadline = time.monotonic() + GRACE
    for reader in readers:  # what left the session may still hold a pipe
        reader.join(max(0, deadline - time.monotonic()))
    if why is None and process.returncode:
        why = f"ended with {process.returncode}: {' | '.join(errors) or 'nothing on standard error'}"
    return why


def _take_lines(pipe: IO[str], take: Callable[[Facts], None]) -> None:
    for line in pipe:
        if line.endswith("\n"):  # else it was killed while it wrote
            take(json.loads(line))


def _pass_on(pipe: IO[str], errors: deque[str]) -> None:
    for line in pipe:
        sys.stderr.write(line)
        if line.strip():
            errors.append(line.strip())


def _end(process: subprocess.Popen[str]) -> None:
    """End a session: first by a request, which torchrun passes on to its processes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
