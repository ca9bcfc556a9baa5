"""profiles/kubernetes: what it asks a cluster for, and a run against a stand-in of the cluster's interface."""

import contextlib
import json
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from tests.cluster import kubernetes_api
from tests.conftest import ROOT, snakemake, tiny_demo

PROFILE = ROOT / "profiles/kubernetes"
TIMEOUT = 300  # seconds until a run that hangs counts as failed
JOB = {
    "rule": "train_network",
    "threads": 2,
    "resources": {
        "gpu": 1, "mem_mb": 8000, "runtime": 240, "kubernetes_image": "sheetlens", "kubernetes_claim": "sheetlens",
        "kubernetes_mount": "/study", "kubernetes_gpu": "nvidia.com/gpu",
    },
}  # fmt: skip


def as_the_cluster_reads(manifest: dict, kind: str) -> dict:
    """The manifest through the classes that Kubernetes' own client has for its interface: unknown fields vanish."""
    api = client.ApiClient()
    response = type("Response", (), {"data": json.dumps(manifest)})
    return api.sanitize_for_serialization(api.deserialize(response, kind))


def test_a_training_asks_for_its_gpu_memory_and_time():
    manifest = runpy.run_path(str(PROFILE / "submit.py"))["manifest"]
    job = manifest(f"#!/bin/sh\n# properties = {json.dumps(JOB)}\ntrue\n", "sheetlens-1", Path("/study/sheetlens"))
    assert as_the_cluster_reads(job, "V1Job") == job
    assert job["spec"]["activeDeadlineSeconds"] == 240 * 60
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "8000M", "nvidia.com/gpu": "1"},
        "limits": {"memory": "8000M", "nvidia.com/gpu": "1"},
    }


def test_the_pod_that_runs_snakemake_fits_the_profile():
    profile = yaml.safe_load((PROFILE / "profile.yaml").read_text())["default-resources"]
    parts = {part["kind"]: part for part in yaml.safe_load_all((PROFILE / "run.yaml").read_text())}
    assert set(parts) == {"ServiceAccount", "Role", "RoleBinding", "Job"}
    for kind, part in parts.items():
        assert as_the_cluster_reads(part, f"V1{kind}") == part
    pod = parts["Job"]["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    assert container["image"] == profile["kubernetes_image"]
    assert container["volumeMounts"][0]["mountPath"] == profile["kubernetes_mount"].strip("'")
    assert volume["persistentVolumeClaim"]["claimName"] == profile["kubernetes_claim"]


@pytest.fixture
def cluster(tmp_path):
    with kubernetes_api.cluster(tmp_path) as (jobs, environment):
        yield jobs, environment


def arguments(folder, *more):
    hurry = ["--latency-wait", 5, "--max-threads", 2, "--seconds-between-status-checks", 2]
    target = "results/mercury/listing.parquet"
    return [target, *tiny_demo(folder)[2:], "--profile", PROFILE, *hurry, *more]


def test_a_job_runs_fails_and_runs_again(cluster, tmp_path):
    jobs, environment = cluster
    jobs.broken = True
    failed = snakemake(tmp_path, *arguments(tmp_path, "--retries", 0), env=environment)
    assert failed.returncode != 0
    assert "Error in rule fetch_demo" in failed.stderr
    jobs.broken = False
    result = snakemake(tmp_path, *arguments(tmp_path), env=environment)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "results/mercury/listing.parquet").exists()
    assert len(jobs.manifests) == 2
    assert len(list((tmp_path / "logs/kubernetes").glob("*.log"))) == 1


@contextlib.contextmanager
def started(environment, folder):
    """A run whose only job draws so many sheets that it is at work whenever it is interrupted."""
    sheets = ["--config", 'datasets={"mercury": {"demo": {"sheets": 100000}}}']
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder,
        "--workflow-profile", ROOT / "profiles/default", *arguments(folder, *sheets),
    ]  # fmt: skip
    run = subprocess.Popen([str(word) for word in command], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def until(happened, run: subprocess.Popen) -> None:
    while not happened():
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.02)


def test_a_run_that_is_stopped_takes_its_jobs_along(cluster, tmp_path):
    """Also a job that is there for the cluster, but not yet for Snakemake, which has not been told its name."""
    jobs, environment = cluster
    with started(environment, tmp_path) as run:
        until(lambda: jobs.processes, run)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=TIMEOUT)
    assert run.returncode != 0, said
    assert len(jobs.deleted) == 1, said
    assert not jobs.processes


def test_a_run_that_is_stopped_while_it_asks_takes_its_jobs_along(cluster, tmp_path):
    jobs, environment = cluster
    jobs.answers.clear()
    with started(environment, tmp_path) as run:
        until(jobs.asked.is_set, run)
        run.send_signal(signal.SIGINT)
        until(lambda: jobs.deleted, run)
        jobs.answers.set()
        _, said = run.communicate(timeout=TIMEOUT)
    assert run.returncode != 0, said
    assert len(jobs.deleted) == 1, said
    assert not jobs.processes
