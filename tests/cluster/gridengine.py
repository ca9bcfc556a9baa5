"""A Grid Engine cluster of one node in a folder, for tests: sge_qmaster and sge_execd as started by this process.

The node has two slots, and a GPU and 16 GB of memory to be consumed by jobs.
"""

import contextlib
import os
import platform
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = Path("/usr/sbin")
PROGRAMS = Path("/usr/lib/gridengine")
SHARE = Path("/usr/share/gridengine")
START_SECONDS = 60
HOST = "localhost"  # Grid Engine names a host as its address resolves; `host_aliases` says that it is this one

BOOTSTRAP = """\
admin_user          none
default_domain      none
ignore_fqdn         true
spooling_method     classic
spooling_lib        libspoolc
spooling_params     {common};{root}/qmaster
binary_path         /usr/sbin
qmaster_spool_dir   {root}/qmaster
security_mode       none
listener_threads    2
worker_threads      2
scheduler_threads   1
"""
# Changes to what Grid Engine proposes.
CONFIGURATION = {
    "execd_spool_dir": "{root}/execd",
    "mailer": "/bin/true",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "00:00:02",
    "reporting_params": "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00",
}
SCHEDULER = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
QUEUE = {"hostlist": HOST, "slots": "2", "pe_list": "smp", "shell": "/bin/sh", "load_thresholds": "NONE"}
# Name, short name, type, relation, requestable, consumable, what a job gets that asks for none, urgency.
CONSUMABLES = ["gpu gpu INT <= YES JOB 0 0", "h_vmem h_vmem MEMORY <= YES YES 8G 0"]
NODE = """\
hostname {host}
load_scaling NONE
complex_values gpu=1,h_vmem=16G
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""
ENVIRONMENT = """\
pe_name smp
slots 99
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""


def missing() -> str:
    """Say why no cluster can run here; empty if one can."""
    needed = [DAEMONS / "sge_qmaster", DAEMONS / "sge_execd", PROGRAMS / "qsub", SHARE / "util"]
    if not all(path.exists() for path in needed):
        return "Grid Engine is not installed (Debian: gridengine-master, gridengine-exec, gridengine-client)"
    return "" if os.geteuid() == 0 else "sge_execd needs root to start jobs"


@contextlib.contextmanager
def cluster(root: Path) -> Iterator[dict[str, str]]:
    """Run a cluster while the block runs; give the environment that makes commands use it."""
    ports = {"SGE_QMASTER_PORT": str(_free_port()), "SGE_EXECD_PORT": str(_free_port())}
    environment = os.environ | ports | {
        "SGE_ROOT": str(root), "SGE_CELL": "default", "SGE_ND": "1", "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
    }  # fmt: skip
    _lay_out(root, environment)
    running: list[subprocess.Popen] = []
    try:
        running.append(_start("sge_qmaster", root, environment))
        _until(lambda: _run(environment, "qconf", "-as", HOST).returncode == 0, root)
        _configure(root, environment)
        running.append(_start("sge_execd", root, environment))
        _until(lambda: "lx-" in _run(environment, "qstat", "-f").stdout, root)
        yield environment
    finally:
        _run(environment, "qdel", "-f", "-u", "*")
        time.sleep(1)
        for process in reversed(running):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _lay_out(root: Path, environment: dict[str, str]) -> None:
    """Make the folders and files that the master reads when it starts."""
    common = root / "default/common"
    for folder in (common, root / "qmaster/job_scripts", root / "execd"):
        folder.mkdir(parents=True)
    (root / "util").symlink_to(SHARE / "util")
    architecture = subprocess.run([SHARE / "util/arch"], capture_output=True, text=True, check=True).stdout.strip()
    for name in ("bin", "utilbin", "lib"):
        (root / name).mkdir()
        (root / name / architecture).symlink_to(PROGRAMS)
    (common / "bootstrap").write_text(BOOTSTRAP.format(root=root, common=common))
    (common / "act_qmaster").write_text(HOST + "\n")
    (common / "host_aliases").write_text(f"{HOST} {platform.node()} {socket.getfqdn()}\n")
    proposed = (SHARE / "default-configuration").read_text()
    changes = {key: value.format(root=root) for key, value in CONFIGURATION.items()}
    (root / "configuration").write_text(_changed(proposed, changes))
    resources = SHARE / "util/resources"
    for words in (
        ["spoolinit", "classic", "libspoolc", f"{common};{root}/qmaster", "init"],
        ["spooldefaults", "configuration", root / "configuration"],
        ["spooldefaults", "complexes", resources / "centry"],
        ["spooldefaults", "usersets", resources / "usersets"],
        ["spooldefaults", "managers", "root"],
    ):
        _run(environment, *words, check=True)


def _configure(root: Path, environment: dict[str, str]) -> None:
    """Tell the master its node, queue, parallel environment and resources."""

    def put(option: str, name: str, text: str) -> None:
        (root / name).write_text(text)
        _run(environment, "qconf", option, root / name, check=True)

    complexes = _run(environment, "qconf", "-sc", check=True).stdout.splitlines()
    complexes = [line for line in complexes if not line.startswith("h_vmem ")]
    put("-Mc", "complexes", "\n".join([*complexes, *CONSUMABLES]) + "\n")
    put("-Ae", "node", NODE.format(host=HOST))
    put("-Ap", "environment", ENVIRONMENT)
    proposed = _run(environment | {"EDITOR": "cat"}, "qconf", "-aq", "all.q").stdout
    put("-Aq", "queue", _changed(proposed, QUEUE))
    put("-Msconf", "scheduler", _changed(_run(environment, "qconf", "-ssconf", check=True).stdout, SCHEDULER))


def _changed(proposed: str, changes: dict[str, str]) -> str:
    """A table of Grid Engine, one key and value a line, with some values changed."""
    pairs = [line.split(maxsplit=1) for line in proposed.splitlines() if not line.startswith("#")]
    return "".join(f"{pair[0]} {changes.get(pair[0], pair[1])}\n" for pair in pairs if len(pair) == 2)


def _start(daemon: str, root: Path, environment: dict[str, str]) -> subprocess.Popen:
    output = (root / f"{daemon}.log").open("w")
    return subprocess.Popen([DAEMONS / daemon], env=environment, stdout=output, stderr=output)


def _run(environment: dict[str, str], *words: object, check: bool = False) -> subprocess.CompletedProcess:
    command = [str(PROGRAMS / str(words[0])), *map(str, words[1:])]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)


def _until(ready, root: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in root.glob("**/*messages"))
            raise RuntimeError(f"Grid Engine did not start in {START_SECONDS} s: {logs}")
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
