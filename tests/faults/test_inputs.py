import pytest
from benchmarks.inputs import KINDS, try_others, try_pictures


def test_broken_pictures_are_read_or_refused_with_a_reason():
    outcomes, faults, _ = try_pictures(150, seed=3)
    assert not faults
    assert all(counts["refused"] for counts in outcomes.values())


@pytest.mark.parametrize("kind", KINDS)
def test_other_broken_files_are_read_or_refused_in_a_sentence(kind):
    outcomes, faults = try_others(20, 3, [kind])
    assert not faults
    assert outcomes[kind]["refused"]
