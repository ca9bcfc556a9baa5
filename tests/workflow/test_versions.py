"""A finished study through DVC: published, pulled into a fresh clone, changed in one place."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, digests

pytestmark = pytest.mark.open

TINY = {
    "study": "demo",
    "datasets": {
        "mercury": {"source": "demo", "demo": {"task": "stain", "sheets": 24}},
        "lycophytes": {"source": "demo", "demo": {"task": "family", "sheets": 24}, "network": "table1"},
    },
    "split": {"seeds": [1], "protocols": ["random"]},
    "train": {"epochs": 1, "batch_size": 8},
    "audit": {"saliency_sheets": 4},
}
STAGE = "demo/dvc.yaml"


class Clone:
    """A checkout with the commands that a user types in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "demo/results"
        self.environment = os.environ | {
            "PYTHONPATH": str(folder / "workflow"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Test",
            "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "test@example.org",
        }  # fmt: skip

    def run(self, *words: object, check: bool = True) -> str:
        result = self.attempt(*words)
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def attempt(self, *words: object) -> subprocess.CompletedProcess:
        command = [str(word) for word in words]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def sheetlens(self, *words: object) -> subprocess.CompletedProcess:
        return self.attempt(sys.executable, "-m", "sheetlens", *words)

    def change(self, **values: dict) -> None:
        path = self.folder / "config/demo.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | values))

    def repro(self) -> set[str]:
        """Run `dvc repro` and return the rules that ran."""
        return set(re.findall(r"^(\w+) +\d+$", self.run("dvc", "repro", STAGE), re.MULTILINE)) - {"total"}


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Clone:
    """A finished tiny demo, its lock committed, its products pushed to a folder."""
    clone = Clone(tmp_path_factory.mktemp("published") / "sheetlens")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.split("\0"):
        if (ROOT / name).is_file():
            (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone.folder / name)
    (clone.folder / "config/demo.yaml").write_text(yaml.safe_dump(TINY))
    (clone.folder / "demo/dvc.lock").unlink(missing_ok=True)
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "remote", "add", "--default", "store", clone.folder.parent / "store")
    assert "train_network" in clone.repro()
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "--quiet", "--message", "A finished demo")
    result = clone.sheetlens("push", "demo")
    assert result.returncode == 0, result.stdout + result.stderr
    return clone


def fresh(published: Clone, folder: Path) -> Clone:
    clone = Clone(folder / "sheetlens")
    published.run("git", "clone", "--quiet", published.folder, clone.folder)
    return clone


@pytest.fixture
def pulled(published, tmp_path) -> Clone:
    clone = fresh(published, tmp_path)
    result = clone.sheetlens("pull", "demo")
    assert result.returncode == 0, result.stdout + result.stderr
    return clone


def test_nothing_is_trained_again(published, pulled):
    assert digests(pulled.results) == digests(published.results)
    assert pulled.repro() == set()
    assert pulled.run("git", "status", "--porcelain", "demo/dvc.lock") == ""
    # The products are taken as done even if DVC is left aside.
    words = ["snakemake", "--cores", 1, "--directory", "demo", "--configfile", "config/demo.yaml", "--dry-run"]
    assert "Nothing to be done" in pulled.run(*words)
    assert digests(pulled.results) == digests(published.results)


def test_a_figure_setting_draws_figures_again_and_nothing_else(pulled):
    before = digests(pulled.results)
    pulled.change(figures={"dots_per_inch": 90})
    ran = pulled.repro()
    assert {"figure_study", "report_write"} <= ran
    assert not {rule for rule in ran if not rule.startswith(("figure_", "document_", "report_", "all"))}
    after = digests(pulled.results)
    assert before["figures/figure-2.png"] != after["figures/figure-2.png"]
    kept = [name for name in before if name.endswith((".safetensors", ".npy", ".parquet", ".tsv", "random.json"))]
    assert {name: before[name] for name in kept} == {name: after[name] for name in kept}
    assert "dots_per_inch" in pulled.run("dvc", "params", "diff", "--targets", "config/demo.yaml")


def test_a_training_setting_trains_again_and_leaves_the_image_set(pulled):
    pulled.change(train=TINY["train"] | {"epochs": 2})
    ran = pulled.repro()
    assert {"train_network", "train_predict", "evaluate_network", "figure_study", "report_write"} <= ran
    assert not {rule for rule in ran if rule.startswith(("fetch_", "prepare_", "split_", "duplicates_"))}
    assert "accuracy" in pulled.run("dvc", "metrics", "diff", "--targets", "demo/results/metrics.json", "--all")


SNAKEMAKE = ["snakemake", "--cores", 1, "--directory", "demo", "--configfile", "config/demo.yaml"]
DRAWN = ("figure_", "audit_figures", "document_", "report_", "all")


@pytest.fixture
def brought(published, tmp_path) -> Clone:
    """A clone whose products came by DVC's own command."""
    clone = fresh(published, tmp_path)
    clone.run("dvc", "pull", STAGE)
    return clone


def test_what_dvc_itself_pulls_is_taken_as_done(published, brought):
    said = brought.run(*SNAKEMAKE)
    assert "taken as done" in said
    assert "Nothing to be done" in said
    assert digests(brought.results) == digests(published.results)
    again = brought.run(*SNAKEMAKE)
    assert "taken as done" not in again
    assert brought.repro() == set()


def test_dvc_pull_without_a_file_brings_what_is_stored_and_names_the_rest(published, tmp_path):
    clone = fresh(published, tmp_path)
    result = subprocess.run(["dvc", "pull"], cwd=clone.folder, capture_output=True, text=True)
    assert result.returncode != 0
    assert "results/mercury" in result.stderr and "demo/results" not in result.stderr
    assert digests(clone.results) == digests(published.results)
    assert "Nothing to be done" in clone.run(*SNAKEMAKE)


def test_a_setting_changed_after_dvc_pull_is_noticed(brought):
    brought.change(figures={"dots_per_inch": 90})
    ran = brought.repro()
    assert "figure_study" in ran
    assert not {rule for rule in ran if not rule.startswith(DRAWN)}


def test_code_changed_after_dvc_pull_is_noticed(brought):
    with (brought.folder / "workflow/sheetlens/figure/figure_2.py").open("a") as module:
        module.write("# another line\n")
    ran = brought.repro()
    assert "figure_study" in ran
    assert not {rule for rule in ran if not rule.startswith(DRAWN)}


def test_products_that_are_not_the_locks_are_not_taken(brought):
    weights = brought.results / "mercury/models/table1/random-1/weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()  # DVC may have linked it to its cache
    weights.write_bytes(data)
    said = brought.run(*SNAKEMAKE, "--dry-run")
    assert "taken as done" not in said
    assert "train_network" in said


def test_code_that_git_does_not_have_stops_the_run(brought):
    with (brought.folder / "workflow/sheetlens/figure/figure_2.py").open("a") as module:
        module.write("# another line\n")
    shutil.rmtree(brought.folder / ".git")
    brought.run("git", "init", "--quiet")
    told = brought.attempt(*SNAKEMAKE)
    assert told.returncode != 0
    assert "Git has no commit with both" in told.stderr
    assert not (brought.folder / "demo/.snakemake/metadata").exists()


def test_metrics_plots_and_artifacts_mean_something(pulled, tmp_path):
    shown = pulled.run("dvc", "metrics", "show")
    assert "failed to load" not in shown
    assert "mercury.random.accuracy" in shown
    assert "lycophytes.random.kept_accuracy" in shown
    pulled.run("dvc", "plots", "show", "--out", tmp_path / "plots")
    pulled.run("dvc", "plots", "show")
    assert pulled.run("git", "status", "--porcelain", "--untracked-files") == ""
    assert "validation_accuracy" in (tmp_path / "plots/index.html").read_text()
    pulled.run("git", "tag", "--annotate", "demo=mercury@v1.0.0", "--message", "A model")
    pulled.run("dvc", "artifacts", "get", pulled.folder, "demo/dvc.yaml:mercury", "--out", tmp_path / "model")
    (weights,) = (tmp_path / "model").rglob("*.safetensors") if (tmp_path / "model").is_dir() else [tmp_path / "model"]
    assert weights.read_bytes() == (pulled.results / "mercury/models/table1/random-1/weights.safetensors").read_bytes()


def test_a_lock_that_is_behind_the_code_is_told(pulled):
    assert pulled.sheetlens("stale", "demo").returncode == 0
    with (pulled.folder / "workflow/sheetlens/split/parts.py").open("a") as module:
        module.write("# another line\n")
    told = pulled.sheetlens("stale", "demo")
    assert told.returncode == 1
    assert "behind the code" in told.stderr
    again = pulled.sheetlens("pull", "demo")
    assert again.returncode == 1
    assert "describes another state (modified workflow)" in again.stderr


def test_without_a_remote(published, tmp_path):
    clone = fresh(published, tmp_path)
    clone.run("dvc", "remote", "remove", "store")
    for command in ("pull", "push"):
        told = clone.sheetlens(command, "demo")
        assert told.returncode == 1
        assert "no default remote" in told.stderr
        assert "dvc remote add --default" in told.stderr
    assert not (clone.results / "report.html").exists()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(port)


@contextlib.contextmanager
def served(*words: object, port: int, **options):
    process = subprocess.Popen([str(word) for word in words], stdout=-3, stderr=-3, **options)
    try:
        wait_for(port)
        yield
    finally:
        process.kill()
        process.wait()


def through(remote: list[object], published: Clone, folder: Path, secret: list[str]) -> Clone:
    """Push to a remote from the published clone, pull from it into a fresh one."""
    source = fresh(published, folder / "source")
    shutil.copytree(published.folder / ".dvc/cache", source.folder / ".dvc/cache")
    source.run("dvc", "checkout", STAGE)
    for clone in (source, target := fresh(published, folder / "target")):
        clone.run("dvc", "remote", "add", "--default", "--force", *remote)
    source.run("dvc", "remote", "modify", "--local", remote[0], *secret)
    before = source.attempt(sys.executable, "-m", "sheetlens", "push", "demo")
    assert before.returncode == 0, before.stdout + before.stderr
    # Without the secret: a clear end, nothing half there.
    target.run("dvc", "remote", "modify", "--local", remote[0], secret[0], "wrong")
    refused = target.sheetlens("pull", "demo")
    assert refused.returncode == 1
    assert "sheetlens pull: error: 'dvc pull' failed, and says why above" in refused.stderr
    assert not (target.results / "report.html").exists()
    target.run("dvc", "remote", "modify", "--local", remote[0], *secret)
    result = target.sheetlens("pull", "demo")
    assert result.returncode == 0, result.stdout + result.stderr
    assert digests(target.results) == digests(published.results)
    return target


def test_an_ssh_remote(published, tmp_path):
    if not shutil.which("sshd", path="/usr/sbin:" + os.environ["PATH"]) or os.geteuid():
        pytest.skip("no sshd that this user may start (Debian: openssh-server)")
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "store").mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        "StrictModes no\nPasswordAuthentication no\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    with served("/usr/sbin/sshd", "-D", "-e", "-f", tmp_path / "sshd_config", port=port):
        remote = ["far", f"ssh://root@127.0.0.1:{port}{tmp_path}/store"]
        through(remote, published, tmp_path, ["keyfile", f"{tmp_path}/user"])


def test_an_s3_remote_and_a_push_that_was_cut_off(published, tmp_path, monkeypatch):
    port = free_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with served(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port, port=port):
        import boto3

        s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1")
        s3.create_bucket(Bucket="herbarium")
        remote, url = "cloud", f"http://127.0.0.1:{port}"
        source = fresh(published, tmp_path / "cut")
        source.run("dvc", "remote", "add", "--default", "--force", remote, "s3://herbarium/store")
        source.run("dvc", "remote", "modify", remote, "endpointurl", url)
        shutil.copytree(published.folder / ".dvc/cache", source.folder / ".dvc/cache")
        source.run("dvc", "checkout", STAGE)
        words = [sys.executable, "-m", "sheetlens", "push", "demo"]
        push = subprocess.Popen(
            words, cwd=source.folder, env=source.environment, stdout=-3, stderr=-3, start_new_session=True
        )
        for _ in range(600):
            if s3.list_objects_v2(Bucket="herbarium").get("KeyCount", 0) >= 3 or push.poll() is not None:
                break
            time.sleep(0.02)
        assert push.poll() is None, "the push ended before it could be cut off"
        os.killpg(push.pid, signal.SIGKILL)
        push.wait()
        # What is there is not all: pulling says so, and the same push again makes it whole.
        target = fresh(published, tmp_path / "target")
        for words in (
            ["add", "--default", "--force", remote, "s3://herbarium/store"],
            ["modify", remote, "endpointurl", url],
        ):
            target.run("dvc", "remote", *words)
        early = target.sheetlens("pull", "demo")
        assert early.returncode == 1
        assert "'dvc pull' failed, and says why above" in early.stderr
        again = source.sheetlens("push", "demo")
        assert again.returncode == 0, again.stdout + again.stderr
        result = target.sheetlens("pull", "demo")
        assert result.returncode == 0, result.stdout + result.stderr
        assert digests(target.results) == digests(published.results)
