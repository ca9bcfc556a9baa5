"""What goes wrong on shared machines; benchmarks/mishaps.py does all of it and prints the figures."""

import os
import shutil

import pytest
from benchmarks import mishaps

from tests.conftest import digests, tiny_demo


@pytest.mark.open
def test_products_that_changed_behind_our_back_are_named_and_made_anew(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy", symlinks=True)  # with the times of the files
    expected = digests(finished / "results")
    outcome = mishaps.changed_products(tmp_path / "copy", tiny_demo(tmp_path), expected, tmp_path / "run.log")
    assert outcome.injected == len(mishaps.DAMAGED)
    assert outcome.lost == []


@pytest.mark.open  # minutes
@pytest.mark.parametrize("mishap", [mishaps.full_disk, mishaps.read_only, mishaps.two_at_once, mishaps.clock_jumps])
def test_the_same_command_ends_in_the_same_bytes_or_says_why_not(mishap, finished, tmp_path):
    if mishap in (mishaps.full_disk, mishaps.read_only) and os.geteuid():
        pytest.skip("only root may make a small file system")
    outcome = mishap(tmp_path, tiny_demo(tmp_path), digests(finished / "results"))
    assert outcome.injected
    assert outcome.lost == []


@pytest.mark.open
def test_answers_are_the_same_though_readers_are_killed(finished, tmp_path):
    outcome = mishaps.killed_readers(finished, tmp_path)
    assert outcome.injected
    assert outcome.lost == []
