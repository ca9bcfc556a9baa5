#!/usr/bin/env python3
"""Send a job script of Snakemake to Kubernetes and print the job's name."""

import json
import signal
import sys
import uuid
from pathlib import Path

HEAD = "# properties = "
OUTPUT = Path("logs/kubernetes")
DAY = 86400  # seconds that a finished job can still be looked at


def manifest(script: str, name: str, folder: Path) -> dict:
    """The Kubernetes Job for a job script, from the rule, threads and resources that it names."""
    line = next(line for line in script.splitlines() if line.startswith(HEAD))
    job = json.loads(line.removeprefix(HEAD))
    resources = job["resources"]
    limits = {"memory": f"{resources['mem_mb']}M"}
    if gpus := resources.get("gpu"):
        limits[resources["kubernetes_gpu"]] = str(gpus)
    container = {
        "name": "job",
        "image": resources["kubernetes_image"],
        "command": ["/bin/sh", "-c", f"exec > {OUTPUT}/{name}.log 2>&1\n{script}"],
        "workingDir": str(folder),
        "resources": {"requests": {"cpu": str(job["threads"]), **limits}, "limits": limits},
        "volumeMounts": [
            {"name": "study", "mountPath": resources["kubernetes_mount"]},
            {"name": "memory", "mountPath": "/dev/shm"},  # noqa: S108
        ],
    }
    volumes = [
        {"name": "study", "persistentVolumeClaim": {"claimName": resources["kubernetes_claim"]}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},  # several GPUs exchange their gradients through it
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app": "sheetlens"}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 60 * resources["runtime"],
            "ttlSecondsAfterFinished": DAY,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container], "volumes": volumes}},
        },
    }


def main(path: str) -> None:
    """Create the job; the cluster's own words are the reason where it refuses."""
    from api import connect
    from kubernetes.client.exceptions import ApiException

    name = f"sheetlens-{uuid.uuid4().hex[:12]}"
    OUTPUT.mkdir(parents=True, exist_ok=True)
    jobs, namespace = connect()
    try:
        jobs.create_namespaced_job(namespace, manifest(Path(path).read_text(encoding="utf-8"), name, Path.cwd()))
    except ApiException as error:
        sys.exit(f"Kubernetes refused the job: {error.body}")
    print(name)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever sends a job must learn its name, to delete it
    main(sys.argv[1])
