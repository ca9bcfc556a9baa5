"""Share a finished study through DVC: fetch or store its products, and say whether they are behind the code.

DVC knows a study by the stage in its dvc.yaml. Snakemake goes by the times of files, which a fresh checkout
does not have, so that pulled products are touched once, in the order in which they depend on each other.
"""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sheetlens.common.errors import UserError

log = logging.getLogger(__name__)

UNDER_WAY = "SHEETLENS_ADOPTS"  # set for the run that takes products as done, which must not look for them itself


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
    differences = _differences(study)
    if differences:
        raise UserError(
            f"the products are here, but the lock beside {study.stage} describes another state ({differences}):"
            f" check out the commit they belong to, or bring them up to date with 'dvc repro {study.stage}'"
        )
    take_as_done(study)
    log.info("%s is here as published; 'dvc repro %s' has nothing to do", name, study.stage)


def push(name: str) -> None:
    """Store a study's products at the default remote; a push that was cut off goes on where it stopped.

    Raises UserError when there is no remote, when products are not what the lock describes, or when DVC fails.
    """
    study = STUDIES[name]
    _need_remote()
    differences = _differences(study)
    if differences:
        raise UserError(f"not pushed, the lock is behind ({differences}): run 'dvc repro {study.stage}' first")
    _dvc("push", study.stage)
    log.info("%s is stored; commit the lock beside %s, so that others can pull it", name, study.stage)


def stale(name: str) -> bool:
    """Say whether a study's lock is behind the code and the config; needs none of its products."""
    study = STUDIES[name]
    told = _captured("repro", "--dry", "--allow-missing", study.stage)
    return "Running stage" in told


def changes(study: Study, project: Path = Path()) -> dict[str, list[str]]:
    """What differs between the lock and the files of a project, by kind: changed deps (with params), outs, command.

    Asks DVC's own classes and not `dvc status`, which is locked out while `dvc repro` runs the command of the stage.
    """
    from dvc.repo import Repo  # type: ignore[import-untyped]

    found: dict[str, list[str]] = {}
    with Repo(str(project)) as repo:
        for stage in repo.stage.load_all(str(project / study.stage)):
            if stage.changed_stage():
                found["changed command"] = ["changed command"]
            for kind, entries in (("changed deps", stage.deps), ("changed outs", stage.outs)):
                states = [row for entry in entries for row in _flat(entry.status())]
                if states:
                    found.setdefault(kind, []).extend(f"{state} {path}" for path, state in states)
    return found


def take_as_done(study: Study, project: Path = Path()) -> None:
    """Make Snakemake take all products of a study as made by the code and config of a project."""
    # All of them, so that each has its settings noted: a change of one is then noticed.
    words = ["--cores", "1", "--touch", "--forceall", "--quiet", "all", *study.snakemake]
    _run("snakemake", *words, cwd=project, env=os.environ | {UNDER_WAY: "1"})


def _differences(study: Study) -> str:
    """What differs between the lock and the files here, in a few words; empty if nothing does."""
    found = [words for kind in changes(study).values() for words in kind]
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


def _run(program: str, *words: str, **options: Any) -> None:
    """Run a program whose own messages and progress the user sees."""
    if subprocess.run([sys.executable, "-m", program, *words], check=False, **options).returncode:  # noqa: S603
        raise UserError(f"'{program} {words[0]}' failed, and says why above; the same command continues from here")


def _captured(*words: str, check: bool = True, cwd: Path = Path()) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603
    if check and result.returncode:
        raise UserError(f"'dvc {words[0]}' failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
