"""The workflow on a real Grid Engine cluster of one node, through profiles/sge."""

import re
import signal
import subprocess

import pytest

from tests.cluster import gridengine
from tests.cluster.runs import TIMEOUT, is_empty_soon, running_job, started
from tests.conftest import ROOT, digests, snakemake, tiny_demo

MODEL = "results/mercury/models/table1/random-1"
# What a test cannot wait for, and a node with two slots.
TEST_CLUSTER = ["--latency-wait", 5, "--max-threads", 2, "--seconds-between-status-checks", 2]
RUNNING = r"^ *(\d+) .* r +\d\d/"  # a job, as the queue tells of it

pytestmark = [
    pytest.mark.open,
    pytest.mark.skipif(bool(gridengine.missing()), reason=gridengine.missing() or "Grid Engine is here"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with gridengine.cluster(tmp_path_factory.mktemp("cluster")) as environment:
        yield environment


def arguments(folder, *more):
    return [*tiny_demo(folder)[2:], "--profile", ROOT / "profiles/sge", *TEST_CLUSTER, *more]


def accounted(environment) -> list[dict[str, str]]:
    """What Grid Engine's accounting says of every job that ended, oldest first."""
    text = subprocess.run(["qacct", "-j"], env=environment, capture_output=True, text=True).stdout
    jobs = [dict(re.findall(r"^(\w+) +(.*?) *$", block, re.MULTILINE)) for block in text.split("=" * 62)]
    return [job for job in jobs if "jobnumber" in job]


def queued(environment) -> str:
    return subprocess.run(["qstat"], env=environment, capture_output=True, text=True).stdout


def test_a_job_that_fails_is_reported_and_the_next_run_continues(cluster, finished, tmp_path):
    def run(*more):
        return snakemake(tmp_path, f"{MODEL}/predictions.parquet", *arguments(tmp_path, *more), env=cluster)

    # Too little memory for torch under a site's limit: the training fails, and the run says where its log is.
    limit = ["--set-resources", "train_network:sge_memory_per_slot=h_vmem", "train_network:mem_mb=300"]
    failed = run("--retries", 0, *limit)
    assert failed.returncode != 0
    assert "Error in rule train_network" in failed.stderr
    assert not (tmp_path / MODEL / "weights.safetensors").exists()
    ended = accounted(cluster)
    (trained,) = [job for job in ended if job["jobname"] == "train_network"]
    others = [job for job in ended if job is not trained]
    needed = {"fetch_demo", "prepare_shard", "prepare_pack", "split_sheets"}
    assert needed <= {job["jobname"] for job in others} <= needed | {"duplicates_find", "split_relate"}
    assert all(job["exit_status"] == "0" for job in others)
    assert trained["exit_status"] != "0"
    assert "-l gpu=1,h_rt=14400,h_vmem=150M,mem_free=300M" in trained["category"]
    assert (trained["granted_pe"], trained["slots"]) == ("smp", "2")
    assert f"jobs that did not end well: logs/sge/train_network-{trained['jobnumber']}.log)" in failed.stderr

    # Without it the same command goes on from there, to the model of a run without a cluster.
    result = run()
    assert result.returncode == 0, result.stderr
    after = [job["jobname"] for job in accounted(cluster)[len(ended) :]]
    assert [name for name in after if name.startswith("train")] == ["train_network", "train_predict"]
    here, there = (digests(folder / MODEL) for folder in (tmp_path, finished))
    assert here["weights.safetensors"] == there["weights.safetensors"]
    assert here["predictions.parquet"] == there["predictions.parquet"]


def test_a_job_that_is_killed_is_sent_again(cluster, tmp_path):
    before = len(accounted(cluster))
    with started(cluster, tmp_path, *arguments(tmp_path), sheets=100) as run:
        job = running_job(run, lambda: queued(cluster), RUNNING)
        subprocess.run(["qdel", job], env=cluster, check=True, capture_output=True)
        output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, output
    assert "Trying to restart job" in output
    killed, again = accounted(cluster)[before:]
    assert killed["jobnumber"] == job
    assert killed["failed"].startswith("100")
    assert (again["failed"].split()[0], again["exit_status"]) == ("0", "0")


def test_a_run_that_is_stopped_takes_its_jobs_along(cluster, tmp_path):
    with started(cluster, tmp_path, *arguments(tmp_path), sheets=50_000) as run:
        running_job(run, lambda: queued(cluster), RUNNING)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode != 0, output
    assert is_empty_soon(lambda: queued(cluster))
    assert not (tmp_path / "results/mercury/listing.parquet").exists()
