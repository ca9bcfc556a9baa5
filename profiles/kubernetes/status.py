#!/usr/bin/env python3
"""Say of a Kubernetes Job whether it is running (or waits), has succeeded or has failed."""

import sys

from api import connect
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError


def status(name: str) -> str:
    """Ask the cluster."""
    jobs, namespace = connect()
    try:
        state = jobs.read_namespaced_job_status(name, namespace).status
    except ApiException as error:
        return "failed" if error.status == 404 else "running"  # deleted; or no answer now: ask again later
    except HTTPError:
        return "running"
    if state.succeeded:
        return "success"
    failed = next((condition for condition in state.conditions or [] if condition.type == "Failed"), None)
    if failed:
        sys.stderr.write(f"Kubernetes ended {name}: {failed.reason}, {failed.message}\n")
    return "failed" if failed else "running"


if __name__ == "__main__":
    print(status(sys.argv[1]))
