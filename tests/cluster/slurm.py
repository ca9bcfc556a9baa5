"""A Slurm cluster of one node in a folder, for tests: munged, slurmctld and slurmd as started by this process.

The node claims one GPU (a device file that every machine has), so that requests for GPUs are scheduled
as on a real site. There is no accounting database: `sacct` knows nothing here, `squeue` everything.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
START_SECONDS = 60
MEMORY_MB = 16000
# Inside a job the executor forgets SLURM_CONF, so that srun reads the machine's own configuration.
SYSTEM = Path("/etc/slurm")

CONFIGURATION = """\
ClusterName=sheetlens
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
KillWait=2
MinJobAge=3600
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory={memory} Gres=gpu:1
PartitionName=herbarium Nodes={host} Default=YES MaxTime=UNLIMITED State=UP
"""


def missing() -> str:
    """Say why no cluster can run here; empty if one can."""
    programs = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    if programs:
        return f"Slurm is not installed: no {', '.join(programs)} (Debian: slurm-wlm and munge)"
    if os.geteuid() != 0:
        return "slurmd needs root to start jobs"
    found = SYSTEM / "slurm.conf"
    left = found.is_symlink() and "pytest-of-" in str(found.readlink())  # by a killed test
    return f"this machine belongs to a cluster ({found})" if found.exists() and not left else ""


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster while the block runs; give the environment that makes commands use it."""
    host = socket.gethostname().split(".")[0]
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(parents=True, mode=0o755)
    (folder / "munge/key").write_bytes(secrets.token_bytes(128))
    (folder / "munge/key").chmod(0o600)
    values = {
        "folder": folder,
        "host": host,
        "memory": MEMORY_MB,
        "controller_port": _free_port(),
        "node_port": _free_port(),
    }
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    links = [SYSTEM / name for name in ("slurm.conf", "gres.conf", "cgroup.conf")]
    SYSTEM.mkdir(exist_ok=True)
    environment = os.environ | {"PATH": _path()}
    munge = folder / "munge"
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={munge}/key", f"--socket={munge}/socket",
         f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed"],
        ["slurmctld", "-D", "-f", folder / "slurm.conf"],
        ["slurmd", "-D", "-f", folder / "slurm.conf", "-N", host],
    ]  # fmt: skip
    running: list[subprocess.Popen] = []
    try:
        for link in links:
            link.unlink(missing_ok=True)  # what a killed test left
            link.symlink_to(folder / link.name)
        for words in daemons:
            output = (folder / f"{words[0]}.output").open("w")
            command = [str(word) for word in words]
            running.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
            time.sleep(1)
        _wait_for_node(environment, running, folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user=root", "--signal=KILL"], env=environment, capture_output=True)
        time.sleep(1)
        for process in reversed(running):
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
        for link in links:
            link.unlink(missing_ok=True)


def _wait_for_node(environment: dict[str, str], running: list[subprocess.Popen], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        dead = [process.args for process in running if process.poll() is not None]
        if dead:
            raise RuntimeError(f"{dead[0]} ended: {_logs(folder)}")
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
        if state.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"the node did not become idle in {START_SECONDS} s: {_logs(folder)}")


def _logs(folder: Path) -> str:
    files = [*folder.glob("*.output"), *folder.glob("*.log")]
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in files)


def _path() -> str:
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
