"""Killed in every rule, the same command ends in the same bytes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, digests, tiny_demo

MESSAGES = [
    "Drawing the sheets",
    "Bringing the sheets",
    "Packing the sheets",
    "Splitting the sheets",
    "Training table1",
    "Training table2",
    "Reading the sheets",
    "Evaluating table1",
    "Writing the results table",
    "Training the baselines",
    "Auditing",
    "Comparing the network",
    "Explaining test sheets",
    "Setting mercury beside the paper",
    "Documenting",
    "Describing the run",
    "Drawing the evidence",
    "Drawing the paper's figures",
    "Writing the report",
]


def run(folder) -> subprocess.Popen:
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder,
        "--workflow-profile", ROOT / "profiles/default", *tiny_demo(folder),
    ]  # fmt: skip
    words = [str(word) for word in command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(signal.SIGKILL, marks=pytest.mark.open),
        pytest.param(signal.SIGTERM, marks=pytest.mark.open),  # benchmarks/faults.py does both, at random moments
    ],
    ids=["SIGKILL", "SIGTERM"],
)
def test_killed_in_every_rule(finished, tmp_path, kill):
    """Only Snakemake is killed: its jobs must see that and end, and leave no half product."""
    left, kills = list(MESSAGES), 0
    for _ in range(len(MESSAGES) + 1):
        process = run(tmp_path)
        lines = []
        for line in process.stdout:
            lines.append(line)
            hit = next((message for message in left if message in line), None)
            if hit:
                left.remove(hit)
                time.sleep(0.3 if kill == signal.SIGKILL else 1)
                os.kill(process.pid, kill)
                kills += 1
                break
        process.stdout.read()
        if process.wait() == 0 and not hit:
            break
    # On SIGTERM Snakemake lets running jobs end, and several rules may pass in one go.
    assert kills >= 6 if kill == signal.SIGTERM else not left
    assert process.returncode == 0, "".join(lines)
    assert digests(tmp_path / "results") == digests(finished / "results")
