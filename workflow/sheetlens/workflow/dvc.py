"""Share a finished study through DVC: fetch or store its products, and say whether they are behind the code.

DVC knows a study by the stage in its dvc.yaml. Snakemake goes by the times of files, which a fresh checkout
does not have, so that pulled products are touched once, in the order in which they depend on each other.
"""

import logging
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from sheetlens.common.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """A study that DVC versions: the file with its stage, and how Snakemake is told to run it."""

    stage: str
    snakemake: tuple[str, ...] = ()


STUDIES = {
    "paper": Study("dvc.yaml"),
    "demo": Study("demo/dvc.yaml", ("--directory", "demo", "--configfile", "config/demo.yaml")),
}


def pull(name: str) -> None:
    """Fetch a study's products, check them against its lock, and make Snakemake take them as done.

    Raises UserError when there is no remote or no lock, when DVC fails, or when code, config or products
    differ from what the lock describes; then nothing is touched and `dvc repro` works out what to do.
    """
    study = STUDIES[name]
    _need_remote()
    _dvc("pull", study.stage)
    differences = _changes(study)
    if differences:
        raise UserError(
            f"the products are here, but the lock beside {study.stage} describes another state ({differences}):"
            f" check out the commit they belong to, or bring them up to date with 'dvc repro {study.stage}'"
        )
    # All of them, so that each has its settings noted: a change of one is then noticed.
    _run("snakemake", "--cores", "1", "--touch", "--forceall", "--quiet", "all", *study.snakemake)
    log.info("%s is here as published; 'dvc repro %s' has nothing to do", name, study.stage)


def push(name: str) -> None:
    """Store a study's products at the default remote; a push that was cut off goes on where it stopped.

    Raises UserError when there is no remote, when products are not what the lock describes, or when DVC fails.
    """
    study = STUDIES[name]
    _need_remote()
    differences = _changes(study)
    if differences:
        raise UserError(f"not pushed, the lock is behind ({differences}): run 'dvc repro {study.stage}' first")
    _dvc("push", study.stage)
    log.info("%s is stored; commit the lock beside %s, so that others can pull it", name, study.stage)


def stale(name: str) -> bool:
    """Say whether a study's lock is behind the code and the config; needs none of its products."""
    study = STUDIES[name]
    told = _captured("repro", "--dry", "--allow-missing", study.stage)
    return "Running stage" in told


def _changes(study: Study) -> str:
    """What differs between the lock and the files here, in a few words; empty if nothing does."""
    stages: dict[str, Any] = from_json(_captured("status", "--json", study.stage) or "{}")
    found = []
    for changes in stages.values():
        for change in changes:
            if isinstance(change, str):
                found.append(change)
                continue
            found += [f"{state} {path}" for files in change.values() for path, state in _flat(files)]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _flat(files: dict[str, Any]) -> list[tuple[str, str]]:
    """Paths with their states; parameters are one level deeper."""
    rows: list[tuple[str, str]] = []
    for path, state in files.items():
        rows += [(path, state)] if isinstance(state, str) else [(f"{path}: {key}", state[key]) for key in state]
    return rows


def _need_remote() -> None:
    if not _captured("config", "core.remote", check=False).strip():
        raise UserError(
            "DVC has no default remote to pull from or push to: name one with 'dvc remote add --default NAME URL',"
            " where URL is a folder, ssh://host/folder or s3://bucket/folder"
        )


def _dvc(*words: str) -> None:
    _run("dvc", *words)


def _run(program: str, *words: str) -> None:
    """Run a program whose own messages and progress the user sees."""
    if subprocess.run([sys.executable, "-m", program, *words], check=False).returncode:  # noqa: S603
        raise UserError(f"'{program} {words[0]}' failed, and says why above; the same command continues from here")


def _captured(*words: str, check: bool = True) -> str:
    result = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)  # noqa: S603
    if check and result.returncode:
        raise UserError(f"'dvc {words[0]}' failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
