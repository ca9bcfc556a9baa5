"""An edit of a line that computes makes exactly those jobs due whose products it may change; wording makes none due."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, tiny_demo

pytestmark = pytest.mark.long
TRAINED = {"train_network", "train_predict", "audit_maps"}
DECODED = {"prepare_shard", "prepare_pack"}

# File of the package, what stands there, what takes its place, and the rules that read this module.
COMPUTING = [
    ("demo/stains.py", "def ", "CHANGED = 1\n\n\ndef ", {"fetch_demo"}),
]


class Study:
    """A checkout of its own and a finished study that Snakemake takes for its work."""

    def __init__(self, folder: Path, finished: Path) -> None:
        for name in ("Snakefile", "workflow", "config", "profiles", "envs"):
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, folder / "code" / name, **({"ignore": ignored} if source.is_dir() else {}))
        shutil.copytree(finished, folder / "study", symlinks=True)
        self.package, self.folder = folder / "code/workflow/sheetlens", folder / "study"
        done = self.snakemake("--touch", "--forceall", "--quiet", "all")
        assert done.returncode == 0, done.stderr
        assert self.due() == {}

    def snakemake(self, *words: object) -> subprocess.CompletedProcess:
        code = self.package.parents[1]
        command = [sys.executable, "-m", "snakemake", "--snakefile", code / "Snakefile", "--directory", self.folder]
        command += ["--workflow-profile", code / "profiles/default", *tiny_demo(self.folder), *words]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=code)

    def due(self) -> dict[str, str]:
        """The rules that are due of themselves, and why."""
        told = self.snakemake("--dry-run")
        assert told.returncode == 0, told.stderr
        jobs = re.findall(r"^(?:local)?rule (\w+):$.*?^    reason: (.*?)$", told.stdout, re.DOTALL | re.MULTILINE)
        return {rule: reason for rule, reason in jobs if "Updated input files" in reason or "changed" in reason}
