"""Take products that DVC brought here for what its lock says they are, so that Snakemake need not make them again.

Snakemake goes by the times of files and by its own notes, and a fresh clone has neither for what `dvc pull` brings. The
lock has hashes of the products and of the code and config that made them. Where the code or the config is another by
now, Snakemake is shown that of the lock first, out of Git, so that it then redoes what depends on the change, no more.
"""

import logging
import os
import shutil
import subprocess
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import yaml

from sheetlens.common.errors import UserError
from sheetlens.workflow import dvc, product_hashes

log = logging.getLogger(__name__)

OURS = ("results", ".snakemake", "logs")  # what belongs to a study's folder, beside its code


def adopt(project: Path, folder: Path) -> bool:
    """Take the products in a study's folder as done if they are those of its dvc.lock, and no run here made them.

    False where there is nothing to take. UserError where they are the lock's, but nobody knows what made them.
    """
    lock = folder / "dvc.lock"
    study = next((one for one in dvc.STUDIES.values() if project / one.stage == folder / "dvc.yaml"), None)
    if dvc.UNDER_WAY in os.environ or not study or not lock.exists() or not _brought(folder, lock):
        return False
    try:
        changes = dvc.changes(study, project)
    except ImportError:
        return False  # a Snakemake without DVC
    if "changed outs" in changes:
        return False
    if not changes:
        dvc.take_as_done(study, project)
    elif not _take_as_locked(study, project, folder):
        if any((folder / ".snakemake/metadata").glob("*")):
            return False  # made here, and Snakemake knows how
        raise UserError(
            f"results/ holds the products that {lock} describes, but code or config changed since, and Git has no"
            " commit with both: commit the lock with the code that made it, or, to make them all anew, delete results/"
        )
    log.warning("results/ holds the products that %s describes: they are taken as done", lock)
    return True


def _brought(folder: Path, lock: Path) -> bool:
    """Whether the products have the sizes that the lock says, and are not what the last run here left."""
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
    sizes = [(out["path"], out["size"]) for stage in stages for out in stage["outs"]]
    there = all(_size(folder / "results" / path.rpartition("results/")[2]) == size for path, size in sizes)
    return there and not product_hashes.all_noted(folder / "results")


def _size(path: Path) -> int:
    """Bytes of a product, or of all files of a folder, as DVC counts them."""
    if path.is_file():
        return path.stat().st_size
    files = (Path(top, name) for top, _, names in os.walk(path) for name in names if name != ".snakemake_timestamp")
    return sum(file.stat().st_size for file in files)


def _take_as_locked(study: dvc.Study, project: Path, folder: Path) -> bool:
    """Let the code and config of the lock's commit take the products as done, then show Snakemake what changed since.

    False where Git has no commit that holds the lock and what it was made with.
    """
    commit = _git(project, "log", "-1", "--format=%H", "--", f"{study.stage.removesuffix('yaml')}lock").decode().strip()
    if not commit:
        return False
    with tempfile.TemporaryDirectory() as name:
        then = Path(name)
        _check_out(project, commit, then)
        if dvc.changes(study, then).keys() - {"changed outs"}:
            return False
        for part in OURS:
            (folder / part).mkdir(exist_ok=True)
            place = then / folder.relative_to(project) / part
            shutil.rmtree(place, ignore_errors=True)  # what Git has of the products: the metrics
            place.symlink_to(folder / part)
        dvc.take_as_done(study, then)
    for path in _git(project, "diff", "--name-only", "-z", commit, "--", "Snakefile", "workflow").decode().split("\0"):
        if path and (project / path).is_file():
            os.utime(project / path)  # newer than the products, so that Snakemake compares it with what it noted
    return True


def _check_out(project: Path, commit: str, place: Path) -> None:
    with zipfile.ZipFile(BytesIO(_git(project, "archive", "--format=zip", commit))) as archive:
        archive.extractall(place)
    (place / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")


def _git(project: Path, *words: str) -> bytes:
    """What Git says; nothing where there is no Git or no repository."""
    try:
        return subprocess.run(["git", *words], cwd=project, capture_output=True, check=True).stdout  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return b""
