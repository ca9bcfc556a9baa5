"""A stand-in for the part of a Kubernetes API server that profiles/kubernetes asks: create, read, delete a Job.

No cluster can be installed where the tests run. A Job's command runs as a process here, with nothing of the
environment but PATH and HOME, in the folder that the Job names: the test's folder takes the place of the volume.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test, namespace: herbarium}}}}]
users: [{{name: test, user: {{}}}}]
"""
GRACE = 5  # seconds between asking a pod to end and ending it; Kubernetes gives 30


class Cluster:
    """The Jobs by name: what was asked for, and the process that does it."""

    def __init__(self) -> None:
        self.manifests: dict[str, dict] = {}
        self.processes: dict[str, subprocess.Popen] = {}
        self.deleted: list[str] = []
        self.broken = False  # whether pods fail as soon as they start
        self.asked = threading.Event()  # somebody wants to know the state of a Job
        self.answers = threading.Event()  # and is told
        self.answers.set()

    def create(self, manifest: dict) -> dict:
        name = manifest["metadata"]["name"]
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        environment = {key: os.environ[key] for key in ("PATH", "HOME")}
        self.manifests[name] = manifest
        command = ["false"] if self.broken else container["command"]
        self.processes[name] = subprocess.Popen(
            command, cwd=container["workingDir"], env=environment, start_new_session=True
        )
        return manifest

    def read(self, name: str) -> dict:
        self.asked.set()
        self.answers.wait()
        code = self.processes[name].poll()
        ended = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "the pod failed"}
        state = {None: {"active": 1}, 0: {"succeeded": 1}}.get(code, {"failed": 1, "conditions": [ended]})
        return self.manifests[name] | {"status": state}

    def delete(self, name: str) -> dict:
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.deleted.append(name)
        return {"kind": "Status", "status": "Success"}


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """Serve while the block runs; give the cluster and the environment that makes the profile use it."""
    jobs = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, act, code: int = 200) -> None:
            try:
                body = act()
            except KeyError:
                code, body = 404, {"kind": "Status", "status": "Failure", "code": 404}
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            manifest = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/apis/batch/v1/namespaces/herbarium/jobs"
            self.answer(lambda: jobs.create(manifest), 201)

        def do_GET(self) -> None:
            self.answer(lambda: jobs.read(self.path.split("/")[-2]))

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(lambda: jobs.delete(self.path.split("/")[-1].split("?")[0]))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "kubeconfig").write_text(KUBECONFIG.format(port=server.server_port))
        try:
            yield jobs, os.environ | {"KUBECONFIG": str(folder / "kubeconfig")}
        finally:
            jobs.answers.set()
            for name in list(jobs.processes):
                jobs.delete(name)
            server.shutdown()
