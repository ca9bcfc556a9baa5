"""profiles/kubernetes: what it asks a cluster for, and a run against a stand-in of the cluster's interface."""

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


def test_a_run_that_is_stopped_takes_its_jobs_along(cluster, tmp_path):
    jobs, environment = cluster
    sheets = ["--config", 'datasets={"mercury": {"demo": {"sheets": 400}}}']
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path,
        "--workflow-profile", ROOT / "profiles/default", *arguments(tmp_path, *sheets),
    ]  # fmt: skip
    run = subprocess.Popen([str(word) for word in command], env=environment, stderr=subprocess.PIPE, text=True)
    while not jobs.processes and run.poll() is None:
        time.sleep(0.5)
    time.sleep(3)  # into the work
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=120)
    assert run.returncode != 0, said
    assert len(jobs.deleted) == 1, said
    assert not jobs.processes
