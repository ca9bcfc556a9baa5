"""Look for published holes in the locked packages: `make vulnerabilities` calls it, in an environment of its own.

Exit status 0 where every package, those for another Python included, was looked up at a place that knows of holes (it
is asked about a version with a hole that everybody knows) and has none; 1 where there are holes; 3 where nothing, or
not all, could be looked up. Holes in envs/vulnerabilities.tsv are named, with the reason to bear them, and count again
as soon as a version mends them.
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WELL, HOLES, UNKNOWN = 0, 1, 3  # exit status
PROBE = "jinja2==2.10"  # CVE-2019-10906, published in 2019
BORNE = Path(__file__).with_name("vulnerabilities.tsv")
LOCK = Path(__file__).parents[1] / "requirements.lock"


def pins(lock):
    """The packages of a lock, whatever Python each is for, in lists that name none twice."""
    lists = []
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,.-]*\])?==([^\s;\\]+)", lock, re.MULTILINE):
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = version
    return [[f"{name}=={version}" for name, version in one.items()] for one in lists]


def audit(packages):
    """What pip-audit finds, one object for each package; it ends with 1 where there are holes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packages.txt"
        path.write_text("\n".join(packages) + "\n")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(path), "--disable-pip", "--no-deps"]
        command += ["--format", "json", "--progress-spinner", "off"]
        run = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    try:
        return [one for one in json.loads(run.stdout)["dependencies"] if one["name"]]
    except (ValueError, KeyError, TypeError):
        print(f"NOT AUDITED: pip-audit says {(run.stderr.strip().splitlines() or ['nothing'])[-1].strip()}")
        sys.exit(UNKNOWN)


def judge(found, borne, knows):
    """Lines to print and the exit status: WELL, HOLES that nobody bears, or UNKNOWN where not all was looked up."""
    skipped = [one["name"] for one in found if "skip_reason" in one]
    lines, bad, number = [], 0, 0
    for one in found:
        for hole in one.get("vulns", []):
            names = [hole["id"], *hole.get("aliases", [])]
            mended = ", ".join(hole.get("fix_versions", []))
            known = [borne[one["name"], name] for name in names if (one["name"], name) in borne]
            reason = None if mended or not known else known[0]  # it is borne until a version mends it
            named = f"{one['name']} {one['version']}: {' '.join(names)}"
            lines.append(f"{named}, mended in {mended or 'no version'}; borne: {reason or 'NO'}")
            bad, number = bad + (reason is None), number + 1
    audited = len(found) - len(skipped) if knows else 0
    lines.append(f"{audited} of {len(found)} packages were audited; {number} holes, {bad} of them not borne")
    if not knows:
        lines.append(f"NOT AUDITED: the package index here tells of no holes, not even of those of {PROBE}")
    elif skipped or not found:
        lines.append(f"NOT AUDITED in full, not looked up: {', '.join(skipped) or 'any'}")
    return lines, HOLES if bad else UNKNOWN if audited < len(found) or not found else WELL


def main():
    """Audit the lock, print what is found; exit status 1 unless all is well."""
    with BORNE.open(newline="") as file:
        borne = {(row["package"], row["id"]): row["why it is borne"] for row in csv.DictReader(file, delimiter="\t")}
    found = [one for packages in pins(LOCK.read_text()) for one in audit(packages)]
    knows = any(one.get("vulns") for one in audit([PROBE]))
    lines, status = judge(found, borne, knows)
    print("\n".join(lines))
    sys.exit(status)


if __name__ == "__main__":
    main()
