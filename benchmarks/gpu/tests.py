"""The tests that only a GPU can fail; in a rehearsal they run on the CPU."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks.gpu.parts import Facts
from benchmarks.gpu.scale import REHEARSAL, Scale

TESTS = "tests/unit/train/test_gpu.py"


class Outcomes:
    """A plugin of pytest that counts how tests end."""

    def __init__(self) -> None:
        """Begin to count."""
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test by its call, or by what went wrong around it."""
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
        if report.failed:
            self.failed.append(report.nodeid.rpartition("::")[2])


def measure(scale: Scale) -> Iterator[Facts]:
    """How many tests passed, failed and were skipped, and which failed; ends with an error if any did."""
    if scale is REHEARSAL:
        os.environ["SHEETLENS_GPU_REHEARSAL"] = "1"
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # others' plugins need not go with the kit's pytest
    outcomes = Outcomes()
    code = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", TESTS], plugins=[outcomes])
    yield {name: outcomes.counts[name] for name in ("passed", "failed", "skipped")} | {"failures": outcomes.failed}
    if code:
        raise SystemExit(f"pytest ended with {int(code)}: {', '.join(outcomes.failed) or 'no test ran'}")
