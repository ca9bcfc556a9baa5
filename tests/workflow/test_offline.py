"""`make own`, with the network cut off: the weights of the features are installed."""

import shutil
import subprocess
import sys

import pytest
import yaml

from sheetlens.common.files import read_json
from tests.conftest import ROOT, digests
from tests.unit.garden import jpeg, photograph

CUT = ["unshare", "--map-root-user", "--net"]


def cut_off() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*CUT, "true"], capture_output=True).returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not cut_off(), reason="this machine lets nobody cut off the network (unshare)")
def test_a_folder_of_photographs_becomes_a_report_without_a_network(tmp_path):
    lines = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    assert "unreachable" in subprocess.run([*CUT, sys.executable, "-c", lines], capture_output=True, text=True).stderr
    for name, level in (("fern", 90), ("moss", 170)):
        for number in range(24):
            jpeg(photograph(level, number), tmp_path / f"sheets/{name}/{number:02}.jpg")
    changes = {"split": {"seeds": [1, 2]}, "figures": {"dots_per_inch": 50}}
    changes |= {"datasets": {"own": {"folder": {"path": "sheets"}}}, "audit": {"saliency_sheets": 4}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(changes))
    command = [
        *CUT, sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--workflow-profile",
        ROOT / "profiles/default", "--directory", tmp_path, "--cores", "2", "--configfile", ROOT / "config/own.yaml",
        tmp_path / "small.yaml",
    ]  # fmt: skip
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    made = digests(tmp_path / "results/own")
    assert {"features/efficientnet_lite0.npy", "features/efficientnet_lite0.json"} <= set(made)
    evaluation = read_json(tmp_path / "results/own/evaluation/features-random.json")
    assert evaluation["network"] == "features" and evaluation["accuracy"]["mean"] > 0.9
    page = (tmp_path / "results/report.html").read_text()
    assert "pretrained on photographs of things" in page
    assert read_json(tmp_path / "results/own/audits/regions.json")["numbers"]["tests"] > 0
    assert "seeds" in read_json(tmp_path / "results/own/audits/training-random.json")["numbers"]
