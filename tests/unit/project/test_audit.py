"""What `make vulnerabilities` makes of what it finds; the packages themselves are looked up in CI."""

import csv
import runpy

import pytest

from tests.conftest import ROOT

AUDIT = runpy.run_path(str(ROOT / "envs/audit.py"))
CLEAN = {"name": "torch", "version": "2", "vulns": []}
SKIPPED = {"name": "yarl", "skip_reason": "not found"}
BAD = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}]}


@pytest.mark.parametrize(
    ("found", "knows", "status", "said"),
    [
        ([CLEAN, CLEAN], True, "WELL", "2 of 2 packages were audited; 0 holes"),
        ([CLEAN, CLEAN], False, "UNKNOWN", "0 of 2 packages were audited"),
        ([SKIPPED, SKIPPED], True, "UNKNOWN", "NOT AUDITED in full, not looked up: yarl, yarl"),
        ([CLEAN, SKIPPED], True, "UNKNOWN", "1 of 2 packages were audited"),
        ([], True, "UNKNOWN", "NOT AUDITED"),
        ([BAD], True, "HOLES", "x 1: PYSEC-1 CVE-1, mended in no version; borne: NO"),
        ([BAD, SKIPPED], False, "HOLES", "1 of them not borne"),
    ],
)
def test_nothing_is_green_that_was_not_looked_up(found, knows, status, said):
    lines, given = AUDIT["judge"](found, {}, knows)
    assert given == AUDIT[status] and said in "\n".join(lines)


def test_a_hole_that_is_borne_is_named_with_its_reason():
    lines, status = AUDIT["judge"]([BAD], {"CVE-1": "nobody can reach it"}, True)
    assert status == AUDIT["WELL"] and "borne: nobody can reach it" in lines[0]


def test_what_is_borne_is_locked_and_stands_in_the_page_on_security():
    with AUDIT["BORNE"].open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    page, lock = (ROOT / "SECURITY.md").read_text(), (ROOT / "requirements.lock").read_text()
    for row in rows:
        assert (
            f"\n{row['package']}==" in lock and row["package"] in page and row["id"] in page and row["why it is borne"]
        )
