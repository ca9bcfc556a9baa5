"""What DVC is told of, it can find in a clone."""

import pytest
import yaml

from tests.conftest import ROOT


@pytest.mark.parametrize("stage", ["dvc.yaml", "demo/dvc.yaml"])
def test_metrics_and_plots_are_named_where_there_is_a_lock(stage):
    """`dvc metrics show` and `dvc plots show` warn of each that no run has made, in every clone."""
    told = yaml.safe_load((ROOT / stage).read_text())
    (study,) = told["stages"].values()
    locked = (ROOT / stage).with_suffix(".lock").exists()
    assert ("plots" in told, "metrics" in study) == (locked, locked)


def test_what_dvc_draws_is_not_to_be_committed():
    assert "/dvc_plots/" in (ROOT / ".gitignore").read_text().splitlines()
