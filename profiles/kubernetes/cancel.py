#!/usr/bin/env python3
"""Delete Kubernetes Jobs and their pods."""

import contextlib
import sys

from api import connect
from kubernetes.client.exceptions import ApiException

if __name__ == "__main__":
    jobs, namespace = connect()
    for name in sys.argv[1:]:
        with contextlib.suppress(ApiException):  # gone already
            jobs.delete_namespaced_job(name, namespace, propagation_policy="Foreground")
