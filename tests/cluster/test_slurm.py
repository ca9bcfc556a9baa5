"""The workflow on a real Slurm cluster of one node, through profiles/slurm."""

import re
import signal
import subprocess

import pytest

from tests.cluster import slurm
from tests.cluster.runs import TIMEOUT, is_empty_soon, running_job, started
from tests.conftest import ROOT, digests, snakemake, tiny_demo

MODEL = "results/mercury/models/table1/random-1"
# What a test cannot wait for, and a node with two slots. There is no accounting database, as on many small sites.
TEST_CLUSTER = [
    "--slurm-no-account", "--slurm-init-seconds-before-status-checks", 2,
    "--seconds-between-status-checks", 2, "--latency-wait", 5, "--max-threads", 2,
]  # fmt: skip
RUNNING = r"^(\d+) RUNNING$"  # a job, as the queue tells of it

pytestmark = pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing() or "Slurm is here")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm.cluster(tmp_path_factory.mktemp("cluster")) as environment:
        yield environment


def jobs(environment) -> list[dict[str, str]]:
    """What Slurm knows of every job, oldest first."""
    shown = subprocess.run(["scontrol", "show", "job"], env=environment, capture_output=True, text=True).stdout
    return [dict(re.findall(r"(\w+)=(\S*)", block)) for block in shown.split("\n\n") if "JobId" in block]


def queued(environment) -> str:
    """The number and the state of each job that runs or waits, a line each."""
    command = ["squeue", "--noheader", "--format", "%A %T"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.open
def test_trainings_get_their_gpu_and_their_memory(cluster, finished, tmp_path):
    def run(memory, *more):
        arguments = [f"{MODEL}/predictions.parquet", *tiny_demo(tmp_path)[2:], "--profile", ROOT / "profiles/slurm"]
        limit = ["--set-resources", f"train_network:mem_mb={memory}"]
        return snakemake(tmp_path, *arguments, *TEST_CLUSTER, *limit, *more, env=cluster)

    # Too little memory, no second attempt: the scheduler ends the job, the run says which log has the reason.
    failed = run(300, "--retries", 0)
    assert failed.returncode != 0
    (log,) = (tmp_path / ".snakemake/slurm_logs").glob("rule_train_network/*/*.log")
    assert str(log) in failed.stderr
    assert "Exceeded job memory limit" in log.read_text()
    assert f"jobs that did not end well: {log.relative_to(tmp_path)})" in failed.stderr
    assert "jobs are watched through squeue" in failed.stderr
    assert (tmp_path / "results/mercury/images/pixels.npy").exists()
    assert not (tmp_path / MODEL / "weights.safetensors").exists()

    # The same with a second attempt that asks for more: it continues from there and ends.
    before = len(jobs(cluster))
    result = run("300+(attempt-1)*6000")
    assert result.returncode == 0, result.stderr
    trained, again, predicted = jobs(cluster)[before:]
    assert "train_network" in trained["Comment"]
    assert "train_network" in again["Comment"]
    assert (trained["JobState"], again["JobState"], predicted["JobState"]) == ("FAILED", "COMPLETED", "COMPLETED")
    for job in (trained, again, predicted):
        assert job["TresPerJob"] == "gres:gpu:1"
    assert [job["MinMemoryNode"] for job in (trained, again, predicted)] == ["300M", "6300M", "8000M"]
    assert jobs(cluster)[0]["MinMemoryNode"] == "4000M"
    assert "TresPerJob" not in jobs(cluster)[0]

    # And the model is the one that a run without a cluster ends with.
    here, there = (digests(folder / MODEL) for folder in (tmp_path, finished))
    assert here["weights.safetensors"] == there["weights.safetensors"]
    assert here["predictions.parquet"] == there["predictions.parquet"]


@pytest.mark.open
def test_a_cluster_that_forgets_at_once_is_refused(cluster, tmp_path):
    """Without accounting, and with jobs that squeue forgets before Snakemake looks, a run would wait for ever."""
    waits = ["--slurm-init-seconds-before-status-checks", 3600]
    arguments = ["results/mercury/listing.parquet", *tiny_demo(tmp_path)[2:], "--profile", ROOT / "profiles/slurm"]
    before = len(jobs(cluster))
    refused = snakemake(tmp_path, *arguments, *TEST_CLUSTER, *waits, env=cluster)
    assert refused.returncode != 0
    assert "forgets finished ones after 3600 s (MinJobAge)" in refused.stderr
    assert len(jobs(cluster)) == before


@pytest.mark.open  # minutes of waiting: Slurm counts time limits in whole minutes
def test_a_training_that_runs_out_of_time_goes_on_in_the_next_run(cluster, tmp_path):
    def run(minutes):
        arguments = [f"{MODEL}/weights.safetensors", *tiny_demo(tmp_path)[2:], "--profile", ROOT / "profiles/slurm"]
        long = ["--config", 'train={"epochs": 1500, "patience": 1500}', "--retries", 0]
        limit = ["--set-resources", f"train_network:runtime={minutes}"]
        return snakemake(tmp_path, *arguments, *TEST_CLUSTER, *long, *limit, env=cluster)

    failed = run(1)
    assert failed.returncode != 0
    (log,) = (tmp_path / ".snakemake/slurm_logs").glob("rule_train_network/*/*.log")
    assert str(log) in failed.stderr
    assert "DUE TO TIME LIMIT" in log.read_text()
    assert not (tmp_path / MODEL / "weights.safetensors").exists()

    result = run(60)
    assert result.returncode == 0, result.stderr
    (told,) = (tmp_path / "logs/train_network").glob("*.log")
    assert re.search(r"continuing in epoch [2-9]\d* from the checkpoint", told.read_text())


@pytest.mark.open
def test_a_run_that_is_stopped_takes_its_jobs_along(cluster, tmp_path):
    arguments = [*tiny_demo(tmp_path)[2:], "--profile", ROOT / "profiles/slurm", *TEST_CLUSTER]
    with started(cluster, tmp_path, *arguments, sheets=50_000) as run:
        job = running_job(run, lambda: queued(cluster), RUNNING)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode != 0, output
    assert is_empty_soon(lambda: queued(cluster))
    (ended,) = [one for one in jobs(cluster) if one["JobId"] == job]
    assert ended["JobState"] == "CANCELLED", output
    assert not (tmp_path / "results/mercury/listing.parquet").exists()
