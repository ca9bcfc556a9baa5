"""The cluster's interface for jobs, as this pod's service account or the user's kubeconfig reaches it."""

from pathlib import Path

from kubernetes import client, config

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def connect() -> tuple[client.BatchV1Api, str]:
    """Give the interface and the namespace to work in."""
    if NAMESPACE.exists():
        config.load_incluster_config()
        return client.BatchV1Api(), NAMESPACE.read_text(encoding="utf-8").strip()
    config.load_kube_config()
    context = config.list_kube_config_contexts()[1]["context"]
    return client.BatchV1Api(), context.get("namespace", "default")
