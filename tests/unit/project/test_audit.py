"""What `make vulnerabilities` makes of what it finds; the packages themselves are looked up in CI."""

import csv
import os
import runpy
import subprocess
import sys

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
    borne = {("x", "CVE-1"): "nobody can reach it"}
    lines, status = AUDIT["judge"]([BAD], borne, True)
    assert status == AUDIT["WELL"] and "borne: nobody can reach it" in lines[0]
    mended = BAD | {"vulns": [BAD["vulns"][0] | {"fix_versions": ["2"]}]}
    for found in (BAD | {"name": "y"}, mended):
        assert AUDIT["judge"]([found], borne, True)[1] == AUDIT["HOLES"], "of that package alone, until it is mended"


def test_every_package_of_the_lock_is_looked_up_for_whatever_python_it_is():
    lock = (ROOT / "requirements.lock").read_text()
    lists = AUDIT["pins"](lock)
    assert sum(map(len, lists)) == sum(
        "==" in line.partition(";")[0] for line in lock.splitlines() if line[:1].isalnum()
    )
    assert all(len({pin.partition("==")[0] for pin in one}) == len(one) for one in lists) and len(lists) > 1


@pytest.mark.parametrize("answer", ["", "null", "[]", '{"dependencies": null}', "{}"])
def test_an_audit_that_fails_is_none(tmp_path, answer):
    (tmp_path / "pip_audit.py").write_text(f"import sys\nprint({answer!r})\nsys.exit('boom')")
    command = [sys.executable, ROOT / "envs/audit.py"]
    run = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert run.returncode == AUDIT["UNKNOWN"] and run.stdout == "NOT AUDITED: pip-audit says boom\n" and not run.stderr


def test_an_audit_that_cannot_be_installed_says_so(tmp_path):
    """Again each time: nothing is left that would pass for an installed one."""
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    given = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    command = [
        "make",
        "--no-print-directory",
        "--file",
        ROOT / "Makefile",
        f"PYTHON={sys.executable}",
        "vulnerabilities",
    ]
    for _ in range(2):
        run = subprocess.run(command, cwd=tmp_path, env=given | nowhere, capture_output=True, text=True)
        assert run.returncode != 0 and "No matching distribution found for pip-audit" in run.stderr
        assert run.stdout == "NOT AUDITED: pip-audit cannot be installed (see above)\n"
        assert not (tmp_path / ".audit/installed").exists()


def test_what_is_borne_is_locked_and_stands_in_the_page_on_security():
    with AUDIT["BORNE"].open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    page, lock = (ROOT / "SECURITY.md").read_text(), (ROOT / "requirements.lock").read_text()
    for row in rows:
        assert (
            f"\n{row['package']}==" in lock and row["package"] in page and row["id"] in page and row["why it is borne"]
        )
