"""Look for published holes in the locked packages: `make vulnerabilities` calls it, in an environment of its own.

Exit status 0 where every package was looked up at a place that knows of holes (it is asked about a version with a hole
that everybody knows) and has none; 1 where there are holes; 3 where nothing, or not all, could be looked up. Holes in
envs/vulnerabilities.tsv are named, with the reason to bear them.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

WELL, HOLES, UNKNOWN = 0, 1, 3  # exit status
PROBE = "jinja2==2.10"  # CVE-2019-10906, published in 2019
BORNE = Path(__file__).with_name("vulnerabilities.tsv")


def audit(requirements, *options):
    """What pip-audit finds, one object for each package; it ends with 1 where there are holes."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(requirements),
        "--disable-pip",
        "--format",
        "json",
    ]
    run = subprocess.run([*command, "--progress-spinner", "off", *options], capture_output=True, text=True)  # noqa: S603
    try:
        return json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        sys.exit(f"not audited: pip-audit says {run.stderr.strip().splitlines()[-1:] or 'nothing'}")


def probe():
    """Whether the place that is asked knows of holes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.txt"
        path.write_text(PROBE + "\n")
        return any(one.get("vulns") for one in audit(path, "--no-deps"))


def judge(found, borne, knows):
    """Lines to print and the exit status: WELL, HOLES that nobody bears, or UNKNOWN where not all was looked up."""
    skipped = [one["name"] for one in found if "skip_reason" in one]
    lines, bad, number = [], 0, 0
    for one in found:
        for hole in one.get("vulns", []):
            names = [hole["id"], *hole.get("aliases", [])]
            reason = next((borne[name] for name in names if name in borne), None)
            mended = ", ".join(hole.get("fix_versions", [])) or "no version"
            lines.append(
                f"{one['name']} {one['version']}: {' '.join(names)}, mended in {mended}; borne: {reason or 'NO'}"
            )
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
        borne = {row["id"]: row["why it is borne"] for row in csv.DictReader(file, delimiter="\t")}
    lines, status = judge(audit("requirements.lock"), borne, probe())
    print("\n".join(lines))
    sys.exit(status)


if __name__ == "__main__":
    main()
